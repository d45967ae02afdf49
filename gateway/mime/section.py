"""BODY[section] of a message: which octets it names, and header fields chosen by name (RFC 3501 6.4.5)."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from gateway.mime.fields import unfolded
from gateway.mime.parsed import LEAF, MESSAGE, MULTIPART, Parsed, Part


class What(enum.Enum):
    """What of a part a section names."""

    ALL = ""
    HEADER = "HEADER"
    TEXT = "TEXT"
    MIME = "MIME"
    FIELDS = "HEADER.FIELDS"


@dataclass(frozen=True, slots=True)
class Section:
    """A section. `names` (lower case) and `invert` belong to FIELDS: those fields, or all others."""

    path: tuple[int, ...] = ()
    what: What = What.ALL
    names: frozenset[bytes] = frozenset()
    invert: bool = False

    @property
    def in_header(self) -> bool:
        """True when the message's own header is enough to answer it."""
        return not self.path and self.what in (What.HEADER, What.FIELDS)


def find_part(parsed: Parsed, path: tuple[int, ...]) -> Part | None:
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


def locate(parsed: Parsed, section: Section) -> tuple[int, int] | None:
    """Where the section's octets stand in the stored message, None (NIL) when it has no such part.

    For FIELDS it is the header they are chosen from. ALL of an empty path is not looked up here: it is
    the whole message.
    """
    part = find_part(parsed, section.path)
    if part is None:
        return None
    if section.what is What.MIME:
        return part.start, part.body
    if section.what is What.ALL:
        return part.body, part.end
    holder = part
    if section.path:
        if part.kind != MESSAGE:
            return None
        holder = part.children[0]
    if section.what is What.TEXT:
        return holder.body, holder.end
    return holder.start, holder.body


def section_octets(stored: bytes, parsed: Parsed, section: Section) -> bytes | None:
    """The octets of BODY[section] with CRLF line ends; None (NIL) when the message has no such part."""
    if section == Section():
        return stored.replace(b"\n", b"\r\n")
    span = locate(parsed, section)
    if span is None:
        return None
    octets = stored[span[0] : span[1]]
    if section.what is What.FIELDS:
        return selected_fields(octets, section.names, invert=section.invert, blank=has_blank_line(octets))
    return octets.replace(b"\n", b"\r\n")


def has_blank_line(header: bytes) -> bool:
    """True unless a whole header has no line behind it that ends it."""
    return header in (b"\n", b"\r\n") or header.endswith((b"\n\n", b"\n\r\n"))


def selected_fields(header: bytes, names: frozenset[bytes], *, invert: bool = False, blank: bool = True) -> bytes:
    """The fields whose lower-case name is in `names` (not in, with `invert`), CRLF, and with `blank` a blank line.

    Only of a message that has neither a body nor a blank line there is none (RFC 9051 6.4.5.1).
    """
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
    if blank:
        kept.append(b"")
    return b"".join([line + b"\r\n" for line in kept])


def field_values(header: bytes, name: bytes) -> list[bytes]:
    """The unfolded values of every field `name` of a header, for SEARCH HEADER."""
    wanted = name.strip().lower()
    if wanted not in header.lower():
        return []
    return [value for known, value in unfolded(header) if known == wanted]
