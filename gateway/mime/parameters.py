"""Content-Type and Content-Disposition: a value and its parameters (RFC 2045 5.1, RFC 2183, RFC 2231).

Continuations are joined. Where a segment is percent-encoded the joined parameter keeps the form of
RFC 2231 4 under the name with its star (`filename*` = `utf-8'en'a%20b`), as mail programs expect it
in BODYSTRUCTURE; `parameter_text` gives it to people.
"""

from __future__ import annotations

import re
from itertools import islice

from gateway.mime.encoded import charset_text, decode_header_text
from gateway.mime.fields import without_comments
from gateway.mime.limits import MAX_PARAMETERS

Parameters = list[tuple[bytes, bytes]]

_TYPE = re.compile(rb"\s*+([^\s/;\"=,]++)\s*+/\s*+([^\s/;\"=,]++)\s*+(?=;|\Z)")
_WORD = re.compile(rb"\s*+([^\s;\"=,]++)")
_PARAMETER = re.compile(rb';\s*+([^\s=;"]++)\s*+=\s*+(?:"((?:[^"\\]++|\\.)*+)(?:"|\\?\Z)[^;]*+|([^;]*+))', re.DOTALL)
_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_SEGMENT = re.compile(rb"([^*]+)\*(\d{1,4})?(\*)?\Z")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_NEEDS_PERCENT = re.compile(rb"[^A-Za-z0-9!#$&+\-.^_`{|}~]")


def content_type(value: bytes | None) -> tuple[bytes, bytes, Parameters] | None:
    """(type, subtype, parameters) as written; None for a missing or meaningless value (RFC 2045 5.2)."""
    if value is None:
        return None
    if b"(" in value:
        value = without_comments(value)
    match = _TYPE.match(value)
    if match is None:
        return None
    end = match.end()
    return match[1], match[2], _parameters(value, end) if end < len(value) else []


def disposition(value: bytes | None) -> tuple[bytes, Parameters] | None:
    """(kind, parameters) of a Content-Disposition; None when there is none."""
    if value is None:
        return None
    value = without_comments(value)
    match = _WORD.match(value)
    return (match[1], _parameters(value, match.end())) if match else None


def _parameters(value: bytes, start: int) -> Parameters:
    found: Parameters = []
    star = False
    for match in islice(_PARAMETER.finditer(value, start), MAX_PARAMETERS):
        name, quoted, bare = match.groups()
        text = bare.strip() if quoted is None else _PAIR.sub(rb"\1", quoted) if b"\\" in quoted else quoted
        star = star or b"*" in name
        found.append((name, text))
    return _joined(found) if star else found


def _joined(found: Parameters) -> Parameters:
    """Continuations (RFC 2231 3) put together at the place of their first segment."""
    joined: Parameters = []
    segments: dict[bytes, dict[int, tuple[bytes, bool]]] = {}
    for name, text in found:
        match = _SEGMENT.match(name)
        if match is None:
            joined.append((name, text))
            continue
        key = match[1].lower()
        if key not in segments:
            segments[key] = {}
            joined.append((match[1] + b"*", key))  # its value is put in below
        segments[key].setdefault(int(match[2] or 0), (text, match[3] is not None or match[2] is None))
    result: Parameters = []
    for name, text in joined:
        if not name.endswith(b"*") or text not in segments:
            result.append((name, text))
            continue
        of_name = segments.pop(text)
        parts: list[tuple[bytes, bool]] = []
        while (part := of_name.get(len(parts))) is not None:
            parts.append(part)
        if not parts:  # numbered from elsewhere: in their order
            parts = [of_name[number] for number in sorted(of_name)]
        if not any(encoded for _, encoded in parts):
            result.append((name[:-1], b"".join(part for part, _ in parts)))
            continue
        pieces = [part if encoded else _NEEDS_PERCENT.sub(_percent, part) for part, encoded in parts]
        if not parts[0][1] or pieces[0].count(b"'") < 2:
            pieces.insert(0, b"''")
        result.append((name, b"".join(pieces)))
    return result


def _percent(match: re.Match[bytes]) -> bytes:
    return b"%%%02X" % match[0][0]


def parameter(parameters: Parameters, name: bytes) -> bytes | None:
    """The raw value of the parameter `name` (lower case)."""
    for known, value in parameters:
        if known.lower() == name:
            return value
    return None


def parameter_text(parameters: Parameters, name: bytes) -> str | None:
    """The value for people: RFC 2231 or, where a program put them there, encoded words decoded."""
    value = parameter(parameters, name + b"*")
    if value is not None:
        charset, _, rest = value.partition(b"'")
        _, _, text = rest.partition(b"'")
        return charset_text(_PERCENT.sub(lambda m: bytes((int(m[1], 16),)), text), charset)
    value = parameter(parameters, name)
    return None if value is None else decode_header_text(value)
