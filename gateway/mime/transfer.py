"""Transfer encodings undone as the octets come (RFC 2045 6.7, 6.8). Pure.

Stored octets have LF line ends; text that is not encoded comes out with CRLF.
"""

from __future__ import annotations

import binascii
import re
from typing import Protocol

from gateway.mime.encoded import base64_octets

MAX_LINE = 65_536  # of quoted-printable; a longer one is cut
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))
_BLANKS = re.compile(rb"[ \t]+\n")


class UnknownEncoding(ValueError):
    """A transfer encoding that nobody has defined."""


class Decoder(Protocol):
    """Takes stored octets in any pieces."""

    def feed(self, octets: bytes) -> bytes:
        """What can be told of them so far."""
        ...

    def end(self) -> bytes:
        """The rest."""
        ...


class _Identity:
    def feed(self, octets: bytes) -> bytes:
        return octets.replace(b"\n", b"\r\n")

    def end(self) -> bytes:
        return b""


class _Base64:
    """What is not of the alphabet is left out; what stands behind the padding, too."""

    def __init__(self) -> None:
        self._held = b""
        self._is_over = False

    def feed(self, octets: bytes) -> bytes:
        if self._is_over:
            return b""
        clean = self._held + octets.translate(None, _NOT_BASE64)
        padding = clean.find(b"=")
        if padding >= 0:
            self._is_over = True
            self._held = b""
            return base64_octets(clean[:padding])
        whole = len(clean) - len(clean) % 4
        self._held = clean[whole:]
        return binascii.a2b_base64(clean[:whole])

    def end(self) -> bytes:
        return b"" if self._is_over else base64_octets(self._held)


class _QuotedPrintable:
    def __init__(self) -> None:
        self._held = b""

    def feed(self, octets: bytes) -> bytes:
        octets = self._held + octets
        end = octets.rfind(b"\n") + 1
        if not end and len(octets) > MAX_LINE:
            end = len(octets) - 2  # `=` and two digits stay together
            end -= octets[end - 1 : end] == b"=" or 2 * (octets[end - 2 : end - 1] == b"=")
        self._held = octets[end:]
        return _quoted(octets[:end])

    def end(self) -> bytes:
        return _quoted(self._held)


def _quoted(lines: bytes) -> bytes:
    # blanks at the end of a line were added on the way (RFC 2045 6.7 rule 3)
    text = _BLANKS.sub(b"\n", lines) if b" \n" in lines or b"\t\n" in lines else lines
    return binascii.a2b_qp(text.replace(b"=\n", b"").replace(b"\n", b"\r\n"))


def decoder(encoding: bytes) -> Decoder:
    """The decoder of a Content-Transfer-Encoding in lower case. Raises UnknownEncoding."""
    if encoding in (b"", b"7bit", b"8bit", b"binary"):
        return _Identity()
    if encoding == b"base64":
        return _Base64()
    if encoding == b"quoted-printable":
        return _QuotedPrintable()
    raise UnknownEncoding(encoding.decode("latin-1"))
