"""How many messages go to one destination at once, and which destinations did not answer lately.

A destination begins with a few connections, gets one more with each success and loses one with each failure. So many
messages as it has connections at most wait in line for it; others are turned away, and called when there is room.
One that could not be reached is left alone for a while that doubles each time; its messages stay due and cost
no attempt. Kept in memory: a new process learns it again. Every number is bounded.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.queue.settings import QueueSettings

MAX_REMEMBERED = 10_000
MAX_CALLED = 10_000  # messages of all destinations that are called; others come again by themselves


@dataclass(slots=True)
class _Destination:
    allowed: float
    busy: int = 0
    waiting: int = 0
    failures: int = 0
    #: not before this moment
    silent_until: float = 0.0
    why: str = ""
    #: who waits in line for a place, the first first
    line: deque[asyncio.Future[None]] = field(default_factory=deque)
    #: messages that were turned away and are called when there is room, the first first
    turned_away: OrderedDict[str, None] = field(default_factory=OrderedDict)


class NotNow(Exception):
    """A destination gets nothing before `until`; `why` is for people."""

    def __init__(self, until: float, why: str) -> None:
        super().__init__(why)
        self.until, self.why = until, why


class Crowded(NotNow):
    """As many wait for the destination `key` already as would fill it."""

    def __init__(self, until: float, why: str, key: str) -> None:
        super().__init__(until, why)
        self.key = key


class Seat:
    """The right to wait in line for a destination; given up once, in a place or without one."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave: Callable[[], None] | None = leave

    def leave(self) -> None:
        """Somebody else may have it."""
        if self._leave is not None:
            leave, self._leave = self._leave, None
            leave()


class Destinations:
    """In one event loop. `call` is told a message that was turned away and may come now; False = it does not."""

    def __init__(self, settings: QueueSettings, call: Callable[[str], bool] = lambda message: True) -> None:
        self._settings, self.call = settings, call
        self._known: dict[str, _Destination] = {}
        #: messages that are called, and by whom
        self._turned_away: dict[str, _Destination] = {}

    def _of(self, key: str) -> _Destination:
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= MAX_REMEMBERED:
                idle = [
                    name for name, each in self._known.items() if not (each.busy or each.waiting or each.turned_away)
                ]
                for name in idle[: MAX_REMEMBERED // 2]:
                    del self._known[name]
            found = self._known[key] = _Destination(float(self._settings.destination_begin))
        return found

    def silence(self, key: str, now: float) -> NotNow | None:
        """Why a destination gets nothing at this moment; None when it may be tried."""
        place = self._known.get(key)
        return NotNow(place.silent_until, place.why) if place is not None and now < place.silent_until else None

    def seat(self, key: str, now: float) -> Seat:
        """A seat in the line for a destination. Raises NotNow where it did not answer lately, Crowded where as many
        wait as would fill it."""
        if (silence := self.silence(key, now)) is not None:
            raise silence
        place = self._of(key)
        if place.waiting >= self._settings.destination_max:
            raise Crowded(now + self._settings.destination_pause, f"{key}: {place.busy} connections are busy", key)
        place.waiting += 1
        return Seat(lambda: self._left(place))

    def turn_away(self, key: str, message: str) -> None:
        """Call this message when there is room again."""
        self.came(message)
        if len(self._turned_away) < MAX_CALLED:
            place = self._turned_away[message] = self._of(key)
            place.turned_away[message] = None

    def came(self, message: str) -> None:
        """It is tried, or gone: it is not called any more."""
        place = self._turned_away.pop(message, None)
        if place is not None:
            del place.turned_away[message]

    def _left(self, place: _Destination) -> None:
        place.waiting -= 1
        while place.turned_away:
            message, _ = place.turned_away.popitem(last=False)
            del self._turned_away[message]
            if self.call(message):
                return

    @asynccontextmanager
    async def place(self, key: str, seat: Seat, clock: Callable[[], float]) -> AsyncIterator[None]:
        """One of the places of a destination, waited for in line; the seat is given up. Raises NotNow where the
        destination fell silent meanwhile."""
        place = self._of(key)
        try:
            if place.line or place.busy >= int(place.allowed):
                turn = asyncio.get_running_loop().create_future()
                place.line.append(turn)
                self._next(place)
                try:
                    await turn
                except BaseException:
                    if turn.done() and not turn.cancelled():  # a place was given to somebody who is gone
                        self._emptied(place)
                    raise
            else:
                place.busy += 1
        finally:
            seat.leave()
        try:
            if (silence := self.silence(key, clock())) is not None:
                raise silence
            yield
        finally:
            self._emptied(place)

    def _emptied(self, place: _Destination) -> None:
        place.busy -= 1
        self._next(place)

    @staticmethod
    def _next(place: _Destination) -> None:
        """Give free places to the first in line."""
        while place.line and place.busy < int(place.allowed):
            turn = place.line.popleft()
            if not turn.done():
                place.busy += 1
                turn.set_result(None)

    def answered(self, key: str) -> None:
        """It talked to us, whatever it said of the message."""
        place = self._of(key)
        place.failures, place.silent_until, place.why = 0, 0.0, ""
        place.allowed = min(place.allowed + 1 / max(place.allowed, 1.0), float(self._settings.destination_max))
        self._next(place)

    def silent(self, key: str, now: float, why: str) -> float:
        """It could not be reached: until when it is left alone."""
        place = self._of(key)
        if now >= place.silent_until:  # several that failed at once are one failure
            place.failures += 1
            wait = self._settings.dead_first * 2.0 ** min(place.failures - 1, 30)
            place.silent_until = now + min(wait, self._settings.retry_max)
            place.why = why
        place.allowed = max(place.allowed - 1, 1.0)
        return place.silent_until

    def forget(self) -> None:
        """An administrator wants everything tried now."""
        for place in self._known.values():
            place.failures, place.silent_until = 0, 0.0

    def told(self) -> list[dict[str, object]]:
        """What is known of destinations that are in use or silent, for people."""
        return [
            {"destination": key, "busy": each.busy, "waiting": each.waiting, "allowed": int(each.allowed),
             "silent_until": each.silent_until, "why": each.why}
            for key, each in sorted(self._known.items()) if each.busy or each.waiting or each.silent_until
        ]  # fmt: skip
