"""Places of destinations and the memory of those that did not answer."""

from __future__ import annotations

import asyncio

import pytest

from gateway.queue import destinations
from gateway.queue.destinations import MAX_REMEMBERED, Destinations, NotNow, Seat
from gateway.queue.settings import QueueSettings

SETTINGS = QueueSettings(destination_begin=2, destination_max=4, dead_first=60.0, retry_max=200.0)


def test_places_grow_with_success_and_shrink_with_failure() -> None:
    known = Destinations(SETTINGS)

    def allowed() -> int:
        (told,) = known.told()
        return int(str(told["allowed"]))

    async def main() -> None:
        async with known.place("a", known.seat("a", 0), lambda: 0.0):
            assert allowed() == 2
            for _ in range(50):
                known.answered("a")
            assert allowed() == 4
            for moment in range(50):
                known.silent("a", moment * 1000.0, "")
            assert allowed() == 1

    asyncio.run(main())


def test_more_than_the_places_wait_and_more_than_that_are_sent_away() -> None:
    known = Destinations(SETTINGS)
    most = busy = 0

    async def one(seconds: float) -> None:
        nonlocal busy, most
        async with known.place("a", known.seat("a", 0), lambda: 0.0):
            busy += 1
            most = max(most, busy)
            await asyncio.sleep(seconds)
            busy -= 1

    async def main() -> None:
        tasks = [asyncio.ensure_future(one(0.02)) for _ in range(2 + 4)]
        await asyncio.sleep(0)
        with pytest.raises(NotNow) as caught:
            await one(0)
        assert caught.value.until == SETTINGS.destination_pause
        async with known.place("b", known.seat("b", 0), lambda: 0.0):  # another one is not concerned
            pass
        cancelled = tasks.pop()
        cancelled.cancel()
        await asyncio.gather(*tasks)
        assert most == 2
        await one(0)
        assert known.told() == []

    asyncio.run(main())


def test_who_does_not_answer_is_left_alone_for_longer_each_time() -> None:
    known = Destinations(SETTINGS)

    async def may(now: float) -> bool:
        try:
            async with known.place("a", known.seat("a", now), lambda: now):
                return True
        except NotNow as error:
            assert str(error) == "no route"
            return False

    async def main() -> None:
        now, waits = 1000.0, []
        for _ in range(4):
            until = known.silent("a", now, "no route")
            assert known.silent("a", now + 1, "no route") == until, "those that failed together are one failure"
            assert not await may(until - 1)
            assert await may(until)
            waits.append(until - now)
            now = until
        assert waits == [60.0, 120.0, 200.0, 200.0]
        known.answered("a")
        assert await may(now)
        assert known.silent("a", now, "no route") == now + 60.0
        known.forget()
        assert await may(now)

    asyncio.run(main())


def test_what_is_remembered_is_bounded() -> None:
    known = Destinations(SETTINGS)
    for number in range(2 * MAX_REMEMBERED + 5):
        known.silent(str(number), 0, "")
    assert len(known.told()) <= MAX_REMEMBERED


def _crowd(known: Destinations) -> list[Seat]:
    return [known.seat("a", 0) for _ in range(SETTINGS.destination_max)]


def test_who_does_not_come_when_called_costs_nobody_else_his_turn() -> None:
    called: list[str] = []

    def call(message: str) -> bool:
        called.append(message)
        return message != "gone"

    known = Destinations(SETTINGS, call)
    seats = _crowd(known)
    for message in ("came", "gone", "waits", "waits too"):
        known.turn_away("a", message)
    known.came("came")
    seats.pop().leave()
    assert called == ["gone", "waits"]
    seats.pop().leave()
    seats.pop().leave()
    assert called == ["gone", "waits", "waits too"]


def test_who_is_turned_away_again_is_called_once_and_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    known = Destinations(SETTINGS, lambda message: not called.append(message))  # type: ignore[func-returns-value]
    monkeypatch.setattr(destinations, "MAX_CALLED", 3)
    seats = _crowd(known)
    for _ in range(5):
        known.turn_away("a", "m1")
        known.turn_away("a", "m2")
    known.turn_away("b", "m3")
    known.turn_away("b", "one too many, comes by itself")
    known.seat("b", 0).leave()
    while seats:
        seats.pop().leave()
    assert called == ["m3", "m1", "m2"]
