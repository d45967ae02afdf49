"""Content checks: what they are given and what they may say. They run in order before responsibility is taken.

A check that cannot decide in time says so by `Deferred`, never by accepting.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.mail.envelope import Envelope
from gateway.mail.header import Header


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a message beside its octets; `header` is where its fields are, as it came."""

    envelope: Envelope
    header: Header
    client: str
    service: str
    hostname: str


class Kind(enum.Enum):
    """`JUNK` is accepted and marked."""

    ACCEPT = "accept"
    JUNK = "junk"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Accepted, with complete header lines to put in front; defer and refuse are raised."""

    kind: Kind = Kind.ACCEPT
    header_lines: tuple[bytes, ...] = ()


ACCEPT = Verdict()


class ContentCheck(Protocol):
    """One check. Raises Deferred or Refused for the whole message."""

    name: str

    async def check(self, facts: Facts, body: Sequence[bytes], deadline: float) -> Verdict:
        """`body` is the message in pieces, `deadline` monotonic time. Raises Deferred, Refused."""
        ...


async def run(checks: Sequence[ContentCheck], facts: Facts, body: Sequence[bytes], deadline: float) -> Verdict:
    """All checks in order; the first that defers or refuses ends it. Raises Deferred, Refused."""
    lines: list[bytes] = []
    junk = False
    for check in checks:
        verdict = await check.check(facts, body, deadline)
        lines.extend(verdict.header_lines)
        junk = junk or verdict.kind is Kind.JUNK
    return Verdict(Kind.JUNK if junk else Kind.ACCEPT, tuple(lines)) if lines or junk else ACCEPT
