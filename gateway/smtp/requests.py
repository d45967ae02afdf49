"""What the SMTP core asks of its driver. The driver answers, or throws Deferred or Refused in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from directory.model import Deferred, Refused
from gateway.mail.envelope import Envelope

#: what became of one recipient: None = accepted
Outcome: TypeAlias = Deferred | Refused | None


@dataclass(frozen=True, slots=True)
class CheckOriginator:
    """May the authenticated account send with this return path and declared size (None = not declared)?"""

    return_path: str
    size: int | None


@dataclass(frozen=True, slots=True)
class VerifyRecipient:
    """Route one recipient. Answer: the route, kept with the recipient."""

    address: str
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Check a password. Answer: `directory.port.Login`."""

    login: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class StartTls:
    """Everything yielded so far goes out in the clear, what comes after it is TLS. Answer: None."""


@dataclass(frozen=True, slots=True)
class Spool:
    """Keep pieces of a message that has grown too large for memory, behind what was spooled. Answer: None."""

    pieces: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class DropSpool:
    """Forget what was spooled."""


@dataclass(frozen=True, slots=True)
class Accept:
    """Take responsibility for the message: `content`, then what was spooled. LF line ends.

    Answer: `Accepted`. Everything accepted is durable when the answer is given.
    """

    envelope: Envelope
    content: bytes
    size: int
    spooled: bool


@dataclass(frozen=True, slots=True)
class Accepted:
    """`id` is what to search the log for; one outcome a recipient, in the order of the envelope."""

    id: str
    outcomes: list[Outcome]
