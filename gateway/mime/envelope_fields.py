"""An ENVELOPE taken apart again, so that what is cached for FETCH also answers SEARCH (RFC 3501 7.4.2)."""

from __future__ import annotations

import re
from typing import NamedTuple

_STRING = rb'(?:NIL|"(?:[^"\\]++|\\.)*+")'
_NULLABLE = rb'(?:NIL|"((?:[^"\\]++|\\.)*+)")'
_LIST = rb"(NIL|\((?:\(" + rb" ".join([_STRING] * 4) + rb"\))++\))"
#: an envelope without literals: date, subject, from, sender, reply-to, to, cc, bcc, in-reply-to, message-id
_ENVELOPE = re.compile(
    rb"\(" + rb" ".join([_NULLABLE] * 2 + [_LIST] * 6 + [_NULLABLE] * 2) + rb"\)\Z",
    re.DOTALL,
)
_ADDRESS = re.compile(rb"\(" + rb" ".join([_NULLABLE] * 4) + rb"\)", re.DOTALL)
_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_LITERAL = re.compile(rb'"(?:[^"\\]++|\\.)*+"|\{(\d++)\}\r\n', re.DOTALL)
_SPECIAL = re.compile(rb'(["\\])')

#: what can be asked for: its group in the expression above
DATE, SUBJECT, FROM, TO, CC, BCC, IN_REPLY_TO, MESSAGE_ID = 1, 2, 3, 6, 7, 8, 9, 10
_LISTS = frozenset((FROM, TO, CC, BCC))


class Address(NamedTuple):
    """An address of an envelope as it was sent; `host` is empty where a group begins."""

    name: bytes
    local: bytes
    host: bytes


class EnvelopeFields:
    """Values of an envelope that `gateway.mime` made, taken out as they are asked for."""

    __slots__ = ("_match",)

    def __init__(self, envelope: bytes) -> None:
        self._match = _ENVELOPE.match(envelope) or _ENVELOPE.match(_quoted(envelope))

    def get(self, field: int) -> bytes:
        """The raw value, empty for NIL. An address list is text as people write it: `name <local@host>, ...`."""
        value = self._match[field] if self._match is not None else None
        if value is None:
            return b""
        if field in _LISTS:
            return b", ".join([_shown(*each.groups()) for each in _ADDRESS.finditer(value)])
        return _PAIR.sub(rb"\1", value) if b"\\" in value else value

    def first(self, field: int) -> Address | None:
        """The first address of a list, None when there is none."""
        value = self._match[field] if self._match is not None else None
        found = _ADDRESS.search(value) if value else None
        if found is None:
            return None
        name, _, local, host = (_PAIR.sub(rb"\1", each or b"") for each in found.groups())
        return Address(name, local, host)


def _shown(name: bytes | None, _: bytes | None, local: bytes | None, host: bytes | None) -> bytes:
    if host is None:  # the beginning or the end of a group
        text = local or b""
    else:
        text = b"%b@%b" % (local or b"", host)
        if name is not None:
            text = b"%b <%b>" % (name, text)
    return _PAIR.sub(rb"\1", text) if b"\\" in text else text


def _quoted(envelope: bytes) -> bytes:
    """The envelope with its literals as quoted strings, whatever octets they hold."""
    out: list[bytes] = []
    at = 0
    while (match := _LITERAL.search(envelope, at)) is not None:
        out.append(envelope[at : match.start()])
        at = match.end()
        if match[1] is None:
            out.append(match[0])
        else:
            end = at + int(match[1])
            out.append(b'"%b"' % _SPECIAL.sub(rb"\\\1", envelope[at:end]))
            at = end
    return b"".join(out) + envelope[at:]
