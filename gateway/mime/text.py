"""The words of a message for SEARCH BODY and TEXT: transfer encodings and charsets undone."""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterator

from gateway.mime.encoded import base64_octets, codec_of, decode_header_text, guessed_text
from gateway.mime.fields import unfolded
from gateway.mime.limits import MAX_DOCUMENT, MAX_HEADER, MAX_TEXT
from gateway.mime.parsed import LEAF, Parsed, Part
from gateway.mime.shown import document_text, html_text, is_document

#: stored octets [start, end)
Read = Callable[[int, int], bytes]


def decoded_text(read: Read, parsed: Parsed, *, headers: bool = False) -> Iterator[str]:
    """Each text part's text in order, and the headers of parts and messages inside.

    HTML comes as it is written and as it is shown; documents that are attached give their words. With `headers` the
    message's own header comes first (SEARCH TEXT). Only what is text is read, of one
    part at most MAX_TEXT octets. Raises what `read` raises.
    """
    if headers:
        yield _header(read, parsed.root)
    yield from _text(read, parsed.root)


def _header(read: Read, part: Part) -> str:
    fields = unfolded(read(part.start, min(part.body, part.start + MAX_HEADER)))
    return "\n".join([f"{name.decode('latin-1')}: {decode_header_text(value)}" for name, value in fields])


def _text(read: Read, part: Part) -> Iterator[str]:
    for child in part.children:
        if child.body > child.start:
            yield _header(read, child)
        yield from _text(read, child)
    # which other parts may be left out, and these may not: RFC 9051 6.4.4
    if part.kind == LEAF and part.type in (b"text", b"message") and part.end > part.body:
        text = part_text(part, read(part.body, min(part.end, part.body + MAX_TEXT)))
        yield text
        if part.subtype == b"html":
            yield html_text(text)
    elif _is_document(part):
        yield document_text(part.subtype, _octets(part, read(part.body, part.end)))


def _is_document(part: Part) -> bool:
    size = part.end - part.body
    # in base64 it is a third longer
    return part.kind == LEAF and part.type == b"application" and is_document(part.subtype) and size <= 2 * MAX_DOCUMENT


def _octets(part: Part, data: bytes) -> bytes:
    """What a part's stored octets stand for."""
    if part.encoding == b"base64":
        return base64_octets(data)
    return binascii.a2b_qp(data) if part.encoding == b"quoted-printable" else data


def part_text(part: Part, data: bytes) -> str:
    """The text of a part's stored octets; an unknown charset is guessed."""
    data = _octets(part, data)
    codec = codec_of(part.charset)
    if codec is not None:
        try:
            return data.decode(codec)
        except UnicodeDecodeError:
            pass
    return guessed_text(data)
