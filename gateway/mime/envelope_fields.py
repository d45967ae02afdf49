"""An ENVELOPE taken apart again, so that what is cached for FETCH also answers SEARCH (RFC 3501 7.4.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_STRINGS = re.compile(rb'"((?:[^"\\]++|\\.)*+)"|\{(\d+)\}\r\n|(\()|(\))|NIL', re.DOTALL)


@dataclass(frozen=True, slots=True)
class EnvelopeFields:
    """Raw values, None for NIL. An address list is text as people write it: `name <local@host>, ...`."""

    date: bytes | None
    subject: bytes | None
    author: bytes
    to: bytes
    cc: bytes
    bcc: bytes
    in_reply_to: bytes | None
    message_id: bytes | None


def envelope_fields(envelope: bytes) -> EnvelopeFields:
    """What `envelope` made. Linear."""
    values: list[bytes | None] = []
    lists: list[bytes] = []
    depth = at = 0
    strings: list[bytes | None] = []
    found: list[bytes] = []
    end = len(envelope)
    match = _STRINGS.match
    while at < end:
        token = match(envelope, at)
        if token is None:
            at += 1  # the space between two values
            continue
        at = token.end()
        text, size, opens, closes = token.groups()
        if opens:
            depth += 1
            if depth == 2:
                found = []
            elif depth == 3:
                strings = []
            continue
        if closes:
            depth -= 1
            if depth == 2:
                found.append(_shown(strings))
            elif depth == 1:
                lists.append(b", ".join(found))
            continue
        value: bytes | None = None
        if text is not None:
            value = _PAIR.sub(rb"\1", text) if b"\\" in text else text
        elif size is not None:
            value = envelope[at : at + int(size)]
            at += len(value)
        if depth == 3:
            strings.append(value)
        elif depth == 1:
            position = len(values) + len(lists)
            if 2 <= position < 8:
                lists.append(b"")
            else:
                values.append(value)
    date, subject, in_reply_to, message_id = values
    author, _, _, to, cc, bcc = lists
    return EnvelopeFields(date, subject, author, to, cc, bcc, in_reply_to, message_id)


def _shown(strings: list[bytes | None]) -> bytes:
    name, _, local, host = strings
    if host is None:  # the beginning or the end of a group
        return local or b""
    address = b"%b@%b" % (local or b"", host)
    return address if name is None else b"%b <%b>" % (name, address)
