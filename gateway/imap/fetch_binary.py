"""BINARY[], BINARY.PEEK[] and BINARY.SIZE[] of FETCH: parts with their transfer encoding undone (RFC 3516 4.2, 4.3).

A part is gone through twice, a piece at a time: its length has to be told before it.
"""

from __future__ import annotations

from dataclasses import dataclass

from directory.model import Deferred, Refused
from gateway.ask import Ask, Dialogue
from gateway.imap.content import Content, ReadSpan
from gateway.imap.fetch_body import Cut
from gateway.imap.fetch_items import Binary
from gateway.mime.parsed import LEAF
from gateway.mime.section import find_part
from gateway.mime.transfer import decoder


@dataclass(frozen=True, slots=True)
class Measured:
    """A part and how long it is decoded."""

    start: int
    end: int
    encoding: bytes
    size: int
    has_nul: bool


class _Walk:
    """Goes through a part once. Raises UnknownEncoding when it is made."""

    def __init__(self, content: Content, start: int, end: int, encoding: bytes, piece: int) -> None:
        self._undo = decoder(encoding)
        self._content, self._at, self._end, self._piece = content, start, end, piece
        self._is_over = False

    def more(self) -> Dialogue:
        """The next decoded octets, None at the end. Raises Deferred, Cut when the file is cut."""
        if self._at >= self._end:
            if self._is_over:
                return None
            self._is_over = True
            return self._undo.end()
        stop = min(self._end, self._at + self._piece)
        if stop <= len(self._content.data):
            stored = self._content.data[self._at : stop]
        else:
            stored = yield Ask(ReadSpan(self._content.source, self._at, stop))
        if not stored:
            raise Cut
        self._at += len(stored)
        return self._undo.feed(stored)


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
    walk = _Walk(content, start, end, encoding, piece)
    while (octets := (yield from walk.more())) is not None:
        size += len(octets)
        has_nul = has_nul or b"\0" in octets
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
    walk = _Walk(content, found.start, found.end, found.encoding, piece)
    at, rest = 0, length
    try:
        while rest:
            octets = yield from walk.more()
            if octets is None:
                raise Cut
            text = octets[max(first - at, 0) :][:rest]
            at += len(octets)
            rest -= len(text)
            if text:
                yield text
    except (Deferred, Refused):
        raise Cut from None
