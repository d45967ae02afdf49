"""In which mailboxes ESEARCH looks (RFC 7377 2.2): filters as in NOTIFY (RFC 5465 6), each mailbox once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.imap.names import SEPARATOR
from gateway.imap.notifying import MAX_GROUPS, MAX_NAMES, covers
from gateway.imap.parser import BadCommand, Parser

SELECTED = "selected"
MAX_SEARCHED = 1_000  # mailboxes of one command
_KINDS = ("inboxes", "personal", "subscribed", "subtree-one", "subtree", "mailboxes", SELECTED)
_NAMED = ("subtree-one", "subtree", "mailboxes")


@dataclass(frozen=True, slots=True)
class Source:
    """Mailboxes that are meant, as the command has them."""

    kind: str
    names: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """The same with the names as the store knows them."""

    kind: str
    names: tuple[str, ...]

    def covers(self, name: str, *, is_own: bool, subscribed: frozenset[str]) -> bool:
        """True when a mailbox is one of those meant."""
        if self.kind == "subtree-one":
            return name in self.names or name.rpartition(SEPARATOR)[0] in self.names
        return covers(self.kind, self.names, name, is_own=is_own, subscribed=subscribed)


@dataclass(frozen=True, slots=True)
class FindMailboxes:
    """Mailboxes that these mean and that may be read. Answer: their names, in order; `Failure` where they are more than
    `MAX_SEARCHED`. Raises Deferred."""

    wanted: Sequence[Wanted]


@dataclass(frozen=True, slots=True)
class VisitMailbox:
    """Look at a mailbox while another one, or none, is selected. Answer: a `View` of it, None where it is gone or may not
    be read (any more). Raises Deferred."""

    name: str


def read_sources(arguments: Parser) -> list[Source]:
    """`IN (...)` and the space behind it; the selected mailbox where there is none of it. Raises BadCommand."""
    if not arguments.at(b"IN ("):
        return [Source(SELECTED)]
    found: list[Source] = []
    while True:
        kind = next((kind for kind in _KINDS if arguments.at_word(kind.encode())), None)
        if kind is None:
            raise BadCommand("a filter of mailboxes expected")
        names: tuple[bytes, ...] = ()
        if kind in _NAMED:
            arguments.space()
            names = _names(arguments)
        found.append(Source(kind, names))
        if len(found) > MAX_GROUPS:
            raise BadCommand(f"at most {MAX_GROUPS} filters")
        if arguments.at(b")"):
            break
        arguments.space()
    arguments.space()
    return found


def _names(arguments: Parser) -> tuple[bytes, ...]:
    if not arguments.at(b"("):
        return (arguments.astring(),)
    names = [arguments.astring()]
    while not arguments.at(b")"):
        arguments.space()
        names.append(arguments.astring())
        if len(names) > MAX_NAMES:
            raise BadCommand(f"at most {MAX_NAMES} mailboxes")
    return tuple(names)
