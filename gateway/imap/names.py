"""Mailbox names on the wire: modified UTF-7 (RFC 3501 5.1.3) or UTF-8 (RFC 9051 5.1), and LIST patterns (RFC 9051 6.3.9)."""

from __future__ import annotations

import base64
import binascii
import re

SEPARATOR = "/"
MAX_NAME = 1000  # octets on the wire
_PLAIN = re.compile(r"[^\x20-\x7e]+|&")
_CODED = re.compile(r"&([^-]*)-")


class BadName(ValueError):
    """Not a mailbox name; the message is for the client."""


def _encode(match: re.Match[str]) -> str:
    if match[0] == "&":
        return "&-"
    return "&" + base64.b64encode(match[0].encode("utf-16-be")).decode().rstrip("=").replace("/", ",") + "-"


def encode(name: str) -> bytes:
    """A name in modified UTF-7."""
    return _PLAIN.sub(_encode, name).encode("ascii")


def _decode(match: re.Match[str]) -> str:
    if not match[1]:
        return "&"
    coded = match[1].replace(",", "/")
    return base64.b64decode(coded + "=" * (-len(coded) % 4), validate=True).decode("utf-16-be")


def decode(octets: bytes) -> str:
    """The name that modified UTF-7 stands for; only its one shortest spelling is taken. Raises BadName."""
    try:
        name = _CODED.sub(_decode, octets.decode("ascii"))
        if encode(name) != octets:
            raise BadName("the name is not modified UTF-7")
    except (UnicodeError, binascii.Error):
        raise BadName("the name is not modified UTF-7") from None
    return name


def decode_utf8(octets: bytes) -> str:
    """The name that UTF-8 stands for. Raises BadName."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise BadName("the name is not UTF-8") from None


def mailbox_name(octets: bytes, *, utf8: bool) -> str:
    """A mailbox's name as the store knows it; INBOX in any case. Raises BadName."""
    if not octets or len(octets) > MAX_NAME:
        raise BadName("the name is empty or too long")
    if octets.upper() == b"INBOX":
        return "INBOX"
    return checked(decode_utf8(octets) if utf8 else decode(octets))


def checked(name: str) -> str:
    """A name as the store knows it; INBOX in any case. Raises BadName."""
    if name.upper() == "INBOX":
        return "INBOX"
    if any(level in ("", ".", "..") for level in name.split(SEPARATOR)) or any(ord(c) < 32 for c in name):
        raise BadName("a level is empty or only dots, or holds a control character")
    return name


def quoted(name: str, *, utf8: bool) -> bytes:
    """A name as a quoted string for a response."""
    octets = name.encode("utf-8") if utf8 else encode(name)
    return b'"' + octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def matches(pattern: str, name: str) -> bool:
    """True when a LIST pattern covers `name`: `*` any text, `%` within a level. Linear in both per wildcard."""
    reached = {0}
    for character in re.sub(r"[*%]*\*[*%]*", "*", re.sub("%+", "%", pattern)):
        if character in "*%":
            after: set[int] = set()
            for start in sorted(reached):
                if start in after:
                    continue
                stop = len(name) if character == "*" else name.find(SEPARATOR, start)
                after.update(range(start, (len(name) if stop < 0 else stop) + 1))
            reached = after
        else:
            reached = {at + 1 for at in reached if at < len(name) and name[at] == character}
        if not reached:
            return False
    return len(name) in reached
