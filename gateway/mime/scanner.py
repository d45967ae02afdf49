"""One pass over a stored message (LF line ends) to its IMAP answers and part offsets (RFC 2045, RFC 2046).

Each octet of a body is looked at once, whatever the nesting: all boundaries that are open are looked
for together, and a delimiter of an outer multipart ends the inner ones. A delimiter line is `--`, the
boundary, perhaps `--`, and white space; more is not one, so boundaries that begin alike do not meet.
Sizes and lines are those of the CRLF form.

What is broken has one fixed meaning: a header without a blank line reaches to the end of its part; a
missing closing delimiter is the end of what is around; a multipart without boundary or parts has one
empty text part; below MAX_NESTING a part is application/octet-stream; after MAX_PARTS the rest is one.
"""

from __future__ import annotations

import re

from gateway.mime.envelope import envelope_of
from gateway.mime.fields import Fields
from gateway.mime.limits import MAX_BOUNDARY, MAX_NESTING, MAX_PARTS, MAX_REFERENCES
from gateway.mime.parameters import content_type, parameter
from gateway.mime.parsed import LEAF, MESSAGE, MULTIPART, PARSER_VERSION, Parsed, Part
from gateway.mime.structure import Rendered, encoding_of, multipart, single

_BLANK_LINE = re.compile(rb"\n\r?\n")
_DEFAULT_PARAMETERS = [(b"charset", b"us-ascii")]
_NOT_QUOTABLE = re.compile(rb'["\\\x00-\x1f\x7f-\xff]')
_OUTSIDE = 0  # the level of the end of the message


def scan(stored: bytes) -> Parsed:
    """Everything FETCH asks of a message. Never raises, for any octets; linear in their number."""
    scanner = _Scanner(stored)
    body = scanner.header_end(0)
    fields = Fields(stored, 0, body)
    root, (structure, plain) = scanner.entity(0, body, fields, b"plain", 0)
    references = (fields.get(b"\nreferences:") or b"")[-MAX_REFERENCES:]
    return Parsed(PARSER_VERSION, envelope_of(fields), structure, plain, root, references)


def envelope(head: bytes) -> bytes:
    """ENVELOPE alone, from stored octets that hold at least the header; the body is not looked at."""
    return envelope_of(Fields(head, 0, _Scanner(head).header_end(0)))


def header_end(head: bytes) -> int:
    """Where the body begins; the length of `head` when it has no blank line."""
    return _Scanner(head).header_end(0)


class _Scanner:
    """The state of one pass. `line`, `after`, `level`, `closing` describe the delimiter found last."""

    __slots__ = (
        "_blank",
        "_boundaries",
        "_cr",
        "_depth",
        "_end",
        "_parts",
        "_stored",
        "after",
        "closing",
        "level",
        "line",
    )

    def __init__(self, stored: bytes) -> None:
        self._stored = stored
        self._end = len(stored)
        self._cr = b"\r\n" in stored
        self._blank = (-1, -1)  # start and end of the last blank line found
        self._boundaries: dict[bytes, int] = {}
        self._depth = 0  # open multiparts
        self._parts = 0
        self.line = self.after = self._end
        self.level = _OUTSIDE
        self.closing = False

    def header_end(self, start: int) -> int:
        """Where the body begins of the entity whose header begins at `start`."""
        stored = self._stored
        if stored.startswith(b"\n", start):
            return start + 1
        if self._cr and stored.startswith(b"\r\n", start):
            return start + 2
        at, end = self._blank
        if at < start:  # not known yet; what is known stays so for every part before it
            if self._cr:
                match = _BLANK_LINE.search(stored, start)
                at, end = (match.start(), match.end()) if match else (self._end, self._end)
            else:
                at = stored.find(b"\n\n", start)
                at, end = (at, at + 2) if at >= 0 else (self._end, self._end)
            self._blank = (at, end)
        return end

    def _find_delimiter(self, start: int, stop: int) -> bool:
        """The next delimiter line beginning in [start, stop); the message's end when there is none."""
        stored, boundaries = self._stored, self._boundaries
        at = start - 1
        while boundaries:
            at = stored.find(b"\n--", at, stop + 2)
            if at < 0:
                break
            end = stored.find(b"\n", at + 3)
            if end < 0:
                end = self._end
            if end - at <= MAX_BOUNDARY + 8:
                text = stored[at + 3 : end].rstrip(b" \t\r")
                level = boundaries.get(text)
                closing = False
                if level is None and text.endswith(b"--"):
                    level = boundaries.get(text[:-2])
                    closing = True
                if level is not None:
                    self.line, self.after = at + 1, min(end + 1, self._end)
                    self.level, self.closing = level, closing
                    return True
            at = end
        if stop >= self._end:
            self.line = self.after = self._end
            self.level, self.closing = _OUTSIDE, False
        return False

    def _before(self, start: int) -> int:
        """The end of an entity before the delimiter at `line`, whose line end belongs to the delimiter."""
        if self.level == _OUTSIDE:
            return self._end
        end = self.line - 1
        if self._cr and end > start and self._stored[end - 1] == 0x0D:
            end -= 1
        return max(end, start)

    def _part(self, start: int, default: bytes, depth: int) -> tuple[Part, Rendered]:
        """The part of a multipart that begins at `start`."""
        body = self.header_end(start)
        if self._find_delimiter(start, body):
            # no blank line before the next delimiter: all header, or nothing at all
            self._parts += 1
            end = self._before(start)
            fields = Fields(self._stored, start, end)
            found = content_type(fields.get(b"\ncontent-type:"))
            if found is not None and found[0].lower() in (b"multipart", b"message"):
                found = None  # there is nothing inside
            return self._leaf(start, end, end, fields, default, found)
        return self.entity(start, body, Fields(self._stored, start, body), default, depth)

    def entity(self, start: int, body: int, fields: Fields, default: bytes, depth: int) -> tuple[Part, Rendered]:
        """The entity with this header; its end is found here. `default` is the type in a digest or else."""
        self._parts += 1
        if not fields.has(b"\ncontent-") and default == b"plain":
            self._find_delimiter(body, self._end)
            return self._leaf(start, body, self._before(body), fields, default)
        found = content_type(fields.get(b"\ncontent-type:"))
        type_ = found[0].lower() if found else b"message" if default == b"rfc822" else b"text"
        subtype = found[1].lower() if found else default
        if type_ == b"multipart" or (type_ == b"message" and subtype == b"rfc822"):
            if depth >= MAX_NESTING:
                return self._opaque(start, body, fields)
            if type_ == b"message":
                return self._message(start, body, fields, found, depth)
            assert found is not None
            return self._multipart(start, body, fields, found, depth)
        self._find_delimiter(body, self._end)
        return self._leaf(start, body, self._before(body), fields, default, found)

    def _measure(self, start: int, end: int) -> tuple[int, int]:
        lines = self._stored.count(b"\n", start, end)
        return end - start + lines, lines

    def _leaf(
        self,
        start: int,
        body: int,
        end: int,
        fields: Fields,
        default: bytes,
        found: tuple[bytes, bytes, list[tuple[bytes, bytes]]] | None = None,
    ) -> tuple[Part, Rendered]:
        octets, lines = self._measure(body, end)
        if found is None:
            found = (b"text", b"plain", _DEFAULT_PARAMETERS) if default == b"plain" else (b"text", default, [])
            if default == b"rfc822":
                found = (b"application", b"octet-stream", [])
        type_, subtype, parameters = found
        if _NOT_QUOTABLE.search(type_) or _NOT_QUOTABLE.search(subtype):
            type_, subtype = b"application", b"octet-stream"
        encoding = encoding_of(fields)
        part = Part(
            start,
            body,
            end,
            LEAF,
            type_.lower(),
            subtype.lower(),
            encoding.lower(),
            (parameter(parameters, b"charset") or b"").lower(),
        )
        return part, single(fields, type_, subtype, parameters, encoding, octets, lines, None)

    def _opaque(self, start: int, body: int, fields: Fields) -> tuple[Part, Rendered]:
        self._find_delimiter(body, self._end)
        end = self._before(body)
        return self._leaf(start, body, end, fields, b"plain", (b"application", b"octet-stream", []))

    def _message(
        self,
        start: int,
        body: int,
        fields: Fields,
        found: tuple[bytes, bytes, list[tuple[bytes, bytes]]] | None,
        depth: int,
    ) -> tuple[Part, Rendered]:
        inside = self.header_end(body)
        if self._find_delimiter(body, inside):
            end = self._before(body)
            inner_fields = Fields(self._stored, body, end)
            child, structure = self._leaf(body, end, end, inner_fields, b"plain")
        else:
            inner_fields = Fields(self._stored, body, inside)
            child, structure = self.entity(body, inside, inner_fields, b"plain", depth + 1)
        octets, lines = self._measure(body, child.end)
        type_, subtype, parameters = found or (b"message", b"rfc822", [])
        encoding = encoding_of(fields)
        part = Part(
            start, body, child.end, MESSAGE, b"message", b"rfc822", encoding.lower(), b"", [child]
        )  # fmt: skip
        inner = (envelope_of(inner_fields), structure)
        return part, single(fields, type_, subtype, parameters, encoding, octets, lines, inner)

    def _multipart(
        self,
        start: int,
        body: int,
        fields: Fields,
        found: tuple[bytes, bytes, list[tuple[bytes, bytes]]],
        depth: int,
    ) -> tuple[Part, Rendered]:
        boundary = (parameter(found[2], b"boundary") or b"").rstrip()
        children: list[Part] = []
        rendered: list[Rendered] = []
        if boundary and len(boundary) <= MAX_BOUNDARY:
            self._read_parts(
                body, boundary, b"rfc822" if found[1].lower() == b"digest" else b"plain", depth, children, rendered
            )
        else:
            self._find_delimiter(body, self._end)
        end = self._before(body)
        if not children:
            children.append(Part(end, end, end))
            rendered.append(single(None, b"text", b"plain", _DEFAULT_PARAMETERS, b"", 0, 0, None))
        subtype = b"mixed" if _NOT_QUOTABLE.search(found[1]) else found[1]
        part = Part(start, body, end, MULTIPART, b"multipart", subtype.lower(), b"", b"", children)
        return part, multipart(fields, subtype, found[2], rendered)

    def _read_parts(
        self,
        body: int,
        boundary: bytes,
        default: bytes,
        depth: int,
        children: list[Part],
        rendered: list[Rendered],
    ) -> None:
        """The parts between this boundary's delimiters; the delimiter that follows them all is found."""
        self._depth += 1
        level = self._depth
        outer = self._boundaries.get(boundary)
        self._boundaries[boundary] = level
        self._find_delimiter(body, self._end)
        while self.level == level and not self.closing:
            if self._parts >= MAX_PARTS:
                start, self.line = self.after, self._end
                self.after, self.level = self._end, _OUTSIDE
                rest, shown = self._leaf(
                    start, start, self._end, Fields(b"", 0, 0), default, (b"application", b"octet-stream", [])
                )
                children.append(rest)
                rendered.append(shown)
                break
            child, shown = self._part(self.after, default, depth + 1)
            children.append(child)
            rendered.append(shown)
        if outer is None:
            del self._boundaries[boundary]
        else:
            self._boundaries[boundary] = outer
        self._depth -= 1
        if self.level == level:
            self._find_delimiter(self.after, self._end)
