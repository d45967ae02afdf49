"""Octets of a message as a FETCH value: at once for small messages, piece by piece for large ones.

A literal's length is known before its first octet is sent: the octets are counted in the file, not
taken from the index. Where the file turns out shorter after all, the connection is cut, since nothing
else could be said inside a literal.
"""

from __future__ import annotations

from dataclasses import dataclass

from directory.model import Deferred, Refused
from gateway.ask import Ask, Dialogue
from gateway.imap.content import Content, CountLines, ReadSpan, SkipOctets
from gateway.imap.fetch_items import Body
from gateway.mime import Section, What, has_blank_line, header_end, locate, section_octets, selected_fields
from gateway.mime.line_ends import after_octets


class Cut(Exception):
    """The answer cannot be ended properly: close the connection without another word."""


@dataclass(slots=True)
class Place:
    """Where a partial FETCH ended, so that the next one need not begin at the beginning.

    `octets` of the CRLF form of [start, end) end at the stored offset `at`; `half` is between CR and LF.
    """

    #: the selected mailbox and the message in it
    mailbox: object
    uid: int
    start: int
    end: int
    total: int
    octets: int
    at: int
    half: bool


def body_at_once(item: Body, content: Content) -> bytes | None:
    """The item's name and value when `content` holds all that is needed, else None."""
    section, data = item.section, content.data
    if section.in_header:
        end = header_end(data)
        if section.what is What.FIELDS:
            # of a header larger than the piece only its beginning is looked at
            blank = end < content.size or has_blank_line(data[:end])
            return _value(item, selected_fields(data[:end], section.names, invert=section.invert, blank=blank))
        if end == len(data) < content.size:
            return None
        return _value(item, data[:end].replace(b"\n", b"\r\n"))
    if len(data) < content.size:
        return None
    if section.path:
        assert content.parsed is not None
        octets = section_octets(data, content.parsed, section)
        return item.label + b" NIL" if octets is None else _value(item, octets)
    if section.what is What.TEXT:
        data = data[header_end(data) :]
    return _value(item, data.replace(b"\n", b"\r\n"))


def _value(item: Body, octets: bytes) -> bytes:
    if item.span is not None:
        start, length = item.span
        octets = octets[start : start + length]
    return b"%b {%d}\r\n%b" % (item.label, len(octets), octets)


def _span(section: Section, content: Content) -> tuple[int, int] | None:
    if section == Section():
        return 0, content.size
    if content.parsed is not None:
        return locate(content.parsed, section)
    return header_end(content.data), content.size  # BODY[TEXT], the only other one without a path


def stream_body(item: Body, content: Content, mailbox: object, uid: int, place: Place | None, piece: int) -> Dialogue:
    """Say the item's name and value, `piece` stored octets at a time. Returns the Place for the next one.

    Raises Deferred before anything is said, Cut afterwards.
    """
    span = _span(item.section, content)
    if span is None:
        yield item.label + b" NIL"
        return None
    start, end = span
    source = content.source
    if item.section.what is What.FIELDS:
        head = yield Ask(ReadSpan(source, start, min(end, start + piece)))
        yield _value(item, selected_fields(head, item.section.names, invert=item.section.invert))
        return None
    if place is None or place.mailbox is not mailbox or (place.uid, place.start, place.end) != (uid, start, end):
        lines = yield Ask(CountLines(source, start, end))
        place = Place(mailbox, uid, start, end, end - start + lines, 0, start, half=False)
    first, length = item.span or (0, place.total)
    length = max(0, min(length, place.total - first))
    at, half = yield from _go(source, place, min(first, place.total))
    yield b"%b {%d}\r\n" % (item.label, length)
    rest = length
    try:
        while rest:
            # the CRLF form is never shorter, so that more than `rest` octets are not needed
            stored = yield Ask(ReadSpan(source, at, min(end, at + min(piece, rest + half))))
            if not stored:
                raise Cut
            octets = stored.replace(b"\n", b"\r\n")
            if half:
                octets = octets[1:]
            if len(octets) > rest:
                further, now_half = after_octets(stored, rest + half)
                yield octets[:rest]
                at, half, rest = at + further, now_half, 0
            else:
                yield octets
                at, half, rest = at + len(stored), False, rest - len(octets)
    except (Deferred, Refused):
        raise Cut from None
    return Place(mailbox, uid, start, end, place.total, min(first, place.total) + length, at, half)


def _go(source: object, place: Place, octets: int) -> Dialogue:
    """To `octets` of the CRLF form: (stored offset, half)."""
    at, half, ahead = place.start, False, octets
    if place.octets <= octets:
        at, half, ahead = place.at, place.half, octets - place.octets
        if half and ahead:
            at, half, ahead = at + 1, False, ahead - 1
    if ahead:
        at, half = yield Ask(SkipOctets(source, at, place.end, ahead))
    return at, half
