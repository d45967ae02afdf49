"""One thread of a pool at a time, except while it waits for a disk.

A delivery or the removal of a hundred messages is many short file calls, each of which gives the interpreter's lock
away and takes it back. Several threads at that hand it to and fro with every call, which costs more than the calls.
A turn is no lock: nothing relies on being alone, and where calls are slow (a server far away, a disk that hangs) the
others go on without after `PATIENCE`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 0.005  # seconds

T = TypeVar("T")


class _Held(threading.local):
    turn: threading.Lock | None = None


_held = _Held()


def in_turn(turn: threading.Lock, work: Callable[[], T]) -> T:
    """What `work` returns or raises; begun when others have done theirs, or wait in `aside`, or after `PATIENCE`."""
    _held.turn = turn if turn.acquire(timeout=PATIENCE) else None
    try:
        return work()
    finally:
        turn_held, _held.turn = _held.turn, None
        if turn_held is not None:
            turn_held.release()


def aside(wait: Callable[[], T]) -> T:
    """Call what waits for a disk; others have their turn meanwhile."""
    turn = _held.turn
    if turn is None:
        return wait()
    _held.turn = None
    turn.release()
    try:
        return wait()
    finally:
        if turn.acquire(timeout=PATIENCE):
            _held.turn = turn
