"""The index of all stores behind one synchronous interface: one call is one transaction.

Every key starts with the account. No cursor or transaction outlives a call. Raises
Deferred(STORE_UNAVAILABLE) for trouble with the database.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from directory.model import Condition, Deferred, Refused
from gateway.store.domain_use import DOMAIN_FULL

INBOX = "INBOX"
INBOX_ID = 1  # made with the account and never deleted; its rename moves the messages only
LOST_UIDVALIDITIES = 10_000  # those of mailboxes made and deleted before an index was lost are not given again
OWN_SECONDS = 12 * 3_600.0  # how exactly it is known when an address was owned last
Mode = Literal["add", "remove", "replace"]


@dataclass(frozen=True, slots=True)
class AccountRow:
    """A store: `path` is the Maildir, absolute, computed once and kept."""

    account: str
    path: str
    used_bytes: int
    used_messages: int


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account whose store was made just now: its markers are on disk and tell the UIDVALIDITY of its INBOX."""

    account: str
    path: str
    inbox_uidvalidity: int
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MailboxRow:
    """A mailbox. `id` never changes and is never used again, `name` is the IMAP name with `/`.

    `acl` and `metadata` are texts that `gateway.store.acl` and `gateway.store.metadata` read, "" when there is none.
    `subscribed` is filled by `Stores`, since subscriptions are a file beside the Maildir.
    """

    id: int
    name: str
    uidvalidity: int
    uidnext: int
    highestmodseq: int
    special_use: str = ""
    acl: str = ""
    metadata: str = ""
    subscribed: bool = False


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to be placed. `ukey` is the unique part of its file name.

    `name` is the file name up to `:` where the file has one already (adopted files keep theirs);
    empty makes `file_name`. `info` are the letters behind `:2,` in the name. `uid` is a UID
    the message had before; `adopt` keeps it when a lost row may have had it.
    """

    ukey: str
    size: int
    crlf: int
    internaldate: float
    recipient: str = ""
    flags: str = ""
    keywords: str = ""
    name: str = ""
    info: str = ""
    uid: int = 0
    #: EMAILID of the message that it is a copy of (RFC 8474)
    email: str = ""

    def file_name(self, uid: int) -> str:
        """The file's name up to `:`."""
        if self.name:
            return self.name
        name = f"{self.ukey},S={self.size},W={self.crlf},U={uid}"
        return f"{name},E={self.email}" if self.email else name


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message. `name` is its file name in cur/ up to `:`, `info` the letters behind `:2,` there.

    `flags` are Maildir letters of DFRST, sorted; `keywords` are separated by a space, sorted.
    `size` counts stored octets (LF), `crlf` octets on the wire. Dates are seconds since 1970.
    `used` is what the account holds with it, in octets, where `place` knows it; None elsewhere.
    """

    uid: int
    modseq: int
    flags: str
    keywords: str
    size: int
    crlf: int
    internaldate: float
    savedate: float
    ukey: str
    name: str
    recipient: str = ""
    info: str = ""
    used: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Limits:
    """Hard limits of a store; 0 is unlimited. `room`: octets that may be added whatever it holds, None = no limit."""

    bytes: int = 0
    messages: int = 0
    room: int | None = None

    def are_over(self, octets: int, messages: int, added: int) -> bool:
        """True when a store may not come to hold so much, `added` octets of it new."""
        return (
            bool(self.bytes and octets > self.bytes)
            or bool(self.messages and messages > self.messages)
            or self._is_domain_full(added)
        )

    def _is_domain_full(self, added: int) -> bool:
        return self.room is not None and added > self.room

    def refusal(self, added: int) -> Refused:
        """What is answered when they are over."""
        return Refused(Condition.MAILBOX_FULL, DOMAIN_FULL if self._is_domain_full(added) else "")


@dataclass(frozen=True, slots=True)
class Placement:
    """One message for one mailbox, as `place` takes it."""

    account: str
    mailbox: int
    message: NewMessage
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Counts:
    """What STATUS tells of a mailbox; `octets` are stored ones."""

    messages: int
    unseen: int
    octets: int
    deleted: int


#: (UID, MODSEQ, flags, keywords, octets on the wire, internal date) of a message, as in MessageRow
Outline: TypeAlias = tuple[int, int, str, str, int, float]


def first_uidvalidity(inbox: int, now: float, *, is_lost: bool) -> int:
    """The UIDVALIDITY of the first mailbox that is made beside INBOX. Those of mailboxes that were made and deleted before
    an index was lost are known to nobody; many made at once are ahead of the clock."""
    return max(inbox, int(now)) + (LOST_UIDVALIDITIES if is_lost else 1)


def lost_modseq() -> int:
    """Where the MODSEQs of a mailbox begin whose index was lost: above all that were given before.

    MODSEQs begin at 1 and grow by one a transaction, milliseconds since 1970 are out of their reach.
    """
    return int(time.time() * 1000)


class Repository(Protocol):
    """Implemented by SQLite (one host) and in memory (tests)."""

    # accounts
    def account(self, account: str) -> AccountRow | None: ...

    def accounts(self, after: str = "", limit: int = 1_000) -> list[AccountRow]:
        """Accounts in the order of their ids, from behind `after` on."""
        ...

    def create_account(
        self,
        account: str,
        path: str,
        now: float,
        *,
        inbox_uidvalidity: int = 0,
        inbox_uidnext: int = 0,
        next_mailbox: tuple[int, int] = (0, 0),
    ) -> AccountRow:
        """Make the account with its INBOX; an existing one is returned as it is.

        The INBOX of a lost index gets its UIDVALIDITY and UIDNEXT back (see `create_mailbox`). New mailboxes get no
        number below those of `next_mailbox`; where an index was lost, no UIDVALIDITY that one of a moment ago had.
        """
        ...

    def next_mailbox(self, account: str) -> tuple[int, int]:
        """Id and UIDVALIDITY that the next new mailbox gets; (0, 0) when there is no such account."""
        ...

    def create_accounts(
        self, wanted: Sequence[NewAccount], now: float
    ) -> list[tuple[AccountRow, MailboxRow] | Deferred]:
        """Make new accounts that own their addresses, each for itself: its row and its INBOX, or why not.

        An existing one is returned as it is. What a power cut may take is made again of the markers, with UIDs and
        MODSEQs above all that could be given until then.
        """
        ...

    def alone(self, account: str) -> AbstractContextManager[None]:
        """All that this thread does with an account is one change, and nobody else changes anything of it meanwhile: what
        they want to write is Deferred if it takes long. For programs beside the service, not for the service."""
        ...

    def delete_account(self, account: str) -> None:
        """Forget everything about an account; its files stay."""
        ...

    def rebind_account(self, old: str, new: str) -> None:
        """Give the whole store of `old` to `new`, which must have none. Raises ValueError."""
        ...

    def owners(self, address: str, since: float) -> list[str]:
        """Ids that owned an address at any time after `since`."""
        ...

    def own(self, account: str, addresses: Collection[str], now: float) -> None:
        """Note that an account owns addresses; written at most every 12 hours."""
        ...

    def disown(self, account: str, addresses: Collection[str]) -> None:
        """Forget that an account owned addresses."""
        ...

    # mailboxes
    def mailbox(self, account: str, name: str) -> MailboxRow | None: ...

    def mailbox_by_id(self, account: str, mailbox: int) -> MailboxRow | None: ...

    def mailboxes(self, account: str) -> list[MailboxRow]:
        """All mailboxes by name."""
        ...

    def create_mailbox(
        self,
        account: str,
        name: str,
        special_use: str = "",
        *,
        mailbox: int = 0,
        uidvalidity: int = 0,
        uidnext: int = 0,
        acl: str = "",
        metadata: str = "",
    ) -> MailboxRow:
        """Make a mailbox with a UIDVALIDITY that the account never gave before. Raises MailboxExists.

        `mailbox`, `uidvalidity` and `uidnext` are given when an index is rebuilt from the files: new UIDs begin
        at `uidnext`, lower ones come back by `adopt`, and MODSEQs begin above all that were ever given.
        """
        ...

    def delete_mailbox(self, account: str, mailbox: int) -> None:
        """Forget a mailbox and its messages; quota use falls. INBOX raises ValueError."""
        ...

    def rename_mailbox(self, account: str, mailbox: int, name: str) -> list[tuple[str, MailboxRow]]:
        """Rename a mailbox and those below it: (old name, new row). Raises MailboxExists, ValueError for INBOX."""
        ...

    def set_special_use(self, account: str, mailbox: int, special_use: str) -> None: ...

    def annotate(self, account: str, mailbox: int, change: Callable[[MailboxRow], MailboxRow]) -> MailboxRow:
        """Give a mailbox the `acl` and `metadata` of what `change` makes of its row; nothing else changes meanwhile."""
        ...

    def granted(self, identifiers: Collection[str], limit: int) -> list[tuple[str, int]]:
        """(account, mailbox) whose `acl` names one of these identifiers, at most `limit`."""
        ...

    # messages
    def files(self, account: str, mailbox: int) -> list[tuple[int, str, str, str, bool]]:
        """What files there should be, by UID: (UID, ukey, name up to `:`, letters, is expunged)."""
        ...

    def files_changed(self, account: str, mailbox: int, after_modseq: int) -> list[tuple[int, str, str, str, bool]]:
        """As `files`, of all messages and tombstones with a greater MODSEQ, in any order; also where no file is left."""
        ...

    def settle(self, account: str, mailbox: int) -> None:
        """Every lost row has been adopted: from now on no UID below UIDNEXT comes back."""
        ...

    def place(self, placements: Sequence[Placement]) -> list[MessageRow | Deferred | Refused]:
        """Place messages in any mailboxes of any accounts, each for itself: its row or why not."""
        ...

    def add(self, account: str, mailbox: int, messages: Sequence[NewMessage], limits: Limits) -> list[MessageRow]:
        """Place all messages or none. Raises Refused(MAILBOX_FULL)."""
        ...

    def adopt(self, account: str, mailbox: int, messages: Sequence[NewMessage]) -> list[MessageRow]:
        """Rows for files that stand in the Maildir already: those whose `ukey` was not known. No limits."""
        ...

    def copy(
        self, account: str, mailbox: int, uids: Collection[int], target: int, ukeys: Mapping[int, str], limits: Limits
    ) -> list[tuple[MessageRow, MessageRow]]:
        """Copy rows to another mailbox of the account under new ukeys: (source, copy). Raises Refused."""
        ...

    def move(
        self, account: str, mailbox: int, uids: Collection[int], target: int, ukeys: Mapping[int, str]
    ) -> list[tuple[MessageRow, MessageRow]]:
        """Move rows to another mailbox of the account: tombstones here, new UIDs there, quota unchanged."""
        ...

    def messages(self, account: str, mailbox: int, after_modseq: int = 0) -> list[MessageRow]:
        """Messages whose MODSEQ is greater, by UID."""
        ...

    def outline(
        self,
        account: str,
        mailbox: int,
        *,
        after_modseq: int = 0,
        after_uid: int = 0,
        limit: int = 1 << 32,
        reader: str = "",
    ) -> list[Outline]:
        """The first messages with a greater UID and MODSEQ, by UID: what a listing of a large mailbox needs.

        With a `reader` their flags and MODSEQs are as this one knows them.
        """
        ...

    def message(self, account: str, mailbox: int, uid: int) -> MessageRow | None: ...

    def messages_of(self, account: str, mailbox: int, uids: Collection[int]) -> list[MessageRow]:
        """Messages of these UIDs, by UID; those that are gone are left out."""
        ...

    def store_flags(
        self,
        account: str,
        mailbox: int,
        uids: Collection[int],
        mode: Mode,
        letters: str,
        keywords: str,
        unchanged_since: int | None = None,
        within: str | None = None,
        reader: str = "",
    ) -> tuple[list[MessageRow], list[int]]:
        """Change flags (RFC 9051 6.4.6, RFC 7162 3.1.3): rows that changed, UIDs that `unchanged_since` kept out.

        A row that already is as asked keeps its MODSEQ and is not among the changed. `within`: see `flags.changed`.
        With a `reader` the letter S is changed for this one alone, and rows are as this one knows them.
        """
        ...

    # what each reader has seen, in mailboxes where that is each one's own
    def unseen(self, account: str, mailbox: int, reader: str) -> int:
        """Messages that a reader has not seen."""
        ...

    def seen_by(self, account: str, mailbox: int, uids: Collection[int], reader: str) -> set[int]:
        """Those of the messages that a reader has seen."""
        ...

    def copy_seen(self, account: str, mailbox: int, target: int, pairs: Sequence[tuple[int, int]]) -> int:
        """(UID here, UID in `target`): what every reader has seen is so there too. The MODSEQ of that, 0 for nothing."""
        ...

    def seen_since(self, account: str, mailbox: int, after_modseq: int) -> list[tuple[str, str, bool]]:
        """(ukey, reader, is seen) that changed after a MODSEQ, of messages that are there."""
        ...

    def restore_seen(self, account: str, mailbox: int, seen: Sequence[tuple[int, str, bool]]) -> None:
        """Take (UID, reader, is seen) over from the files."""
        ...

    def take_info(self, account: str, mailbox: int, found: Mapping[int, tuple[str, str]]) -> list[MessageRow]:
        """Files seen under other names: {uid: (name up to `:`, letters)}. What the letters changed against
        `info` is done to the flags; the rows whose flags changed are returned."""
        ...

    def expunge(self, account: str, mailbox: int, uids: Collection[int]) -> list[MessageRow]:
        """Remove messages: tombstones stay, quota use falls, the removed rows are returned by UID."""
        ...

    def expunged(self, account: str, mailbox: int, after_modseq: int) -> list[tuple[int, int]]:
        """Tombstones with a greater MODSEQ: (UID, MODSEQ) by UID."""
        ...

    def saved_before(self, account: str, mailbox: int, before: float, limit: int) -> list[int]:
        """UIDs of messages that came into the mailbox before that, ascending; looks at every row."""
        ...

    def tombstone_floor(self, account: str, mailbox: int) -> int:
        """MODSEQ below which tombstones may be missing."""
        ...

    def prune(self, account: str, mailbox: int, before: float, keep: int) -> int:
        """Forget tombstones older than `before` and all but the newest `keep`: how many."""
        ...

    def leftovers(self, account: str, mailbox: int) -> list[MessageRow]:
        """Expunged messages whose files may still stand there."""
        ...

    def files_gone(self, account: str, mailbox: int, uids: Collection[int]) -> None:
        """The files of these expunged messages are unlinked."""
        ...

    def counts(self, account: str, mailbox: int) -> Counts: ...

    def recount(self, account: str, *, fix: bool = False) -> list[tuple[int, str, int, int]]:
        """What is counted wrongly, and put right with `fix`: (mailbox, 0 for the account; what; kept, by the rows)."""
        ...

    def sizes(self, account: str, mailbox: int) -> tuple[int, int]:
        """Octets on the wire of all messages, stored octets of those that are deleted; looks at every row."""
        ...

    def keywords(self, account: str) -> set[str]:
        """Every keyword that some message of the account has. Looks at all messages."""
        ...

    # the exclusive lock on a POP3 maildrop
    def lock_maildrop(self, account: str, owner: str, now: float, until: float) -> bool:
        """Take or renew the lock up to `until` (unix time); False when another owner has it."""
        ...

    def unlock_maildrop(self, account: str, owner: str) -> None:
        """Give the lock back; another owner's stays."""
        ...

    # droppable cache of what the MIME scanner found
    def parsed(
        self, account: str, mailbox: int, uids: Collection[int], version: int = 1, *, waits: bool = True
    ) -> dict[int, bytes]:
        """What was put for these messages by this version of the parser. `waits=False`: nothing while somebody writes."""
        ...

    def put_parsed(self, account: str, mailbox: int, blobs: Mapping[int, bytes], version: int = 1) -> None: ...

    def close(self) -> None: ...
