"""What the SMTP core asks of its driver. The driver answers, or throws Deferred or Refused in."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.mail.envelope import Envelope


@dataclass(frozen=True, slots=True)
class VerifyRecipient:
    """Route one recipient. Answer: the route, kept with the recipient."""

    address: str
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Spool:
    """Keep a piece of a message that has grown too large for memory. Answer: None."""

    data: bytes


@dataclass(frozen=True, slots=True)
class DropSpool:
    """Forget what was spooled."""


@dataclass(frozen=True, slots=True)
class Accept:
    """Take responsibility for the message: what was spooled, then `pieces`. LF line ends.

    Answer: for each recipient None (accepted) or the Deferred or Refused that holds for it. Everything
    accepted is durable when the answer is given.
    """

    envelope: Envelope
    pieces: tuple[bytes, ...]
    size: int
