"""Slows guessers down, by the address they come from. In memory: a restart forgives.

Counted are different (account, password) pairs that failed, an IPv4 address or an IPv6 /64 at a time. Beyond
a limit an address that somebody logged in from lately waits; one that never had a success is turned away
for now. Nobody is locked out: a company behind one address keeps working while one of its phones errs.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from directory.authenticator_memory import DAY
from directory.model import Condition, Deferred

MINUTE = 60.0
MAX_SOURCES = 20_000
SLOWEST_SECONDS = 5.0  # a client's own patience is thirty seconds and more, a worker's fifteen
STEP_SECONDS = 0.5


@dataclass(slots=True)
class _Source:
    failures: deque[tuple[float, bytes]] = field(default_factory=deque)
    pairs: set[bytes] = field(default_factory=set)


class Pace:
    """Thread-safe. Limits are failures a minute and a day."""

    def __init__(self, per_minute: int, per_day: int) -> None:
        self._per_minute, self._per_day = per_minute, per_day
        self._sources: OrderedDict[str, _Source] = OrderedDict()
        self._lock = threading.Lock()

    def _counts(self, source: str, now: float) -> tuple[int, int]:
        found = self._sources.get(source)
        if found is None:
            return 0, 0
        while found.failures and found.failures[0][0] <= now - DAY:
            found.pairs.discard(found.failures.popleft()[1])
        return sum(at > now - MINUTE for at, _ in found.failures), len(found.failures)

    def failed(self, source: str, pair: bytes, now: float) -> None:
        """A login from `source` failed; the same pair again does not count again."""
        if not source:
            return
        with self._lock:
            found = self._sources.setdefault(source, _Source())
            self._sources.move_to_end(source)
            if pair not in found.pairs:
                if len(found.failures) > max(self._per_day, self._per_minute):
                    found.pairs.discard(found.failures.popleft()[1])
                found.failures.append((now, pair))
                found.pairs.add(pair)
            if len(self._sources) > MAX_SOURCES:
                self._sources.popitem(last=False)

    def delay(self, source: str, now: float, *, known: Callable[[], bool]) -> float:
        """Seconds that a login from `source` waits before it is looked at.

        Raises Deferred for an address over a limit that is not `known` (no success lately); asked only then.
        """
        with self._lock:
            minute, day = self._counts(source, now)
        over = max(minute - self._per_minute, day - self._per_day)
        if over < 0:
            return 0.0
        if not known():
            raise Deferred(
                Condition.AUTHENTICATION_UNAVAILABLE, f"{source}: {minute} failed logins a minute, {day} a day"
            )
        return min(SLOWEST_SECONDS, STEP_SECONDS * (over + 1))

    def counts(self, source: str, now: float) -> tuple[int, int]:
        """Failures counted in the last minute and day, for a person to read."""
        with self._lock:
            return self._counts(source, now)

    def forget(self) -> None:
        """Start anew."""
        with self._lock:
            self._sources.clear()
