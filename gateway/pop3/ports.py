"""What the POP3 core asks of its driver, and what it gets back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the snapshot; `size` counts CRLF line ends."""

    uid: int
    size: int


@dataclass(frozen=True, slots=True)
class Maildrop:
    """The snapshot taken at login, in UID order."""

    uidvalidity: int
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Login:
    """Prove a login, lock and open the maildrop. Answer: Maildrop; raises Refused, Deferred, InUse."""

    name: str
    password: str


@dataclass(frozen=True, slots=True)
class StartTls:
    """Change to TLS; the answer comes when the handshake is done."""


@dataclass(frozen=True, slots=True)
class Content:
    """The stored octets (LF line ends) of a message. Answer: bytes, None when its file is gone."""

    uid: int


@dataclass(frozen=True, slots=True)
class Update:
    """Remove these messages and give the lock back (RFC 1939 6)."""

    uids: tuple[int, ...]


class InUse(Exception):
    """Another session holds the maildrop."""
