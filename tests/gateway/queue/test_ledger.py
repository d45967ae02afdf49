"""Changes of queue.db that come together share a commit, and one that fails harms no other."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from directory.model import Condition, Deferred
from gateway.queue.ledger import Ledger
from gateway.queue.state import Arrived, QueueState
from gateway.queue.wake import bell, heard, kept, ring


def test_what_comes_while_a_commit_is_under_way_shares_the_next(tmp_path: Path) -> None:
    state = QueueState(tmp_path / "queue.db")
    ledger = Ledger(state)
    commits: list[str] = []
    state._db.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    removed: list[str] = []
    gate = threading.Event()

    def first() -> None:
        assert gate.wait(10)
        state.add([Arrived("first", 1, 0.0)])

    def fails() -> None:
        state.add([Arrived("half", 1, 0.0)])
        raise Deferred(Condition.QUEUE_UNAVAILABLE, "its own fault")

    def there(message: str) -> None:
        assert message in state.messages(), "what follows a commit sees it"
        removed.append(message)

    async def main() -> None:
        leading = asyncio.ensure_future(ledger.write(first))
        await asyncio.sleep(0.05)
        others = [
            asyncio.ensure_future(
                ledger.write(lambda n=n: state.add([Arrived(f"m{n}", 1, 0.0)]), then=lambda n=n: there(f"m{n}"))  # type: ignore[misc]
            )
            for n in range(50)
        ]
        await asyncio.sleep(0.05)
        gate.set()
        await asyncio.gather(leading, *others)
        assert len(commits) == 2
        failing = asyncio.ensure_future(ledger.write(fails, then=lambda: there("never")))
        good = asyncio.ensure_future(ledger.write(lambda: state.add([Arrived("good", 1, 0.0)])))
        with pytest.raises(Deferred, match="its own fault"):
            await failing
        await good

    asyncio.run(main())
    ledger.close()
    assert state.messages() == {"first", "good", *(f"m{n}" for n in range(50))}
    assert removed == [f"m{n}" for n in range(50)]


def test_whoever_hears_as_many_as_are_kept_looks_for_those_that_were_lost(tmp_path: Path) -> None:
    path = tmp_path / "bell"
    sock = bell(path)
    most = kept()
    for number in range(2):
        ring(path, f"m{number}")
    assert heard(sock, most) == ["m0", "m1"]
    for number in range(2 * most + 5):
        ring(path, f"m{number}")
    names = heard(sock, most)
    assert most <= len(names) - 1 < 2 * most + 5, "the kernel keeps few"
    assert names[-1] == ""
    sock.close()
    os.unlink(path)
    ring(path, "nobody hears it, and nothing is raised")
