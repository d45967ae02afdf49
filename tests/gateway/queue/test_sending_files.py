"""brakes.db and sending.db: what is kept, shared between processes, forgiven, damaged, of a later version."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import eventually

from directory.model import Deferred
from gateway.policy.brake import Counts
from gateway.queue.brakes import Brakes, events, stopped
from gateway.queue.sending_facts import DAY, SendingFacts, Tally, mark

NOON = 20_000 * DAY + DAY / 2


def tally(outside: int = 0, **more: int) -> Tally:
    return Tally(outside, outside={mark(f"r{number}") for number in range(outside)}, **more)


def test_a_stop_counts_for_everybody_who_looks_and_is_told_once(tmp_path: Path) -> None:
    ours, theirs = Brakes(tmp_path / "brakes.db"), Brakes(tmp_path / "brakes.db")
    assert not ours.is_stopped("a") and not theirs.is_stopped("a")
    assert ours.stop("a", "recipients", "much", "brake", 5.0)
    assert not theirs.stop("a", "limit", "more", "brake", 6.0)
    assert ours.is_stopped("a") and not ours.is_stopped("b")
    assert eventually(lambda: theirs.is_stopped("a")) < 10
    (one,) = theirs.untold()
    assert (one.account, one.seen, one.by) == ("a", "much", "brake")
    ours.told("a", 4.0)  # of another stop
    assert theirs.untold()
    ours.told("a", 5.0)
    assert not theirs.untold() and [each.account for each in stopped(tmp_path / "brakes.db")] == ["a"]
    assert theirs.release("a", "uid 0", "keep", 7.0) and not theirs.release("a", "uid 0", "keep", 8.0)
    assert not theirs.is_stopped("a")
    assert eventually(lambda: not ours.is_stopped("a")) < 10
    assert [(row["what"], row["by"]) for row in events(tmp_path / "brakes.db", 9)] == [
        ("release", "uid 0"),
        ("stop", "brake"),
    ]
    ours.close(), theirs.close()


def test_another_process_sees_it_within_a_second(tmp_path: Path) -> None:
    path = tmp_path / "brakes.db"
    ours = Brakes(path)
    assert not ours.is_stopped("a")
    code = f"from pathlib import Path\nfrom gateway.queue.brakes import Brakes\nimport time\n" \
           f"Brakes(Path({str(path)!r})).stop('a', 'limit', '', 'brake', 1.0)\nprint(time.time())"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)
    eventually(lambda: ours.is_stopped("a"))
    took = time.time() - float(done.stdout)
    print(f"seen after {took:.2f} s")
    assert took < 10
    ours.close()


def test_a_file_that_cannot_be_read_stops_nobody_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "brakes.db"
    path.write_bytes(b"no database at all" * 100)
    brakes = Brakes(path)
    assert not brakes.is_stopped("a")
    assert "brakes.db" in brakes.trouble
    with pytest.raises(Deferred):
        brakes.stop("a", "limit", "", "brake", 1.0)
    with pytest.raises(Deferred):
        stopped(path)
    path.unlink()
    assert brakes.stop("a", "limit", "", "brake", 1.0)
    assert brakes.is_stopped("a") and brakes.trouble == ""
    brakes.close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=9")
    later = Brakes(path)
    later.is_stopped("a")
    assert "newer version" in later.trouble


def test_days_are_counted_apart_and_kept_for_the_history(tmp_path: Path) -> None:
    facts = SendingFacts(tmp_path / "sending.db", 3 * DAY)
    first = facts.add({"a": tally(5, limited=1), "b": tally(1)}, NOON)["a"]
    assert first.today == Counts(5, 1, 0) and first.learned == 0
    again = facts.add({"a": tally(7)}, NOON)["a"]
    assert again.today == Counts(7, 1, 0), "the same recipients count once"
    assert (again.week_recipients, again.week_failed) == (12, 0)
    following = facts.add({"a": Tally(failed=3, networks={mark("x"), mark("y")})}, NOON + DAY)["a"]
    assert following.today == Counts(0, 0, 2) and following.usual == Counts(7, 1, 0)
    assert (following.week_recipients, following.week_failed, following.learned) == (12, 3, DAY)
    with sqlite3.connect(tmp_path / "sending.db") as db:
        assert db.execute("SELECT count(*) FROM seen WHERE day<?", (int(NOON // DAY) + 1,)).fetchone()[0] == 0
    assert facts.add({"a": tally(1)}, NOON + 3 * DAY)["a"].usual.outside == 7
    assert facts.add({"a": tally(1)}, NOON + 5 * DAY)["a"].usual.outside == 1
    facts.close()


def test_what_is_forgiven_and_what_is_usual(tmp_path: Path) -> None:
    facts = SendingFacts(tmp_path / "sending.db", 35 * DAY)
    facts.add({"a": tally(9, failed=9)}, NOON)
    facts.forgive("a", NOON, is_usual=False)
    again = facts.add({"a": tally(4)}, NOON)["a"]
    assert (again.today, again.usual, again.week_failed) == (Counts(4), Counts(), 0)
    facts.forgive("a", NOON, is_usual=True)
    assert facts.add({"a": tally(4)}, NOON)["a"].usual == Counts(4)
    facts.close()


def test_different_recipients_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.queue.sending_facts.MAX_DIFFERENT", 10)
    facts = SendingFacts(tmp_path / "sending.db", 35 * DAY)
    for _ in range(3):
        assert facts.add({"a": tally(8)}, NOON)["a"].today.outside == 8
    assert facts.add({"a": tally(30)}, NOON)["a"].today.outside <= 10
    facts.close()


def test_trouble_with_the_file_is_temporary(tmp_path: Path) -> None:
    (tmp_path / "sending.db").mkdir()
    facts = SendingFacts(tmp_path / "sending.db", DAY)
    with pytest.raises(Deferred):
        facts.add({"a": tally(1)}, NOON)
    (tmp_path / "sending.db").rmdir()
    assert eventually(lambda: facts.add({"a": tally(1)}, NOON)) < 10
