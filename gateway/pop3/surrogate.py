"""What a client gets of a message with UTF-8 in its header when it has not asked for UTF8 (RFC 6856 2.1, RFC 6858 2).

Words outside ASCII become encoded words, domains their ASCII form. An address whose local part is outside ASCII cannot
be answered by such a client: an empty group with that address as its name stands for it. Headers in other charsets,
and bodies, stay as they are. Pure.
"""

from __future__ import annotations

import re
from email.header import Header

ADDRESSES = {b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc", b"resent-from", b"resent-to", b"resent-cc"}
_FIELD = re.compile(rb"(?m)^([!-9;-~]+)[ \t]*:((?:.*\n?)(?:[ \t].*\n?)*)")
_MAILBOX = re.compile(r"(?P<name>[^<>,;:]*)<(?P<address>[^<>]*)>|(?P<bare>[^\s<>,;:()\"]+@[^\s<>,;:()\"]+)")


def surrogate(header: bytes) -> bytes:
    """The header as it goes to such a client; the same object where it is ASCII."""
    if header.isascii():
        return header
    return _FIELD.sub(lambda match: match[0] if match[0].isascii() else _field(match[1], match[2]), header)


def _field(name: bytes, value: bytes) -> bytes:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return name + b":" + value
    unfolded = " ".join(line.strip() for line in text.split("\n")).strip()
    folded = _addresses(unfolded) if name.lower() in ADDRESSES else _encoded(unfolded)
    return name + b": " + folded.encode("ascii", "replace") + b"\n"


def _encoded(text: str) -> str:
    """Words outside ASCII, and what stands between two of them, as encoded words (RFC 2047)."""
    return Header(text, "utf-8", maxlinelen=70).encode(linesep="\n") if not text.isascii() else text


def _addresses(text: str) -> str:
    return ",\n ".join(_encoded_parts(part) for part in _split(text))


def _split(text: str) -> list[str]:
    """An address list at the commas that are not in quotes."""
    parts = re.findall(r'(?:"(?:\\.|[^"\\])*"|[^,"])+', text)
    return [part.strip() for part in parts if part.strip()]


def _encoded_parts(part: str) -> str:
    if part.isascii():
        return part
    found = _MAILBOX.search(part)
    if found is None:
        return _encoded(part)
    name = (found["name"] or "").strip().strip('"')
    local, _, domain = (found["address"] or found["bare"] or "").strip().rpartition("@")
    try:
        domain = domain if domain.isascii() else domain.encode("idna").decode("ascii")
    except UnicodeError:
        local = local + "\N{REPLACEMENT CHARACTER}"
    if not local.isascii():
        return f"{_encoded(f'{name} {local}@{domain}'.strip())} :;"
    return f"{_encoded(name)} <{local}@{domain}>" if name else f"<{local}@{domain}>"
