"""Octets that one thread writes until a moment later, or in one block, in one call. The writer and the moment are given
at start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

MOST = 100  # pieces that are kept


class Gathered:
    """Without `begin` and outside `together` everything is written at once."""

    def __init__(self, write: Callable[[bytes], object], thread: Callable[[], int]) -> None:
        """`thread` tells which thread asks."""
        self._write, self._asking = write, thread
        self._soon: Callable[[Callable[[], None]], object] | None = None
        self._thread = 0
        self._waiting: list[bytes] = []
        self._together: dict[int, list[bytes]] = {}

    def begin(self, soon: Callable[[Callable[[], None]], object]) -> None:
        """From now on this thread's octets wait until `soon` (a loop's `call_soon`) calls what it is given."""
        self._soon, self._thread = soon, self._asking()

    def put(self, data: bytes, *, now: bool = False) -> None:
        """Write `data`; with `now` it does not wait, nor does what came before."""
        if self._together and (held := self._together.get(self._asking())) is not None:
            held.append(data)
            if now or len(held) >= MOST:
                self._write(b"".join(held))
                held.clear()
            return
        if self._soon is None or self._asking() != self._thread:
            self._write(data)
            return
        self._waiting.append(data)
        if now or len(self._waiting) >= MOST:
            self.flush()
        elif len(self._waiting) == 1:
            try:
                self._soon(self.flush)
            except RuntimeError:  # the loop has ended
                self.flush()

    @contextmanager
    def together(self) -> Iterator[None]:
        """What this thread puts inside the block is written at its end, in as few calls as the bound allows."""
        thread = self._asking()
        if thread in self._together:
            yield
            return
        held = self._together[thread] = []
        try:
            yield
        finally:
            del self._together[thread]
            if held:
                self._write(b"".join(held))

    def flush(self) -> None:
        """Write what waits."""
        some, self._waiting = self._waiting, []
        if some:
            self._write(b"".join(some))
