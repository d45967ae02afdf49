"""FETCH and UID FETCH of UID, FLAGS, INTERNALDATE, size, header, text and the whole body (RFC 3501 6.4.5)."""

from datetime import UTC, datetime
from typing import TypeAlias

from gateway.ask import Ask, Dialogue
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.ports import Body
from gateway.imap.registry import SELECTED, command
from gateway.imap.session import Session

#: items with a body, by the name they are answered under: what of the message they hold
WHOLE, HEADER, TEXT = "whole", "header", "text"
_PLAIN = (b"UID", b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE")
_BODIES = {
    b"RFC822": WHOLE,
    b"RFC822.HEADER": HEADER,
    b"RFC822.TEXT": TEXT,
    b"BODY[]": WHOLE,
    b"BODY[HEADER]": HEADER,
    b"BODY[TEXT]": TEXT,
}
#: as asked for: the name in the answer; longest first, since the shorter ones begin them
_NAMES = {name: name for name in (*_PLAIN, *_BODIES)} | {
    name.replace(b"BODY[", b"BODY.PEEK["): name for name in _BODIES if name.startswith(b"BODY[")
}
_ASKED = sorted(_NAMES, key=len, reverse=True)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MAX_ITEMS = 64
Item: TypeAlias = tuple[bytes, tuple[int, int] | None]


def _item(arguments: Parser) -> Item:
    name = next((_NAMES[known] for known in _ASKED if arguments.at(known)), None)
    if name is None:
        raise BadCommand("unknown FETCH item")
    if not name.startswith(b"BODY[") or not arguments.at(b"<"):
        return name, None
    start = arguments.number()
    arguments.expect(b".")
    length = arguments.number()
    arguments.expect(b">")
    if not length:
        raise BadCommand("a part of no octets")
    return name, (start, length)


def _items(arguments: Parser) -> list[Item]:
    several = arguments.at(b"(")
    items = [_item(arguments)]
    while several and arguments.at(b" "):
        items.append(_item(arguments))
        if len(items) > MAX_ITEMS:
            raise BadCommand("too many FETCH items")
    if several:
        arguments.expect(b")")
    arguments.end()
    return items


def internaldate(seconds: float) -> bytes:
    """A date-time in UTC (RFC 3501 9)."""
    date = datetime.fromtimestamp(int(seconds), UTC)
    return f'"{date.day:2d}-{_MONTHS[date.month - 1]}-{date:%Y %H:%M:%S} +0000"'.encode()


def _body(name: bytes, span: tuple[int, int] | None, body: bytes) -> bytes:
    """`body` has CRLF line ends. The header ends behind its empty line (RFC 3501 6.4.5)."""
    part = _BODIES[name]
    if part != WHOLE:
        end = 2 if body.startswith(b"\r\n") else body.find(b"\r\n\r\n") + 4
        if end < 4 and not body.startswith(b"\r\n"):
            end = len(body)
        body = body[:end] if part == HEADER else body[end:]
    if span is not None:
        start, length = span
        name, body = name + b"<%d>" % start, body[start : start + length]
    return name + b" {%d}\r\n" % len(body) + body


def _fetch(session: Session, arguments: Parser, *, by_uid: bool) -> Dialogue:
    arguments.space()
    ranges = arguments.sequence_set()
    arguments.space()
    items = _items(arguments)
    if by_uid and (b"UID", None) not in items:
        items.insert(0, (b"UID", None))
    reads = any(name in _BODIES for name, _ in items)
    assert session.selected is not None
    view = session.selected.view
    for message in view.messages(view.numbers(ranges, by_uid=by_uid)):
        body = b""
        if reads:
            stored = yield Ask(Body(message.uid))
            if stored is None:
                continue  # expunged meanwhile
            body = stored.replace(b"\n", b"\r\n")
        parts: list[bytes] = []
        for item, span in items:
            if item in _BODIES:
                parts.append(_body(item, span, body))
            elif item == b"UID":
                parts.append(b"UID %d" % message.uid)
            elif item == b"FLAGS":
                parts.append(b"FLAGS (" + message.flags + b")")
            elif item == b"INTERNALDATE":
                parts.append(b"INTERNALDATE " + internaldate(message.internaldate))
            else:
                parts.append(b"RFC822.SIZE %d" % message.size)
        yield b"* %d FETCH (" % message.number + b" ".join(parts) + b")\r\n"
    return ""


@command("FETCH", states=SELECTED, by_uid=True, keeps_numbers=True)
def fetch(session: Session, arguments: Parser, *, by_uid: bool) -> Dialogue:
    return (yield from _fetch(session, arguments, by_uid=by_uid))
