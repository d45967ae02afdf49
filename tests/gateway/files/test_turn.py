"""One thread at a time, as long as that makes nobody wait for a disk."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.files import turn as turns
from gateway.files.turn import aside, in_turn

WAIT = 60.0


def test_others_have_their_turn_while_one_waits_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE", WAIT)
    turn, begun, done = threading.Lock(), threading.Event(), threading.Event()
    order: list[str] = []

    def first() -> None:
        begun.set()
        order.append("first")
        assert aside(lambda: done.wait(WAIT)), "the second got its turn meanwhile"
        order.append("first again")

    def second() -> None:
        order.append("second")
        done.set()

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(in_turn, turn, first)
        assert begun.wait(WAIT)
        pool.submit(in_turn, turn, second).result(WAIT)
        one.result(WAIT)
    assert order == ["first", "second", "first again"]
    assert not turn.locked()


def test_nobody_waits_for_one_that_hangs() -> None:
    turn, begun, end = threading.Lock(), threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        end.wait(WAIT)

    with ThreadPoolExecutor(2) as pool:
        hanging = pool.submit(in_turn, turn, hang)
        try:
            assert begun.wait(WAIT)
            assert pool.submit(in_turn, turn, lambda: aside(lambda: "done")).result(WAIT) == "done"
            assert turn.locked(), "the turn of the one that hangs was not given back by another"
        finally:
            end.set()
        hanging.result(WAIT)
    assert not turn.locked()


def test_what_fails_gives_its_turn_back() -> None:
    turn = threading.Lock()
    with pytest.raises(OSError, match="broken"):
        in_turn(turn, lambda: aside(_broken))
    assert not turn.locked()
    with pytest.raises(OSError, match="broken"):
        aside(_broken)


def _broken() -> None:
    raise OSError("broken")
