"""Which mailboxes LIST and LSUB name, with which attributes (RFC 3501 6.3.8, RFC 5258, RFC 6154)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.imap.names import MAX_NAME, SEPARATOR, BadName, decode, decode_utf8, matches
from gateway.imap.rights import ALL, KNOWING
from gateway.imap.rights import shown as shown_rights

INBOX = "INBOX"


@dataclass(frozen=True, slots=True)
class ListMailboxes:
    """All mailboxes the account may see, and names it is subscribed to. Answer: tuple of `Listed` by name."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A name. `special_use` is the attribute (RFC 6154), "" for none; `exists` is False for a mere subscription."""

    name: str
    special_use: str = ""
    subscribed: bool = False
    exists: bool = True
    selectable: bool = True
    #: of who is logged in (RFC 4314)
    rights: str = ALL


@dataclass(frozen=True, slots=True)
class Selection:
    """What LIST is asked for besides the pattern (RFC 5258 3, RFC 6154 5)."""

    extended: bool = False
    subscribed: bool = False
    special_use: bool = False
    recursive: bool = False

    def takes(self, listed: Listed) -> bool:
        """True when a mailbox is one of those asked for, its name apart."""
        if self.subscribed and not listed.subscribed:
            return False
        if self.special_use and not listed.special_use:
            return False
        return listed.exists or self.subscribed


@dataclass(frozen=True, slots=True)
class Line:
    """One answer. `children` tells of selected mailboxes below that are not named themselves."""

    listed: Listed
    children: bool = False


def pattern_of(reference: bytes, wanted: bytes, *, utf8: bool) -> str:
    """The pattern that a reference and a mailbox pattern make. Raises BadName."""
    if len(reference) + len(wanted) > MAX_NAME:
        raise BadName("the pattern is too long")
    pattern = decode_utf8(reference + wanted) if utf8 else decode(reference + wanted)
    first, slash, rest = pattern.partition(SEPARATOR)
    return INBOX + slash + rest if first.upper() == INBOX else pattern


def covers(pattern: str, name: str) -> bool:
    """True when the pattern covers the name; INBOX in any case (RFC 3501 5.1)."""
    return matches(pattern, name) or (name == INBOX and matches(pattern.upper(), name))


def _is_covered(name: str, patterns: Sequence[str]) -> bool:
    return any(covers(pattern, name) for pattern in patterns)


def parents(name: str) -> Iterable[str]:
    """The names above, the nearest first."""
    at = name.rfind(SEPARATOR)
    while at > 0:
        yield name[:at]
        at = name.rfind(SEPARATOR, 0, at)


def select(mailboxes: Iterable[Listed], patterns: Sequence[str], selection: Selection) -> list[Line]:
    """The answers to a LIST, by name. Parents that are no mailboxes are named as such."""
    known = {listed.name: listed for listed in mailboxes}
    implied = with_children(known.values())
    for name in implied.difference(known):
        known[name] = Listed(name, exists=False, selectable=False)
    every = not selection.subscribed and not selection.special_use
    named: dict[str, Line] = {}
    for name, listed in known.items():
        if (selection.takes(listed) or (every and name in implied)) and _is_covered(name, patterns):
            named[name] = Line(listed)
    if selection.recursive:
        for listed in known.values():
            if selection.takes(listed):
                _tell_parents(listed, known, patterns, named)
    return sorted(named.values(), key=lambda line: (line.listed.name != INBOX, line.listed.name))


def _tell_parents(listed: Listed, known: dict[str, Listed], patterns: Sequence[str], named: dict[str, Line]) -> None:
    """CHILDINFO at the parents of a selected mailbox: those that are named, and of the others that the
    pattern covers the nearest when the mailbox itself is not named (RFC 5258 3.5)."""
    is_told = listed.name in named
    for parent in parents(listed.name):
        line = named.get(parent)
        if line is not None:
            named[parent] = Line(line.listed, children=True)
            is_told = True
        elif not is_told and _is_covered(parent, patterns):
            named[parent] = Line(known.get(parent, Listed(parent, exists=False, selectable=False)), children=True)
            is_told = True


def subscribed_names(mailboxes: Iterable[Listed], pattern: str) -> list[Line]:
    """The answers to an LSUB. With `%` a name above a subscribed one stands for it (RFC 3501 6.3.9)."""
    named: dict[str, Line] = {}
    subscribed = [listed for listed in mailboxes if listed.subscribed]
    for listed in subscribed:
        if covers(pattern, listed.name):
            named[listed.name] = Line(Listed(listed.name, subscribed=True))  # \Noselect has a meaning of its own here
    if "%" in pattern:
        for listed in subscribed:
            for parent in parents(listed.name):
                if parent not in named and covers(pattern, parent):
                    named[parent] = Line(Listed(parent, exists=False, selectable=False))
    return sorted(named.values(), key=lambda line: line.listed.name)


def shown(command: bytes, name: bytes, line: Line, *, extended: bool, below: frozenset[str] | None) -> bytes:
    """One untagged answer, with the `name` as it is written. `below` are names that have mailboxes below them, None when it is not told."""
    listed = line.listed
    attributes: list[bytes] = []
    if not listed.exists and extended:
        attributes.append(b"\\NonExistent")
    elif not listed.selectable:
        attributes.append(b"\\Noselect")
    if below is not None:
        attributes.append(b"\\HasChildren" if listed.name in below else b"\\HasNoChildren")
    if listed.special_use and command == b"LIST":
        attributes.append(listed.special_use.encode())
    if listed.subscribed and extended:
        attributes.append(b"\\Subscribed")
    info = b' ("CHILDINFO" ("SUBSCRIBED"))' if line.children else b""
    return b'* %b (%b) "/" %b%b\r\n' % (command, b" ".join(attributes), name, info)


def rights_line(name: bytes, listed: Listed) -> bytes:
    """MYRIGHTS of a mailbox that LIST names, nothing for a name that is none (RFC 8440 3)."""
    if not (listed.exists and listed.selectable) or KNOWING.isdisjoint(listed.rights):
        return b""
    return b"* MYRIGHTS %b %b\r\n" % (name, shown_rights(listed.rights))


def with_children(mailboxes: Iterable[Listed]) -> frozenset[str]:
    """Names that have a mailbox below them."""
    return frozenset(parent for listed in mailboxes if listed.exists for parent in parents(listed.name))
