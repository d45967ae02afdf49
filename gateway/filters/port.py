"""Content checks: what they are given and what they may say. They run in order before responsibility is taken.

A check that cannot decide in time says so by `Deferred`, never by accepting.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from gateway.mail.envelope import Envelope
from gateway.mail.header import Header

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a message beside its octets; `header` is where its fields are, as it came."""

    envelope: Envelope
    header: Header
    client: str
    service: str
    hostname: str
    id: str = ""
    helo: str = ""
    #: entry id of the account that is logged in
    login: str = ""
    #: the client is a relay of ours: who sent the message to it is not known here
    by_relay: bool = False


class Kind(enum.Enum):
    """`JUNK` is accepted and marked."""

    ACCEPT = "accept"
    JUNK = "junk"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Accepted; defer and refuse are raised."""

    kind: Kind = Kind.ACCEPT
    #: complete, to put in front
    header_lines: tuple[bytes, ...] = ()
    #: parts of our Authentication-Results field (RFC 8601 2.2)
    results: tuple[str, ...] = ()
    #: fields of the message to take out: name in lower case and which, from 1 (0 = all)
    removed: tuple[tuple[bytes, int], ...] = ()
    #: the return path is proven to be the sender's: a report may go there
    vouched: bool = False


ACCEPT = Verdict()


class Away(Protocol):
    """Runs on a thread what computes long."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """What `work` returns or raises. Raises Deferred when there is no thread for it."""
        ...


class ContentCheck(Protocol):
    """One check. Raises Deferred or Refused for the whole message."""

    name: str

    async def check(self, facts: Facts, body: Sequence[bytes], deadline: float) -> Verdict:
        """`body` is the message in pieces, `deadline` monotonic time. Raises Deferred, Refused."""
        ...


async def run(checks: Sequence[ContentCheck], facts: Facts, body: Sequence[bytes], deadline: float) -> Verdict:
    """All checks in order; the first that defers or refuses ends it. Raises Deferred, Refused."""
    verdicts = [await check.check(facts, body, deadline) for check in checks]
    told = [verdict for verdict in verdicts if verdict is not ACCEPT]
    if not told:
        return ACCEPT
    return Verdict(
        Kind.JUNK if any(verdict.kind is Kind.JUNK for verdict in told) else Kind.ACCEPT,
        tuple(line for verdict in told for line in verdict.header_lines),
        tuple(result for verdict in told for result in verdict.results),
        tuple(field for verdict in told for field in verdict.removed),
        any(verdict.vouched for verdict in told),
    )
