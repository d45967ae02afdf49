"""What the IMAP core asks of its driver, and what it gets back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from gateway.imap.contexts import Context
from gateway.imap.urls import MessageUrl
from gateway.imap.view import View

Mode: TypeAlias = Literal["add", "remove", "replace"]


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Prove a login. Answer: `directory.port.Login`; raises Refused, Deferred."""

    login: str
    password: str


@dataclass(frozen=True, slots=True)
class WhoIs:
    """By what the configuration may name an entry. Answer: `Known`; raises Deferred."""

    account: str


@dataclass(frozen=True, slots=True)
class Known:
    """Logins, addresses and id in lower case; groups, also those around groups, as `switches.group_name` writes them."""

    names: frozenset[str]
    groups: frozenset[str]


@dataclass(frozen=True, slots=True)
class LogOut:
    """The session is nobody's again; what it had under way is forgotten."""


@dataclass(frozen=True, slots=True)
class OpenMailbox:
    """Open a mailbox. Answer: `Opened`, None when there is none of that name, `Failure`."""

    name: str
    read_only: bool


@dataclass(slots=True)
class Opened:
    """A selected mailbox as the session sees it."""

    name: str
    read_only: bool
    view: View
    #: its store holds more than its soft quota
    over_soft: bool = False
    #: MAILBOXID (RFC 8474 4)
    mailbox_id: str = ""
    #: what may be done with it, letters of RFC 4314, as it was when it was opened
    rights: str = "lrswipkxtea"
    #: searches that are kept up to date, by tag (RFC 5267 4.3)
    contexts: dict[bytes, Context] = field(default_factory=dict)

    @property
    def is_behind(self) -> bool:
        """True when a search that is kept up to date does not know of some change."""
        return any(context.modseq < self.view.contents.modseq for context in self.contexts.values())


@dataclass(frozen=True, slots=True)
class Refresh:
    """Read what has changed in the selected mailbox into its contents. Answer: False when the mailbox is gone.

    With `files` also what other programs did to its files.
    """

    files: bool = False


@dataclass(frozen=True, slots=True)
class Expunged:
    """What was expunged from the selected mailbox after a MODSEQ. Answer: UIDs, ascending; None when that is not known
    back so far. Raises Deferred."""

    since: int


@dataclass(frozen=True, slots=True)
class Watch:
    """Wake the session (`Session.woken`) when the selected mailbox changes, or no more."""

    on: bool


@dataclass(frozen=True, slots=True)
class StartTls:
    """Turn the connection to TLS now; what was said is sent before. Afterwards `Session.tls` is set."""


@dataclass(frozen=True, slots=True)
class Compress:
    """Compress the connection in both directions from now on; what was said is sent before."""


@dataclass(frozen=True, slots=True)
class StoreFlags:
    """Change flags in the selected mailbox; its contents know of it afterwards. Answer: `Stored`.

    `Failure` too, where there are keywords and they are too many, and where there is a right to none of the flags;
    those to which there is none stay as they are.

    `letters` and `keywords` are as `flags.read_flags` gives them. Raises Refused, Deferred.
    """

    uids: Sequence[int]
    mode: Mode
    letters: str
    keywords: str = ""
    unchanged_since: int | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of StoreFlags: UIDs that `unchanged_since` kept out, the MODSEQ that was known before."""

    modified: Sequence[int]
    before: int
    #: nobody else had changed anything between `before` and this change
    alone: bool
    #: then: the MODSEQ of this change, `before` when nothing changed
    after: int = 0


@dataclass(frozen=True, slots=True)
class Expunge:
    """Expunge what has \\Deleted in the selected mailbox, of `uids` or of all; its contents know of it afterwards.

    Answer: None, `Failure`.
    """

    uids: Sequence[int] | None


@dataclass(frozen=True, slots=True)
class Failure:
    """The answer to a request that cannot be done: a response code of RFC 5530 or 6154, and words for the client."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Copy:
    """Copy or move messages of the selected mailbox. Answer: `Copied`, `Failure`; raises Refused, Deferred."""

    uids: Sequence[int]
    mailbox: str
    is_move: bool = False


@dataclass(frozen=True, slots=True)
class Copied:
    """The UIDs here and there, of messages that were still there, by UID here."""

    uidvalidity: int
    uids: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class CreateMailbox:
    """Make a mailbox; `special_use` is "" or one of RFC 6154. Answer: its MAILBOXID (RFC 8474 4.1), `Failure`."""

    name: str
    special_use: str


@dataclass(frozen=True, slots=True)
class DeleteMailbox:
    """Answer: None, `Failure`."""

    name: str


@dataclass(frozen=True, slots=True)
class RenameMailbox:
    """Answer: None, `Failure`."""

    name: str
    new: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Add a name to the subscriptions or take it off. Answer: None, `Failure`."""

    name: str
    on: bool


@dataclass(frozen=True, slots=True)
class BeginAppend:
    """May a message of this size (octets on the wire, 0 when not known) come? It is put with those that came before in the
    same command. Answer: None, `Failure`. Raises Refused(MAILBOX_FULL), Deferred.
    """

    mailbox: str
    size: int
    letters: str
    keywords: str
    #: seconds since 1970; None = now
    internaldate: float | None
    #: UID of a message in the selected mailbox that gives its place
    replaces: int = 0


@dataclass(frozen=True, slots=True)
class AppendPiece:
    """Keep octets of the message, as they were sent. Raises Deferred."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class AppendPart:
    """Keep what a URL names as the next part of the message. Answer: how many octets it has on the wire, not kept when
    they are more than `room`; None when there is nothing under that URL. Raises Refused, Deferred.
    """

    url: MessageUrl
    room: int


@dataclass(frozen=True, slots=True)
class DropAppend:
    """Forget all messages of the command."""


@dataclass(frozen=True, slots=True)
class FinishAppend:
    """Put what was kept into a mailbox, all or nothing, durable when answered. Answer: `Appended`, `Failure`; raises
    Refused, Deferred.
    """

    mailbox: str
    #: UID of a message in the selected mailbox that is expunged then, 0 for none
    replaces: int = 0


@dataclass(frozen=True, slots=True)
class Appended:
    """Where the messages are."""

    uidvalidity: int
    uids: Sequence[int]
    #: the store holds more than its soft quota now
    over_soft: bool = False
