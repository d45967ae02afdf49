"""The index of all stores behind one synchronous interface: one call is one transaction.

Every key starts with the account. Raises Deferred(STORE_UNAVAILABLE) for trouble with the database.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class AccountRow:
    """A store: `path` is the Maildir, absolute, computed once and kept."""

    account: str
    path: str
    used_bytes: int
    used_messages: int


@dataclass(frozen=True, slots=True)
class MailboxRow:
    """A mailbox. `id` never changes, `name` is the IMAP name with `/`."""

    id: int
    name: str
    uidvalidity: int
    uidnext: int
    highestmodseq: int


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to be placed. `ukey` is the unique part of its file name."""

    ukey: str
    size: int
    crlf: int
    internaldate: float
    recipient: str = ""
    flags: str = ""


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message. `name` is its file name in cur/ up to `:`, flags are Maildir letters."""

    uid: int
    modseq: int
    flags: str
    size: int
    crlf: int
    internaldate: float
    ukey: str
    name: str


@dataclass(frozen=True, slots=True)
class Limits:
    """Hard limits of a store; 0 is unlimited."""

    bytes: int = 0
    messages: int = 0


class Repository(Protocol):
    """Implemented by SQLite (one host) and in memory (tests)."""

    def account(self, account: str) -> AccountRow | None: ...

    def create_account(self, account: str, path: str, now: float) -> AccountRow:
        """Make the account with its INBOX; an existing one is returned as it is."""
        ...

    def mailbox(self, account: str, name: str) -> MailboxRow | None: ...

    def mailboxes(self, account: str) -> list[MailboxRow]: ...

    def add(self, account: str, mailbox: int, message: NewMessage, limits: Limits) -> tuple[int, int, str]:
        """Place one message: (UID, MODSEQ, file name). Raises Refused(MAILBOX_FULL)."""
        ...

    def messages(self, account: str, mailbox: int, after_modseq: int = 0) -> list[MessageRow]:
        """Messages whose MODSEQ is greater, by UID."""
        ...

    def close(self) -> None: ...
