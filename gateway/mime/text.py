"""The words of a message for SEARCH BODY and TEXT: transfer encodings and charsets undone."""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterator

from gateway.mime.encoded import base64_octets, codec_of, decode_header_text, guessed_text
from gateway.mime.fields import unfolded
from gateway.mime.limits import MAX_HEADER, MAX_TEXT
from gateway.mime.parsed import LEAF, Parsed, Part

#: stored octets [start, end)
Read = Callable[[int, int], bytes]


def decoded_text(read: Read, parsed: Parsed, *, headers: bool = False) -> Iterator[str]:
    """Each text part's text in order, and the headers of parts and messages inside.

    With `headers` the message's own header comes first (SEARCH TEXT). Only what is text is read, of one
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
        yield part_text(part, read(part.body, min(part.end, part.body + MAX_TEXT)))


def part_text(part: Part, data: bytes) -> str:
    """The text of a part's stored octets; an unknown charset is guessed."""
    if part.encoding == b"base64":
        data = base64_octets(data)
    elif part.encoding == b"quoted-printable":
        data = binascii.a2b_qp(data)
    codec = codec_of(part.charset)
    if codec is not None:
        try:
            return data.decode(codec)
        except UnicodeDecodeError:
            pass
    return guessed_text(data)
