"""The loop check: a message with too many Received fields goes round (RFC 5321 6.3)."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.filters.port import ACCEPT, Facts, Verdict
from gateway.policy.content import looping


class HopCheck:
    """Implements `ContentCheck`."""

    name = "hops"

    def __init__(self, max_hops: int) -> None:
        self._max_hops = max_hops

    async def check(self, facts: Facts, body: Sequence[bytes], deadline: float) -> Verdict:
        loop = looping(facts.header, self._max_hops)
        if loop is not None:
            raise loop
        return ACCEPT
