"""A message on its way out: LF becomes CRLF, dots are doubled or chunks counted, and what a peer cannot take
(8-bit text, lines over 998 octets) is encoded where that changes nothing for the reader."""

from __future__ import annotations

import email.generator
import email.message
import email.parser
import email.policy
import io
import quopri
from base64 import encodebytes
from collections.abc import Iterator
from dataclasses import dataclass

from directory.model import Condition, Refused

MAX_LINE = 998  # RFC 5322 2.1.1, without the line end
MAX_CONVERTED = 32 * 1024 * 1024
#: parts whose octets are signed or encrypted: encoding them anew would break that (RFC 1847 2.1)
_UNTOUCHABLE = ("multipart/signed", "multipart/encrypted")


@dataclass(frozen=True, slots=True)
class Nature:
    """What a message needs of a peer."""

    is_ascii: bool
    header_is_ascii: bool
    has_long_lines: bool


def nature(pieces: Iterator[bytes]) -> Nature:
    """Look through a message once, in pieces."""
    is_ascii = header_is_ascii = True
    is_long = False
    in_header, line, last = True, 0, b"\n"
    for piece in pieces:
        if not piece:
            continue
        if in_header:
            end = 0 if last == b"\n" and piece[:1] == b"\n" else piece.find(b"\n\n")
            header_is_ascii = header_is_ascii and (piece if end < 0 else piece[:end]).isascii()
            in_header = end < 0
        is_ascii = is_ascii and piece.isascii()
        if not is_long:
            is_long, line = _long_line(piece, line)
        last = piece[-1:]
    return Nature(is_ascii, header_is_ascii, is_long)


def _long_line(piece: bytes, line: int) -> tuple[bool, int]:
    """Whether a line is over the limit; octets of the last, unfinished one. `line` = those it began with."""
    first = piece.find(b"\n")
    if first < 0:
        return line + len(piece) > MAX_LINE, line + len(piece)
    if line + first > MAX_LINE:
        return True, 0
    position = first + 1
    while len(piece) - position > MAX_LINE:
        # the last line end within reach: a step is nearly a thousand octets
        following = piece.rfind(b"\n", position, position + MAX_LINE + 1)
        if following < 0:
            return True, 0
        position = following + 1
    return False, len(piece) - (piece.rfind(b"\n") + 1)


def _clean(piece: bytes) -> bytes:
    """Without CR: a bare one could be a line end for somebody behind us (SMTP smuggling)."""
    return piece.replace(b"\r\n", b"\n").replace(b"\r", b" ") if b"\r" in piece else piece


def dotted(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """For DATA: CRLF, dots at line starts doubled (RFC 5321 4.5.2), the end marked."""
    at_start = True
    for raw in pieces:
        piece = _clean(raw)
        if not piece:
            continue
        data = piece.replace(b"\n.", b"\n..")
        if at_start and data.startswith(b"."):
            data = b"." + data
        at_start = piece.endswith(b"\n")
        yield data.replace(b"\n", b"\r\n")
    yield b".\r\n" if at_start else b"\r\n.\r\n"


def chunked(pieces: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """For BDAT (RFC 3030): commands with their octets, and whether it is the last one."""
    waiting = b""
    ended = True
    for raw in pieces:
        piece = _clean(raw)
        if not piece:
            continue
        if waiting:
            yield b"BDAT %d\r\n%b" % (len(waiting), waiting), False
        waiting = piece.replace(b"\n", b"\r\n")
        ended = piece.endswith(b"\n")
    if not ended:
        waiting += b"\r\n"
    yield b"BDAT %d LAST\r\n%b" % (len(waiting), waiting), True


def converted(pieces: Iterator[bytes]) -> bytes:
    """The message in 7-bit lines of at most 998 octets, LF line ends.

    Raises Refused (5.6.3) where that would change what it says: signed parts, 8-bit header fields.
    """
    raw = b"".join(pieces)
    if len(raw) > MAX_CONVERTED:
        raise _cannot("it is too large to be encoded anew")
    message = email.parser.BytesParser(policy=email.policy.compat32).parsebytes(raw)
    _convert(message)
    result = _octets(message)
    found = nature(iter((result,)))
    if not found.is_ascii or found.has_long_lines:
        raise _cannot("a header field or a border between parts cannot be encoded")
    return result


def _octets(part: email.message.Message) -> bytes:
    out = io.BytesIO()
    email.generator.BytesGenerator(out, mangle_from_=False, maxheaderlen=0).flatten(part)
    return out.getvalue()


def _cannot(why: str) -> Refused:
    return Refused(Condition.CONVERSION_IMPOSSIBLE, f"the next host takes 7-bit text only, and {why}")


def _convert(part: email.message.Message) -> None:
    if part.get_content_type() in _UNTOUCHABLE:
        found = nature(iter((_octets(part),)))
        if not found.is_ascii or found.has_long_lines:
            raise _cannot(f"{part.get_content_type()} must not be changed")
        return
    if part.is_multipart():
        for each in part.get_payload():
            assert isinstance(each, email.message.Message)
            _convert(each)
        if str(part.get("Content-Transfer-Encoding", "")).strip().lower() in ("8bit", "binary"):
            part.replace_header("Content-Transfer-Encoding", "7bit")
        return
    encoding = str(part.get("Content-Transfer-Encoding", "7bit")).strip().lower()
    data = _octets(part).partition(b"\n\n")[2]
    found = nature(iter((b"\n" + data,)))
    if found.is_ascii and not found.has_long_lines:
        return
    if encoding not in ("7bit", "8bit", "binary"):
        raise _cannot(f"a part says {encoding[:40]} and is not")
    if part.get_content_maintype() == "text":
        # istext leaves line ends alone; LF within the message is CRLF on the wire
        part.set_payload(quopri.encodestring(data).decode("ascii"))
        _set(part, "quoted-printable")
    else:
        part.set_payload(encodebytes(data.replace(b"\n", b"\r\n")).decode("ascii"))
        _set(part, "base64")


def _set(part: email.message.Message, encoding: str) -> None:
    del part["Content-Transfer-Encoding"]
    part["Content-Transfer-Encoding"] = encoding
    if "Content-Type" not in part:
        part["Content-Type"] = "text/plain; charset=unknown-8bit"
        if "MIME-Version" not in part:
            part["MIME-Version"] = "1.0"
