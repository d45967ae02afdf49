"""Where the fields of a header block are: a linear scan over octets with LF line ends (RFC 5322 2.2).

Nothing is decoded or copied. A line that is neither a field nor a continuation belongs to the field before
it, so that a field behind such a line is seen as well (some readers end the header there, others do not).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

MAX_HEADER = 256 * 1024  # octets of all fields together
MAX_FIELD = 100 * 1024  # octets of one field with its continuations
MAX_FIELDS = 2000

_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:", re.MULTILINE)
_FOLD = re.compile(rb"\n(?=[ \t])")


class HeaderProblem(ValueError):
    """The header block is over a limit; the message is for the client."""


class Field(NamedTuple):
    """One field. `name` in lower case, the octets are `content[start:end]`, the value begins at `value`."""

    name: bytes
    start: int
    value: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """The fields of `content`; `end` is where the block ends, the empty line not included."""

    content: bytes
    fields: tuple[Field, ...]
    end: int

    def all(self, name: bytes) -> list[Field]:
        """The fields called `name` (lower case), in order."""
        return [field for field in self.fields if field.name == name]

    def has(self, name: bytes) -> bool:
        return any(field.name == name for field in self.fields)

    def unfolded(self, field: Field) -> bytes:
        """The value on one line, without surrounding space."""
        return _FOLD.sub(b"", self.content[field.value : field.end]).strip()

    def without(self, name: bytes) -> list[bytes]:
        """The content in pieces, with every field called `name` left out."""
        return self.without_fields(self.all(name))

    def without_fields(self, fields: Iterable[Field]) -> list[bytes]:
        """The content in pieces, with some of its fields left out."""
        pieces, position = [], 0
        for field in sorted(fields, key=lambda each: each.start):
            pieces.append(self.content[position : field.start])
            position = field.end
        pieces.append(self.content[position:])
        return [piece for piece in pieces if piece]


def scan(content: bytes, *, whole: bool = True) -> Header:
    """Find the fields at the beginning of `content`; `whole` is False when the message goes on behind it.

    Raises HeaderProblem for a header block over a limit.
    """
    if content.startswith(b"\n"):
        return Header(content, (), 0)
    end = content.find(b"\n\n", 0, MAX_HEADER + 2) + 1
    if end == 0:
        if len(content) > MAX_HEADER or not whole:
            raise HeaderProblem("message header too large")
        end = len(content)
    names: list[tuple[bytes, int, int]] = []
    for match in _FIELD.finditer(content, 0, end):
        if len(names) == MAX_FIELDS:
            raise HeaderProblem("message header has too many fields")
        names.append((match[1].lower(), match.start(), match.end()))
    fields = []
    for index, (name, start, value) in enumerate(names):
        stop = names[index + 1][1] if index + 1 < len(names) else end
        if stop - start > MAX_FIELD:
            raise HeaderProblem("message header has a field that is too large")
        fields.append(Field(name, start, value, stop))
    return Header(content, tuple(fields), end)


def scan_pieces(pieces: Iterator[bytes]) -> Header:
    """The fields at the beginning of a message in pieces, of which no more are taken than hold them: what
    `content` has behind `end` belongs to the body, the rest of it is still in `pieces`. Raises HeaderProblem."""
    head = b""
    for piece in pieces:
        head = head + piece if head else bytes(piece)
        if head.startswith(b"\n") or b"\n\n" in head or len(head) > MAX_HEADER + 2:
            break
    return scan(head)


def head_and_body(pieces: Iterator[bytes]) -> tuple[Header, Iterator[bytes]]:
    """(the header, the body in pieces) of a message in pieces. Raises HeaderProblem."""
    header = scan_pieces(pieces)

    def body() -> Iterator[bytes]:
        yield header.content[header.end + 1 :]
        yield from pieces

    return header, body()
