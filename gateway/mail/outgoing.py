"""What a program that hands a message in leaves to us: recipients from its header, Bcc, a From field. LF line ends."""

from __future__ import annotations

import re
from email.utils import getaddresses

from gateway.mail.header import Header, scan

_MBOX = re.compile(rb">?From [^\n]*\n")
_TO = (b"to", b"cc", b"bcc")
_RESENT = (b"resent-to", b"resent-cc", b"resent-bcc")
_HIDDEN = (b"bcc", b"resent-bcc")


def normalized(content: bytes, *, dot_ends: bool) -> bytes:
    """LF line ends, without a leading mbox line; up to a line with a lone dot where that ends the message."""
    content = content.replace(b"\r\n", b"\n")
    if dot_ends:
        if content.startswith(b".\n") or content == b".":
            content = b""
        elif (end := content.find(b"\n.\n")) >= 0:
            content = content[: end + 1]
        elif content.endswith(b"\n."):
            content = content[:-1]
    mbox = _MBOX.match(content)
    content = content[mbox.end() :] if mbox else content
    if content and not content.endswith(b"\n"):
        content += b"\n"
    return content


def with_header(content: bytes) -> bytes:
    """`content`, with an empty header in front where it has none."""
    header = scan(content)
    if content.startswith(b"\n") or (header.fields and header.fields[0].start == 0):
        return content
    return b"\n" + content


def recipients(header: Header) -> list[str]:
    """Whom To, Cc and Bcc name; the Resent- fields instead where there is one (RFC 5322 3.6.6)."""
    wanted = _RESENT if any(header.has(name) for name in _RESENT) else _TO
    values = [
        header.unfolded(field).decode("utf-8", "replace") for name in wanted for field in header.all(name)
    ]  # fmt: skip
    found = [address for _, address in getaddresses(values) if address]
    return list(dict.fromkeys(found))


def without_hidden(content: bytes) -> bytes:
    """The message without the fields that its recipients must not see."""
    for name in _HIDDEN:
        content = b"".join(scan(content).without(name))
    return content
