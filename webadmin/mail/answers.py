"""Values in what an IMAP server says: nested lists of octets (RFC 9051 9), read by one regular expression a token.

imaplib gives an answer in pieces: octets, and pairs of octets with the literal that follows them. A value is `bytes`,
a list of values, or None for NIL. What a parenthesis too few leaves open is closed by the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TypeAlias

Value: TypeAlias = "bytes | list[Value] | None"
Piece: TypeAlias = "bytes | tuple[bytes, bytes]"

_TOKEN = re.compile(
    rb' *+(?:(\()|(\))|"((?:[^"\\]++|\\.)*+)"|\{\d+\}\Z|((?:[^ ()"\[\]{}]++|\[[^\]]*+\])++))',
    re.DOTALL,
)
_PAIR = re.compile(rb"\\(.)", re.DOTALL)


def values(pieces: Iterable[Piece]) -> list[Value]:
    """All values of an answer, in their order. What cannot be read is left out."""
    top: list[Value] = []
    stack: list[list[Value]] = [top]
    for piece in pieces:
        text, literal = piece if isinstance(piece, tuple) else (piece, None)
        for match in _TOKEN.finditer(text):
            kind = match.lastindex
            if kind == 4:
                word = match[4]
                stack[-1].append(None if word == b"NIL" or word == b"nil" else word)
            elif kind == 3:
                quoted = match[3]
                stack[-1].append(_PAIR.sub(rb"\1", quoted) if b"\\" in quoted else quoted)
            elif kind == 1:
                inner: list[Value] = []
                stack[-1].append(inner)
                stack.append(inner)
            elif kind == 2 and len(stack) > 1:
                stack.pop()
        if literal is not None:
            stack[-1].append(literal)
    return top


def pairs(found: Value) -> dict[bytes, Value]:
    """A list of names and values as a table; names in capitals."""
    if not isinstance(found, list):
        return {}
    table: dict[bytes, Value] = {}
    for name, value in zip(found[::2], found[1::2], strict=False):
        if isinstance(name, bytes):
            table[name.upper()] = value
    return table


def messages(pieces: Iterable[Piece]) -> Iterator[dict[bytes, Value]]:
    """The items of each message in an answer to FETCH (without the messages' numbers)."""
    found = values(pieces)
    for value in found:
        if isinstance(value, list):
            yield pairs(value)


def number(value: Value) -> int:
    """A number; 0 for anything else."""
    return int(value) if isinstance(value, bytes) and value.isdigit() else 0


def octets(value: Value) -> bytes:
    """A string; empty for anything else."""
    return value if isinstance(value, bytes) else b""


def words(value: Value) -> list[bytes]:
    """The strings of a list."""
    return [each for each in value if isinstance(each, bytes)] if isinstance(value, list) else []
