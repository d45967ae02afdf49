"""IMAP strings: quoted where seven bits allow it, else a literal (RFC 3501 4.3)."""

from __future__ import annotations

import re

# tab is the only control that clients take in a quoted string
_PLAIN = re.compile(rb"[\t !#-\[\]-~]*\Z").match
_SEVEN_BITS = re.compile(rb"[\t -~]*\Z").match
_SPECIAL = re.compile(rb'(["\\])')


def string(value: bytes) -> bytes:
    """`value` as a quoted string or literal. NUL, which no IMAP4rev1 string may hold, becomes `?`."""
    if _PLAIN(value):
        return b'"%b"' % value
    if _SEVEN_BITS(value):
        return b'"%b"' % _SPECIAL.sub(rb"\\\1", value)
    value = value.replace(b"\0", b"?")
    return b"{%d}\r\n%b" % (len(value), value)


def nstring(value: bytes | None) -> bytes:
    """`value` as a string, None as NIL."""
    return b"NIL" if value is None else string(value)
