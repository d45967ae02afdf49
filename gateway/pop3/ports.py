"""What the POP3 core asks of its driver, and what it gets back. The driver raises Refused and Deferred."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Message(NamedTuple):
    """A message of the snapshot; `size` counts CRLF line ends."""

    number: int
    uid: int
    size: int


@dataclass(frozen=True, slots=True)
class Maildrop:
    """The snapshot taken at login, in UID order; sequences of numbers, so that a large one stays small."""

    uidvalidity: int
    uids: Sequence[int]
    sizes: Sequence[int]
    #: unique-ids that another server gave, by UID
    uidls: Mapping[int, str] = field(default_factory=dict)

    def unique_id(self, uid: int) -> bytes:
        """What UIDL calls a message, for ever."""
        told = self.uidls.get(uid)
        return b"%08Xu%08Xv" % (uid, self.uidvalidity) if told is None else told.encode("ascii", "replace")


class TooSoon:
    """The login is right, but the account has logged in within `login_delay` (RFC 2449 8.1.1)."""


@dataclass(frozen=True, slots=True)
class Login:
    """Prove a login, lock and open the maildrop. Answer: Maildrop, or TooSoon; Deferred(MAILDROP_IN_USE) when another
    has it."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class StartTls:
    """Everything yielded so far goes out in the clear, what comes after it is TLS. Answer: None."""


@dataclass(frozen=True, slots=True)
class Content:
    """Begin to read a message. Answer: its first Piece, None when it is gone."""

    uid: int


@dataclass(frozen=True, slots=True)
class More:
    """Read on in the message begun last. Answer: the next Piece."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Stored octets (LF line ends)."""

    octets: bytes
    is_last: bool


@dataclass(frozen=True, slots=True)
class Update:
    """Remove these messages (RFC 1939 6), and what has been there for too long. Raises Deferred when none or not all could
    be removed."""

    uids: tuple[int, ...]
