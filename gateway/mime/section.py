"""BODY[section] of a message as CRLF octets (RFC 3501 6.4.5)."""

from __future__ import annotations

import re

from gateway.mime.fields import unfolded
from gateway.mime.parsed import LEAF, MESSAGE, MULTIPART, Parsed, Part

_SPEC = re.compile(
    rb"(?P<path>[1-9]\d{0,8}(?:\.[1-9]\d{0,8})*)?(?(path)(?:\.(?=.))?)"
    rb"(?:(?P<fields>HEADER\.FIELDS(?P<invert>\.NOT)?)\s*\((?P<names>[^()]*)\)|(?P<what>HEADER|TEXT|MIME))?\Z",
    re.IGNORECASE | re.DOTALL,
)
_NAME = re.compile(rb'"((?:[^"\\]|\\.)*)"|([^\s"]+)', re.DOTALL)


def find_part(parsed: Parsed, path: list[int]) -> Part | None:
    """The part with this number; the message itself for an empty path."""
    entity, part = parsed.root, None
    for number in path:
        if part is not None:
            if part.kind == LEAF:
                return None
            entity = part if part.kind == MULTIPART else part.children[0]
        if entity.kind == MULTIPART:
            if number > len(entity.children):
                return None
            part = entity.children[number - 1]
        elif number == 1:
            part = entity
        else:
            return None
    return part or entity


def section(stored: bytes, parsed: Parsed, spec: bytes) -> bytes | None:
    """The octets of BODY[spec]; None (NIL) when the message has no such part. ValueError: no section at all."""
    span_or_text = _locate(stored, parsed, spec)
    if span_or_text is None:
        return None
    if isinstance(span_or_text, bytes):
        return span_or_text
    start, end = span_or_text
    return stored[start:end].replace(b"\n", b"\r\n")


def _locate(stored: bytes, parsed: Parsed, spec: bytes) -> tuple[int, int] | bytes | None:
    if not spec:
        return 0, len(stored)
    match = _SPEC.match(spec)
    if match is None:
        raise ValueError("not a section")
    what = (match["what"] or b"").upper()
    if match["path"] is None:
        if what == b"MIME":
            raise ValueError("MIME needs a part number")
        holder: Part | None = parsed.root
    else:
        part = find_part(parsed, [int(number) for number in match["path"].split(b".")])
        if part is None:
            return None
        if what == b"MIME":
            return part.start, part.body
        if not what and match["fields"] is None:
            return part.body, part.end
        holder = part.children[0] if part.kind == MESSAGE else None
    if holder is None:
        return None
    if what == b"TEXT":
        return holder.body, holder.end
    if what == b"HEADER":
        return holder.start, holder.body
    names = {(quoted or bare).lower() for quoted, bare in _NAME.findall(match["names"])}
    return selected_fields(stored[holder.start : holder.body], names, invert=match["invert"] is not None)


def selected_fields(header: bytes, names: set[bytes], *, invert: bool = False) -> bytes:
    """The fields whose lower-case name is in `names` (not in, with `invert`), and the blank line, CRLF."""
    kept: list[bytes] = []
    keep = False
    for line in header.split(b"\n"):
        if line in (b"", b"\r"):
            break
        if line[0] not in b" \t":
            name, colon, _ = line.partition(b":")
            keep = bool(colon) and (name.strip().lower() in names) is not invert
        if keep:
            kept.append(line)
    kept.append(b"\r\n" if kept else b"")
    return b"\r\n".join(kept) if len(kept) > 1 else b"\r\n"


def field_values(stored: bytes, parsed: Parsed, name: bytes) -> list[bytes]:
    """The unfolded values of every field `name` of the message's own header, for SEARCH HEADER."""
    wanted = name.strip().lower()
    header = stored[parsed.root.start : parsed.root.body]
    return [value for known, value in unfolded(header) if known == wanted]
