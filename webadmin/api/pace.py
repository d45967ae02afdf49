"""How many requests an account's programs may make: a bucket each, in this process's memory, bounded."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

MAX_KEPT = 10_000
MAX_OCTETS = 32 << 20  # of all answers that are kept


class Pace:
    """Thread-safe. `per_minute` requests at once, filled up again evenly."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = float(per_minute), clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, account: str) -> float:
        """0.0 when the account may go on, else the seconds after which it may."""
        with self._lock:
            now = self._clock()
            left, at = self._buckets.get(account, (self._most, now))
            left = min(self._most, left + (now - at) * self._most / 60)
            if left < 1:
                self._buckets[account] = left, now
                return (1 - left) * 60 / self._most
            self._buckets[account] = left - 1, now
            self._buckets.move_to_end(account)
            if len(self._buckets) > MAX_KEPT:
                self._buckets.popitem(last=False)
            return 0.0


class Answers:
    """Answers to requests with an Idempotency-Key, for a day and in this process only; thread-safe."""

    def __init__(
        self, seconds: float = 86_400.0, most: int = MAX_KEPT, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds, self._most, self._clock = seconds, most, clock
        self._lock = threading.Lock()
        self._octets = 0  # of all answers
        self._kept: OrderedDict[tuple[str, str], tuple[float, str, int, bytes]] = OrderedDict()

    def of(self, account: str, key: str) -> tuple[str, int, bytes] | None:
        """(what was asked, status, octets) under that key."""
        with self._lock:
            found = self._kept.get((account, key))
            if found is None or self._clock() - found[0] > self._seconds:
                return None
            return found[1:]

    def keep(self, account: str, key: str, asked: str, status: int, octets: bytes) -> None:
        """Remember an answer."""
        with self._lock:
            before = self._kept.get((account, key))
            self._octets += len(octets) - (len(before[3]) if before is not None else 0)
            self._kept[account, key] = self._clock(), asked, status, octets
            while len(self._kept) > self._most or self._octets > MAX_OCTETS:
                _, (_, _, _, gone) = self._kept.popitem(last=False)
                self._octets -= len(gone)
