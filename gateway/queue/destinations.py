"""How many messages go to one destination at once, and which destinations did not answer lately.

A destination begins with a few connections, gets one more with each success and loses one with each failure.
One that could not be reached is left alone for a while that doubles each time; its messages stay due and cost
no attempt. Kept in memory: a new process learns it again. Every number is bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.queue.settings import QueueSettings

MAX_REMEMBERED = 10_000


@dataclass(slots=True)
class _Destination:
    allowed: float
    busy: int = 0
    waiting: int = 0
    failures: int = 0
    #: not before this moment
    silent_until: float = 0.0
    why: str = ""
    changed: asyncio.Event | None = None


class NotNow(Exception):
    """A destination gets nothing before `until`; `why` is for people."""

    def __init__(self, until: float, why: str) -> None:
        super().__init__(why)
        self.until, self.why = until, why


class Destinations:
    """In one event loop."""

    def __init__(self, settings: QueueSettings) -> None:
        self._settings = settings
        self._known: dict[str, _Destination] = {}

    def _of(self, key: str) -> _Destination:
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= MAX_REMEMBERED:
                idle = [name for name, each in self._known.items() if not each.busy and not each.waiting]
                for name in idle[: MAX_REMEMBERED // 2]:
                    del self._known[name]
            found = self._known[key] = _Destination(float(self._settings.destination_begin))
        return found

    def silence(self, key: str, now: float) -> NotNow | None:
        """Why a destination gets nothing at this moment; None when it may be tried."""
        place = self._known.get(key)
        return NotNow(place.silent_until, place.why) if place is not None and now < place.silent_until else None

    @asynccontextmanager
    async def place(self, key: str, now: float) -> AsyncIterator[None]:
        """One of the places of a destination, waited for. Raises NotNow where it did not answer lately, or where
        as many wait already as would fill it."""
        if (silence := self.silence(key, now)) is not None:
            raise silence
        place = self._of(key)
        if place.waiting >= self._settings.destination_max:
            raise NotNow(now + self._settings.destination_pause, f"{key}: {place.busy} connections are busy")
        place.waiting += 1
        try:
            while place.busy >= int(place.allowed):
                if place.changed is None or place.changed.is_set():
                    place.changed = asyncio.Event()
                await place.changed.wait()
        finally:
            place.waiting -= 1
        place.busy += 1
        try:
            yield
        finally:
            place.busy -= 1
            if place.changed is not None:
                place.changed.set()

    def answered(self, key: str) -> None:
        """It talked to us, whatever it said of the message."""
        place = self._of(key)
        place.failures, place.silent_until, place.why = 0, 0.0, ""
        place.allowed = min(place.allowed + 1 / max(place.allowed, 1.0), float(self._settings.destination_max))

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
