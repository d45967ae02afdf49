"""What a client wants to be told of without asking (RFC 5465): filters of mailboxes and events.

The first filter that a mailbox matches says which of its events are told. Of the selected mailbox, where it is named,
everything is told that IDLE would tell; its EXPUNGE at once, or (`selected-delayed`) with a later command.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gateway.ask import Dialogue
from gateway.imap.names import SEPARATOR
from gateway.imap.status_items import Figures

NEW, EXPUNGED, FLAGS, NAMES = "MessageNew", "MessageExpunge", "FlagChange", "MailboxName"
EVENTS = {name.upper(): name for name in (NEW, EXPUNGED, FLAGS, NAMES)}
MAX_GROUPS = 32
MAX_NAMES = 500  # named in one command
MAX_WATCHED = 1_000  # mailboxes
INBOX = "INBOX"


def covers(kind: str, names: tuple[str, ...], name: str, *, is_own: bool, subscribed: frozenset[str]) -> bool:
    """True when a mailbox is one of those that a filter means (RFC 5465 6)."""
    if kind == "inboxes":
        return is_own and name == INBOX
    if kind == "personal":
        return is_own
    if kind == "subscribed":
        return name in subscribed
    if kind == "subtree":
        return any(name == top or name.startswith(top + SEPARATOR) for top in names)
    return name in names


class Group(NamedTuple):
    """Mailboxes and what is told of them. `kind`: inboxes, personal, subscribed, subtree or mailboxes."""

    kind: str
    names: tuple[str, ...]
    events: frozenset[str]

    def covers(self, name: str, *, is_own: bool, subscribed: frozenset[str]) -> bool:
        """True when the mailbox is one of those meant."""
        return covers(self.kind, self.names, name, is_own=is_own, subscribed=subscribed)


@dataclass(frozen=True, slots=True)
class Selected:
    """What is told of the selected mailbox; `fetch` tells of new messages, by number, what was asked for."""

    is_delayed: bool
    fetch: Callable[[Sequence[int]], Dialogue] | None = None


@dataclass(frozen=True, slots=True)
class WatchMailboxes:
    """Wake the session when one of these mailboxes changes; () = no more, `selected`: also when the selected one does.

    Answer: the figures of all of them by name where `wants_figures`, else {}; `Failure`; raises Deferred.
    """

    groups: Sequence[Group]
    selected: bool = False
    wants_figures: bool = False


@dataclass(frozen=True, slots=True)
class TellNews:
    """What has changed in the mailboxes that are watched since this was asked last. Answer: sequence of `News`;
    None when too much came to be told, and nothing is watched any more.
    """


@dataclass(frozen=True, slots=True)
class News:
    """`figures` None: the mailbox is gone. `old_name`: how it was called, "" for one that is new."""

    name: str
    figures: Figures | None
    #: it was made, renamed or deleted, and not merely changed
    is_named: bool = False
    old_name: str = ""
