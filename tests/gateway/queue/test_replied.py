"""Once per sender and period, for all processes together."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from directory.model import Deferred
from gateway.queue.replied import KEPT, Replied


def test_once_in_a_period_and_again_behind_it(tmp_path: Path) -> None:
    replied = Replied(tmp_path / "r.db")
    assert replied.take("ann", "bob@x", 100, 1000)
    assert not replied.take("ann", "bob@x", 100, 1099)
    assert replied.take("ann", "eve@x", 100, 1099)
    assert replied.take("joe", "bob@x", 100, 1099)
    assert replied.take("ann", "bob@x", 100, 1100)
    assert not replied.take("ann", "bob@x", 100, 1199)
    assert replied.take("ann", "bob@x", 100, 500), "a clock that was set back does not silence for ever"
    replied.close()
    again = Replied(tmp_path / "r.db")
    assert not again.take("ann", "bob@x", 100, 599)
    again.close()


def test_processes_share_it_and_one_wins(tmp_path: Path) -> None:
    files = [Replied(tmp_path / "r.db") for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda n: files[n % 4].take("ann", "bob@x", 100, 1000), range(32)))
    assert sum(taken) == 1
    for file in files:
        file.close()


def test_old_rows_go(tmp_path: Path) -> None:
    replied = Replied(tmp_path / "r.db")
    for number in range(10):
        replied.take("ann", f"{number}@x", 100, 1000)
    replied.take("ann", "new@x", 100, 1001 + KEPT)
    replied.close()
    with sqlite3.connect(tmp_path / "r.db") as db:
        assert db.execute("SELECT count(*) FROM replied").fetchone() == (1,)
    db.close()


def test_trouble_is_temporary_and_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "r.db").write_bytes(b"not a database at all, but long enough to look like one" * 30)
    with pytest.raises(Deferred):
        Replied(tmp_path / "r.db")
    db = sqlite3.connect(tmp_path / "n.db")
    db.execute("PRAGMA user_version=2")
    db.close()
    with pytest.raises(Deferred, match="newer version"):
        Replied(tmp_path / "n.db")
