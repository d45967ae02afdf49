"""Fields of one header, found by name without splitting the whole header (RFC 5322 2.2).

The first field of a name counts. A line that is no field is passed over; `Name :` with a space, as
RFC 5322 4.5 lets old mail have it, is found as well. Only what the limits let in is looked at.
"""

from __future__ import annotations

import re

from gateway.mime.limits import MAX_FIELD, MAX_HEADER, MAX_HEADER_LINES


class Fields:
    """The header `stored[start:end]`. Names are asked for as `b"\\nsubject:"`, lower case."""

    __slots__ = ("_low", "_raw", "_spaced")

    def __init__(self, stored: bytes, start: int, end: int) -> None:
        raw = stored[start : min(end, start + MAX_HEADER)]
        if len(raw) > MAX_HEADER_LINES and raw.count(b"\n") > MAX_HEADER_LINES:
            raw = b"\n".join(raw.split(b"\n", MAX_HEADER_LINES)[:MAX_HEADER_LINES])
        self._raw = raw
        self._low = b"\n" + raw.lower()
        self._spaced = b" :" in raw or b"\t:" in raw

    def has(self, text: bytes) -> bool:
        """True when the lower-case header contains `text`; the start of each line has a line feed before it."""
        return text in self._low

    def joined(self, name: bytes) -> bytes | None:
        """Like `get`, with further fields of the name behind commas: addresses stand in all of them (RFC 5322 4.5.3)."""
        first = self.get(name)
        if self._low.count(name) < 2:
            return first
        wanted = name[1:-1]
        return b", ".join([value for known, value in unfolded(self._raw) if known == wanted and value])[:MAX_FIELD]

    def get(self, name: bytes) -> bytes | None:
        """The unfolded value without surrounding space, None when there is no such field."""
        low, raw = self._low, self._raw
        at = low.find(name)
        begin = at + len(name) - 1
        if at < 0:
            if not self._spaced:
                return None
            match = re.search(re.escape(name[:-1]) + rb"[ \t]++:", low)
            if match is None:
                return None
            begin = match.end() - 1
        end = raw.find(b"\n", begin)
        folded = False
        while end >= 0 and raw[end + 1 : end + 2] in (b" ", b"\t"):
            end = raw.find(b"\n", end + 1)
            folded = True
        if end < 0:
            end = len(raw)
        value = raw[begin : min(end, begin + MAX_FIELD)]
        if folded:
            value = value.replace(b"\r\n", b"").replace(b"\n", b"")
        return value.strip()


def unfolded(header: bytes) -> list[tuple[bytes, bytes]]:
    """All fields as (lower-case name, unfolded value), in order, within the limits."""
    found: list[tuple[bytes, bytes]] = []
    lines: list[bytes] = []

    def finish() -> None:
        if lines:
            name, colon, value = b"".join(lines)[:MAX_FIELD].partition(b":")
            if colon:
                found.append((name.strip().lower(), value.strip()))
            lines.clear()

    for line in header[:MAX_HEADER].split(b"\n", MAX_HEADER_LINES)[:MAX_HEADER_LINES]:
        line = line.removesuffix(b"\r")
        if line[:1] not in (b" ", b"\t"):
            finish()
        lines.append(line)
    finish()
    return found


def without_comments(value: bytes) -> bytes:
    """`value` with its comments replaced by a space; quoted strings stay (RFC 5322 3.2.2). Linear."""
    if b"(" not in value:
        return value
    kept: list[bytes] = []
    depth = begin = 0
    quoted = False
    for match in _COMMENT_MARK.finditer(value):
        mark = match[0]
        if quoted:
            quoted = mark != b'"'
        elif mark == b"(":
            if depth == 0:
                kept.append(value[begin : match.start()])
            depth += 1
        elif mark == b")" and depth:
            depth -= 1
            if depth == 0:
                kept.append(b" ")
                begin = match.end()
        elif mark == b'"' and not depth:
            quoted = True
    if depth == 0:
        kept.append(value[begin:])
    return b"".join(kept)


_COMMENT_MARK = re.compile(rb'\\.|[()"]', re.DOTALL)
