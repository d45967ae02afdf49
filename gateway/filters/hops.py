"""The loop check: a message with too many Received fields goes round (RFC 5321 6.3)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from directory.model import Condition, Refused
from gateway.filters.port import ACCEPT, Facts, Verdict

_RECEIVED = re.compile(rb"^received[ \t]*:", re.IGNORECASE | re.MULTILINE)


class HopCheck:
    """Implements `ContentCheck`."""

    name = "hops"

    def __init__(self, max_hops: int) -> None:
        self._max_hops = max_hops

    async def check(self, facts: Facts, body: Sequence[bytes], deadline: float) -> Verdict:
        hops = sum(1 for _ in _RECEIVED.finditer(facts.header))
        if hops > self._max_hops:
            raise Refused(Condition.TOO_MANY_HOPS, f"{hops} Received fields")
        return ACCEPT


def header_of(pieces: Sequence[bytes], limit: int = 1024 * 1024) -> bytes:
    """The header block of a message in pieces; at most `limit` octets are looked at."""
    start = b""
    for piece in pieces:
        start += piece
        end = start.find(b"\n\n")
        if start.startswith(b"\n"):
            return b""
        if end >= 0:
            return start[: end + 1]
        if len(start) >= limit:
            break
    return start
