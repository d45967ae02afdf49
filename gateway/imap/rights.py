"""Rights to a mailbox (RFC 4314 2.1) and what the ACL commands ask.

A set of rights is a text of the letters of `ALL` in that order. The rights `c` and `d` of RFC 2086 stand for `kx`
and `te` when they come, and are shown beside these (RFC 4314 2.1.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.imap.parser import BadCommand
from gateway.imap.ports import Mode

ALL = "lrswipkxtea"
READING = "lr"
#: one of these makes a mailbox more than read-only (RFC 4314 5.2)
CHANGING = frozenset("switea")
#: what MYRIGHTS may be asked with (RFC 4314 4)
KNOWING = frozenset("lrikxa")
VIRTUAL = {"c": "kx", "d": "te"}
#: the right that a flag needs, by the letter of the store; every other one needs `w`
FLAG_RIGHTS = {"S": "s", "T": "t"}


def ordered(rights: str) -> str:
    """The rights in the order of `ALL`, each once."""
    return "".join(right for right in ALL if right in rights)


def shown(rights: str) -> bytes:
    """The rights as clients of both standards understand them."""
    old = [letter for letter, stands_for in VIRTUAL.items() if any(right in rights for right in stands_for)]
    return (ordered(rights) + "".join(old)).encode()


def read_rights(octets: bytes) -> tuple[Mode, str]:
    """The rights of SETACL and whether they are added, removed or all there shall be. Raises BadCommand."""
    text = octets.decode("ascii", "replace")
    mode: Mode = "add" if text.startswith("+") else "remove" if text.startswith("-") else "replace"
    rights = "".join(VIRTUAL.get(right, right) for right in (text if mode == "replace" else text[1:]))
    if any(right not in ALL for right in rights):
        raise BadCommand(f"rights are letters of {ALL}")
    return mode, ordered(rights)


def changed(mode: Mode, rights: str, by: str) -> str:
    """The rights after SETACL."""
    if mode == "remove":
        return "".join(right for right in rights if right not in by)
    return ordered(by if mode == "replace" else rights + by)


def allowed_flags(letters: Iterable[str], rights: str) -> str:
    """Those of the flags (letters of the store) that one with these rights may change."""
    return "".join(letter for letter in letters if FLAG_RIGHTS.get(letter, "w") in rights)


@dataclass(frozen=True, slots=True)
class AclOf:
    """Who has rights to a mailbox. Answer: a sequence of `Granted`, `Failure`; raises Deferred."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Granted:
    """Rights of one identifier."""

    identifier: str
    rights: str


@dataclass(frozen=True, slots=True)
class ChangeAcl:
    """Change the rights of one identifier, on disk when answered. Answer: None, `Failure`; raises Deferred."""

    mailbox: str
    identifier: str
    mode: Mode
    rights: str


@dataclass(frozen=True, slots=True)
class RightsFor:
    """What may be given to an identifier. Answer: `Possible`, `Failure`; raises Deferred."""

    mailbox: str
    identifier: str


@dataclass(frozen=True, slots=True)
class Possible:
    """Rights that it always has, by the directory; each of the others may be given by itself."""

    always: str


@dataclass(frozen=True, slots=True)
class MyRights:
    """Rights of who is logged in. Answer: {name: rights}, mailboxes that are not shown to it left out; raises Deferred."""

    mailboxes: Sequence[str]
