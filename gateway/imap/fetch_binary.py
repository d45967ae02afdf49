"""BINARY[], BINARY.PEEK[] and BINARY.SIZE[] of FETCH: parts with their transfer encoding undone (RFC 3516 4.2, 4.3).

A part is gone through twice, a piece at a time: its length has to be told before it.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from directory.model import Deferred, Refused
from gateway.ask import Ask, Dialogue
from gateway.imap.content import Content, ReadSpan
from gateway.imap.fetch_body import Cut
from gateway.imap.fetch_items import Binary
from gateway.mime.parsed import LEAF
from gateway.mime.section import find_part
from gateway.mime.transfer import Decoder, decoder


@dataclass(frozen=True, slots=True)
class Measured:
    """A part and how long it is decoded."""

    start: int
    end: int
    encoding: bytes
    size: int
    has_nul: bool


def _decoded(content: Content, start: int, end: int, encoding: bytes, piece: int) -> Generator[Ask | bytes, Any, None]:
    """Yields the decoded octets, and what has to be asked for them."""
    undo: Decoder = decoder(encoding)
    at = start
    while at < end:
        stop = min(end, at + piece)
        if stop <= len(content.data):
            stored = content.data[at:stop]
        else:
            stored = yield Ask(ReadSpan(content.source, at, stop))
        if not stored:
            raise Cut
        at += len(stored)
        yield undo.feed(stored)
    yield undo.end()


def _each(walk: Generator[Ask | bytes, Any, None]) -> Generator[Any, Any, list[bytes] | None]:
    """The next decoded octets; asks on the way. None at the end."""
    answer: object = None
    while True:
        try:
            step = walk.send(answer)
        except StopIteration:
            return None
        if isinstance(step, bytes):
            return [step]
        answer = yield step


def measure(item: Binary, content: Content, piece: int) -> Dialogue:
    """The part, None when the message has none. Raises UnknownEncoding, Deferred, Cut when the file is cut."""
    assert content.parsed is not None
    part = find_part(content.parsed, item.path)
    if part is None:
        return None
    start, end, encoding = (part.body, part.end, part.encoding) if item.path else (0, content.size, b"")
    if item.path and part.kind != LEAF:
        encoding = b""  # only 7bit, 8bit and binary are allowed there (RFC 2045 6.4)
    size, has_nul = 0, False
    walk = _decoded(content, start, end, encoding, piece)
    while (octets := (yield from _each(walk))) is not None:
        size += len(octets[0])
        has_nul = has_nul or b"\0" in octets[0]
    return Measured(start, end, encoding, size, has_nul)


def value(item: Binary, found: Measured | None, content: Content, piece: int) -> Dialogue:
    """Say the item. Raises Cut."""
    if item.is_size:
        yield b"%b %d" % (item.label, found.size if found is not None else 0)
        return
    if found is None:
        yield item.label + b" NIL"
        return
    first, length = item.span or (0, found.size)
    length = max(0, min(length, found.size - first))
    yield b"%b %b{%d}\r\n" % (item.label, b"~" if found.has_nul else b"", length)
    walk = _decoded(content, found.start, found.end, found.encoding, piece)
    at, rest = 0, length
    try:
        while rest:
            octets = yield from _each(walk)
            if octets is None:
                raise Cut
            text = octets[0][max(first - at, 0) :][:rest]
            at += len(octets[0])
            rest -= len(text)
            if text:
                yield text
    except (Deferred, Refused):
        raise Cut from None
