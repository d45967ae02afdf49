"""What the IMAP core asks of its driver, and what it gets back."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.imap.view import View


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Prove a login. Answer: `directory.port.Login`; raises Refused, Deferred."""

    login: str
    password: str


@dataclass(frozen=True, slots=True)
class OpenMailbox:
    """Open a mailbox. Answer: `Opened`, None when there is none of that name."""

    name: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class ListMailboxes:
    """Names of all mailboxes of the account. Answer: tuple of str."""


@dataclass(frozen=True, slots=True)
class Status:
    """Figures of a mailbox without selecting it. Answer: `Figures`, None when there is none of that name."""

    name: str


@dataclass(frozen=True, slots=True)
class Figures:
    """What STATUS tells."""

    messages: int
    unseen: int
    uidnext: int
    uidvalidity: int


@dataclass(frozen=True, slots=True)
class Body:
    """The stored octets of a message. Answer: bytes, None when it is gone."""

    uid: int


@dataclass(slots=True)
class Opened:
    """A selected mailbox as the session sees it."""

    name: str
    read_only: bool
    view: View


@dataclass(frozen=True, slots=True)
class Refresh:
    """Read what has changed in the selected mailbox into its contents. Answer: False when the mailbox is gone."""
