"""Addresses as people type and read them: lists with names, domains in their own script."""

from __future__ import annotations

import re
from dataclasses import dataclass

from directory.model import InvalidAddress, canonical_address
from webadmin.shown import readable

MAX_RECIPIENTS = 1000
MAX_NAME = 200  # characters
_PIECE = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^",;\n，；、])+')
#: what need not be quoted in a header (RFC 5322 3.4.1, RFC 6532 3.2); no mailbox in use needs more
_LOCAL = re.compile(r"[^\x00-\x20\x7f\s()<>\[\]:;@\\,\"]+\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody to write to; `address` as it is sent: its domain as A-labels."""

    name: str
    address: str

    def __str__(self) -> str:
        """As people type it."""
        if not self.name:
            return readable(self.address)
        name = self.name if re.fullmatch(r"[\w .'&()/-]+", self.name) else f'"{self.name.translate(_QUOTED)}"'
        return f"{name} <{readable(self.address)}>"


_QUOTED = str.maketrans({'"': '\\"', "\\": "\\\\"})


def N_(text: str) -> str:  # noqa: N802 (gettext's own name)
    """Marks a text that the page translates."""
    return text


NO_AT = N_("there is no @ in it")
NOT_CLOSED = N_("the > behind the address is missing")
BAD_LOCAL = N_("there is a space, a bracket or a quote before the @")
TOO_MANY = N_("these are too many recipients for one message")


class AddressMistake(ValueError):
    """What was typed is no list of addresses; `piece` is where, the message says why, in English."""

    def __init__(self, piece: str, why: str) -> None:
        super().__init__(why)
        self.piece = piece


def one_line(text: str) -> str:
    """`text` without line ends and other control characters, so that it can stand in a header."""
    return _CONTROL.sub(" ", text).strip()


def person(name: str, address: str) -> Person:
    """Somebody whose address is that. Raises AddressMistake."""
    address = address.strip()
    try:
        domain = canonical_address(address).domain
    except InvalidAddress as error:
        raise AddressMistake(address[:100], str(error)) from None
    local = address.rpartition("@")[0]
    if not _LOCAL.match(local):
        raise AddressMistake(address[:100], BAD_LOCAL)
    return Person(one_line(name)[:MAX_NAME], f"{local}@{domain}")


def people(text: str) -> tuple[Person, ...]:
    """Those whom a list names, separated by commas, semicolons or line ends. Raises AddressMistake."""
    found: list[Person] = []
    before = ""  # of "Doe, Jane <jane@example.com>", what stands before the comma
    for match in _PIECE.finditer(text):
        piece = match[0].strip()
        if not piece:
            continue
        if "@" not in piece and "<" not in piece:
            if before:
                raise AddressMistake(before[:100], NO_AT)
            before = piece
            continue
        name, bracket, rest = piece.rpartition("<")
        if bracket:
            if not rest.strip("> "):
                raise AddressMistake(piece[:100], NO_AT)
            if before:
                name = f"{before}, {name}"
            elif not rest.endswith(">"):
                raise AddressMistake(piece[:100], NOT_CLOSED)
            found.append(person(_unquoted(name), rest.removesuffix(">")))
        elif before:
            raise AddressMistake(before[:100], NO_AT)
        else:
            found.append(person("", piece))
        before = ""
        if len(found) > MAX_RECIPIENTS:
            raise AddressMistake(piece[:100], TOO_MANY)
    if before:
        raise AddressMistake(before[:100], NO_AT)
    return tuple(dict.fromkeys(found))


def _unquoted(name: str) -> str:
    name = name.strip()
    if len(name) > 1 and name.startswith('"') and name.endswith('"'):
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    return name


def typed(everybody: tuple[Person, ...]) -> str:
    """The list as somebody would type it."""
    return ", ".join(map(str, everybody))
