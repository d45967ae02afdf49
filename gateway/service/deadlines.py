"""Time-outs of all connections of a process with one timer: a wheel of whole seconds.

To arm again costs an assignment in the common case (the new time is later than the old one), and an idle
connection costs one entry of a set, no timer of the loop. A time-out comes up to a second late, never early.
"""

from __future__ import annotations

import asyncio
import math
from typing import Protocol

NEVER = math.inf


class Timed(Protocol):
    """What can expire. `deadline` is loop time, `slot` belongs to the wheel (0 = in none)."""

    deadline: float
    slot: int

    def expired(self) -> None:
        """`deadline` has passed; called once, from the loop."""
        ...

    def __hash__(self) -> int: ...


class Deadlines:
    """One a worker; used in its event loop only."""

    def __init__(self) -> None:
        self._slots: dict[int, set[Timed]] = {}
        self._ticking = False

    def arm(self, timed: Timed, at: float) -> None:
        """Let `timed` expire at loop time `at`; NEVER only stops an earlier one."""
        timed.deadline = at
        if at == NEVER or 0 < timed.slot < at + 1.0:
            return  # looked at when its slot comes, and moved then
        self._drop(timed)
        self._place(timed)

    def disarm(self, timed: Timed) -> None:
        """Forget `timed`: it has ended."""
        timed.deadline = NEVER
        self._drop(timed)

    def _place(self, timed: Timed) -> None:
        slot = timed.slot = math.ceil(timed.deadline)
        waiting = self._slots.get(slot)
        if waiting is None:
            waiting = self._slots[slot] = set()
        waiting.add(timed)
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_later(1.0, self._tick)

    def _drop(self, timed: Timed) -> None:
        waiting = self._slots.get(timed.slot)
        if waiting is not None:
            waiting.discard(timed)
            if not waiting:
                del self._slots[timed.slot]
        timed.slot = 0

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for slot in [slot for slot in self._slots if slot <= now]:
            for timed in self._slots.pop(slot):
                timed.slot = 0
                if timed.deadline <= now:
                    timed.expired()
                elif timed.deadline != NEVER:
                    self._place(timed)
        self._ticking = bool(self._slots)
        if self._ticking:
            loop.call_later(1.0, self._tick)
