"""Annotations of mailboxes and of the server: names, what GETMETADATA selects, what it asks (RFC 5464)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.imap.parser import BadCommand, Parser
from gateway.mime.quoting import string

PRIVATE, SHARED = "/private/", "/shared/"
#: what stands for the server instead of a mailbox (RFC 5464 4.2)
SERVER = ""
MAX_NAME = 255  # octets of an entry's name
MAX_NAMES = 64  # entries named in one command
MAX_VALUE = 4_096  # octets; told as METADATA MAXSIZE
#: entry names (RFC 5464 3.1); compared without regard to case
_NAME = re.compile(r"(?:/(?:private|shared))(?:/[a-z0-9!#$&'()+,.:;<=>?@\[\]^_`{|}~ -]+)*\Z")


@dataclass(frozen=True, slots=True)
class Annotations:
    """Annotations of mailboxes, `SERVER` for the server's. Answer: {mailbox: {entry: value}}, those that may be read."""

    mailboxes: Sequence[str]


@dataclass(frozen=True, slots=True)
class Annotate:
    """Change annotations, None takes one away; on disk when answered. Answer: None, `Failure`; raises Deferred."""

    mailbox: str
    values: Mapping[str, bytes | None]


def entry_name(octets: bytes) -> str:
    """The name of an entry, in lower case. Raises BadCommand."""
    name = octets.decode("ascii", "replace").lower()
    if len(octets) > MAX_NAME or not _NAME.match(name):
        raise BadCommand("an entry is /private/... or /shared/..., without wildcards and empty levels")
    return name


def read_entries(arguments: Parser) -> list[str]:
    """One entry or several in parentheses, each once. Raises BadCommand."""
    if not arguments.at(b"("):
        return [entry_name(arguments.astring())]
    entries = [entry_name(arguments.astring())]
    while not arguments.at(b")"):
        arguments.space()
        entries.append(entry_name(arguments.astring()))
        if len(entries) > MAX_NAMES:
            raise BadCommand(f"at most {MAX_NAMES} entries")
    return list(dict.fromkeys(entries))


def selected(known: Mapping[str, bytes], entries: Iterable[str], depth: int | None = 0) -> dict[str, bytes | None]:
    """The entries asked for and those `depth` levels below them, all for None; one that is not there is None."""
    found: dict[str, bytes | None] = {}
    for entry in entries:
        if depth == 0:
            found[entry] = known.get(entry)
            continue
        for name, value in known.items():
            below = name.startswith(entry + "/") and (depth is None or name[len(entry) + 1 :].count("/") < depth)
            if name == entry or below:
                found[name] = value
    return found


def metadata_line(name: bytes, values: Mapping[str, bytes | None]) -> bytes:
    """The untagged answer, nothing without values; `name` is the mailbox as the session writes it."""
    if not values:
        return b""
    told = b" ".join([string(name.encode()) + b" " + _value(value) for name, value in values.items()])
    return b"* METADATA %b (%b)\r\n" % (name, told)


def _value(value: bytes | None) -> bytes:
    if value is None:
        return b"NIL"
    return b"~{%d}\r\n%b" % (len(value), value) if b"\0" in value else string(value)
