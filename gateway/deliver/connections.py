"""Connections that wait for the next message to the same hop: few, for seconds, each for a limited number of messages."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from itertools import count

from gateway.deliver.peer import Peer
from gateway.route.next_hop import NextHop


class Connections:
    """At most `limit` idle connections, the one that waits longest goes first. Owns what it holds."""

    def __init__(
        self, limit: int, seconds: float, messages: int, clock: Callable[[], float], on_idle: Callable[[], None]
    ) -> None:
        """`on_idle` is called when a connection begins to wait: `sweep` is due `seconds` later."""
        self._limit, self._seconds, self._messages, self._clock = limit, seconds, messages, clock
        self._on_idle = on_idle
        self._idle: OrderedDict[int, tuple[NextHop, Peer, float]] = OrderedDict()
        self._of: dict[NextHop, list[int]] = {}
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._idle)

    def take(self, hop: NextHop) -> Peer | None:
        """A connection that is still open, the one used last first; the caller owns it."""
        while numbers := self._of.get(hop):
            _, peer, until = self._remove(numbers[-1])
            if peer.is_open and until > self._clock():
                return peer
            peer.stream.close()
        return None

    async def give(self, hop: NextHop, peer: Peer) -> None:
        """Keep a connection whose last transaction is complete, or end it."""
        if not peer.is_open or peer.is_for_one or self._limit == 0 or peer.used >= self._messages:
            await peer.quit()
            return
        number = next(self._numbers)
        self._idle[number] = hop, peer, self._clock() + self._seconds
        self._of.setdefault(hop, []).append(number)
        self._on_idle()
        if len(self._idle) > self._limit:
            _, oldest, _ = self._remove(next(iter(self._idle)))
            await oldest.quit()

    async def sweep(self) -> None:
        """End what has waited long enough, or was ended by the peer."""
        now = self._clock()
        for number, (_, peer, until) in list(self._idle.items()):
            if number in self._idle and (until <= now or not peer.is_open):
                self._remove(number)
                await peer.quit()

    async def close(self) -> None:
        """End all."""
        while self._idle:
            _, peer, _ = self._remove(next(iter(self._idle)))
            await peer.quit()

    def _remove(self, number: int) -> tuple[NextHop, Peer, float]:
        found = self._idle.pop(number)
        numbers = self._of[found[0]]
        numbers.remove(number)
        if not numbers:
            del self._of[found[0]]
        return found
