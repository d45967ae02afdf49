"""Address lists of a header as ENVELOPE shows them (RFC 5322 3.4, RFC 3501 7.4.2).

Every text gives an answer, in time linear in its length: unfinished quotes, comments and angles take
the rest, what is missing of an address is the empty string (NIL would mean a group).
"""

from __future__ import annotations

import re

from gateway.mime.limits import MAX_ADDRESSES
from gateway.mime.quoting import nstring, string

_ATOM = rb"[^\s()<>@,;:\\\".\[\]\x00-\x1f]"
# "Name" <a@b>, Name Words <a@b>, <a@b>, a@b, each up to the comma; anything else takes the long way
_COMMON = re.compile(
    rb"\s*+(?:(?:\"([^\"\\]*+)\"|((?:[^\s()<>@,;:\\\"\[\]]++(?:\x20(?![\x20<]))?+)++))?+\s*+"
    rb"<(" + _ATOM + rb"++(?:\." + _ATOM + rb"++)*+)@([^\s()<>@,;:\\\"\[\]]++)>"
    rb"|(" + _ATOM + rb"++(?:\." + _ATOM + rb"++)*+)@([^\s()<>@,;:\\\"\[\]]++))\s*+(?:,\s*+|\Z)"
)
_TOKEN = re.compile(rb'\s++|"((?:[^"\\]++|\\.)*+)(?:"|\\?\Z)|\[[^\]]*+\]?|[^\s()<>@,;:"\[\]\\]++|\\.|.', re.DOTALL)
_COMMENT = re.compile(rb"\\.|[()]", re.DOTALL)
_PAIR = re.compile(rb"\\(.)", re.DOTALL)


def addresses(value: bytes | None) -> bytes:
    """The address structures of one unfolded field, NIL for none. At most MAX_ADDRESSES of them."""
    if not value:
        return b"NIL"
    out: list[bytes] = []
    at, end = 0, len(value)
    while at < end:
        match = _COMMON.match(value, at)
        if match is None:
            _Reader(value, out).read(at)
            break
        quoted, words, local, host, bare, bare_host = match.groups()
        name = quoted if quoted is not None else words
        if name is not None and not name:
            name = None
        out.append(_structure(name, None, local or bare, host or bare_host))
        if len(out) >= MAX_ADDRESSES:
            break
        at = match.end()
    return b"(%b)" % b"".join(out) if out else b"NIL"


def _structure(name: bytes | None, route: bytes | None, local: bytes, host: bytes) -> bytes:
    return b"(%b %b %b %b)" % (nstring(name), nstring(route), string(local), string(host))


class _Reader:
    """One list by tokens. `words` is the phrase or the bare address so far."""

    def __init__(self, value: bytes, out: list[bytes]) -> None:
        self._value = value
        self._out = out
        self._in_group = False
        self._clear()

    def _clear(self) -> None:
        self._words: list[bytes] = []
        self._spaced = False
        self._comment: bytes | None = None
        self._local: list[bytes] | None = None  # set once a bare address has had its @
        self._route: bytes | None = None
        self._angle: list[bytes] | None = None
        self._phrase: bytes | None = None
        self._done = False

    def read(self, at: int) -> None:
        value, end, out = self._value, len(self._value), self._out
        while at < end and len(out) < MAX_ADDRESSES:
            if value[at] == 0x28:
                at = self._read_comment(at)
                continue
            match = _TOKEN.match(value, at)
            assert match is not None  # the last alternative takes any octet
            at = match.end()
            token = match[0]
            first = token[0]
            if first in b" \t\r\n\v\f":
                self._spaced = True
            elif first == 0x22:
                inner = match[1]
                self._word(_PAIR.sub(rb"\1", inner) if b"\\" in inner else inner)
            elif first == 0x3C and self._angle is None:  # <
                before = (
                    self._words if self._local is None else [*self._local, b"@", *self._words]
                )  # an address as name
                self._phrase = b"".join(before).strip() or None
                self._words, self._angle, self._spaced = [], [], False
                self._local = None
            elif first == 0x3E:  # >
                self._finish_angle()
            elif first == 0x40:  # @
                if self._local is None:
                    self._local, self._words = self._words, []
                else:
                    self._words.append(b"@")
                self._spaced = False
            elif first == 0x2C:  # ,
                if self._angle is not None and not self._done and self._words and self._local == []:
                    self._word(token)  # a source route: <@a,@b:c@d>
                else:
                    self._finish()
            elif first == 0x3A:  # :
                self._colon()
            elif first == 0x3B:  # ;
                self._finish()
                if self._in_group:
                    out.append(b"(NIL NIL NIL NIL)")
                    self._in_group = False
            else:
                self._word(token[1:] if first == 0x5C else token)
        self._finish()
        if self._in_group:
            out.append(b"(NIL NIL NIL NIL)")

    def _word(self, text: bytes) -> None:
        if self._done:
            return
        if self._spaced and self._words and self._local is None and self._angle is None:
            self._words.append(b" ")
        self._spaced = False
        self._words.append(text)

    def _read_comment(self, at: int) -> int:
        depth = 0
        for match in _COMMENT.finditer(self._value, at):
            if match[0] == b"(":
                depth += 1
            elif match[0] == b")":
                depth -= 1
                if depth == 0:
                    text = self._value[at + 1 : match.start()]
                    self._comment = _PAIR.sub(rb"\1", text).strip()
                    self._spaced = True
                    return match.end()
        self._comment = self._value[at + 1 :].strip()
        return len(self._value)

    def _colon(self) -> None:
        if self._angle is not None:
            if self._local is not None and not self._done:
                self._route = b"".join([*self._local, b"@", *self._words])
                self._local, self._words = None, []
        elif self._local is None and not self._in_group and not self._done:
            name = b"".join(self._words).strip()
            self._out.append(b"(NIL NIL %b NIL)" % string(name))
            self._in_group = True
            self._clear()
        else:
            self._word(b":")

    def _finish_angle(self) -> None:
        if self._angle is None or self._done:
            return
        self._done = True

    def _finish(self) -> None:
        """Put the address read so far into the list."""
        if self._angle is None and self._local is None and not self._words:
            self._clear()
            return
        words = b"".join(self._words)
        if self._local is not None:
            local, host = b"".join(self._local), words
        else:
            local, host = words, b""
        name = self._phrase if self._angle is not None else None
        if self._angle is None and self._comment:
            name = self._comment
        self._out.append(_structure(name, self._route, local, host))
        self._clear()
