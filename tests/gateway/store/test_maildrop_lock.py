"""The lock on a maildrop: one owner, a lease, the same in SQLite and in memory, also between processes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.store.memory import MemoryRepository
from gateway.store.repository import Repository
from gateway.store.sqlite import SqliteRepository


@pytest.fixture(params=["sqlite", "memory"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Repository]:
    made: Repository = SqliteRepository(tmp_path) if request.param == "sqlite" else MemoryRepository()
    yield made
    made.close()


def test_one_owner_until_it_gives_back_or_its_lease_ends(repository: Repository) -> None:
    assert repository.lock_maildrop("a", "one", now=100, until=130)
    assert not repository.lock_maildrop("a", "two", now=129, until=160)
    assert repository.lock_maildrop("b", "two", now=100, until=130)
    assert repository.lock_maildrop("a", "one", now=120, until=150)  # renewed
    assert not repository.lock_maildrop("a", "two", now=140, until=170)
    repository.unlock_maildrop("a", "two")  # not its own
    assert not repository.lock_maildrop("a", "two", now=140, until=170)
    assert repository.lock_maildrop("a", "two", now=150, until=180)
    assert not repository.lock_maildrop("a", "one", now=150, until=180)
    repository.unlock_maildrop("a", "two")
    assert repository.lock_maildrop("a", "one", now=151, until=180)


def test_a_killed_process_leaves_its_lock_until_the_lease_ends(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from gateway.store.sqlite import SqliteRepository\n"
        "r = SqliteRepository(Path(sys.argv[1])); now = time.time()\n"
        "print(r.lock_maildrop('a', 'killed', now, now + 2), flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        other.kill()
    repository = SqliteRepository(tmp_path)
    assert not repository.lock_maildrop("a", "next", time.time(), time.time() + 30)
    deadline = time.monotonic() + 20
    while not repository.lock_maildrop("a", "next", time.time(), time.time() + 30):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    repository.close()
