"""The values of DSN parameters: xtext (RFC 3461 4) and internationalised original recipients (RFC 6533 3)."""

from __future__ import annotations

import re

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*\Z")
_HEX = re.compile(r"\+([0-9A-F]{2})")
_PLAIN = frozenset(chr(c) for c in range(0x21, 0x7F)) - set("+=")
_CODE = r"\\x\{(?:[0-9A-F]{2,5}|10[0-9A-F]{4})\}"
_UNITEXT = re.compile(rf"(?:[!-*,-<>-\[\]-~\u0080-\ud7ff\ue000-\U0010ffff]|{_CODE})+\Z")
_POINT = re.compile(r"\\x\{([0-9A-F]{2,6})\}")
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,30}\Z")


class BadValue(ValueError):
    """The value breaks the grammar; the message is for the client."""


def decode(text: str) -> str:
    """What xtext stands for. Raises BadValue, also for what would not be printable ASCII."""
    if not _XTEXT.match(text):
        raise BadValue("not in xtext")
    plain = _HEX.sub(lambda match: chr(int(match[1], 16)), text)
    if any(not " " <= c <= "~" for c in plain):
        raise BadValue("not printable")
    return plain


def encode(text: str) -> str:
    """Printable ASCII as xtext."""
    return "".join(c if c in _PLAIN else f"+{ord(c):02X}" for c in text)


def seven_bit(address: str) -> str:
    """An address in the form utf-8-addr-xtext, which is ASCII whatever the address is (RFC 6533 3)."""
    return "".join(c if c in _PLAIN and c != "\\" else f"\\x{{{ord(c):02X}}}" for c in address)


def original_recipient(value: str) -> tuple[str, str]:
    """(address type, address) of an ORCPT value. Raises BadValue (RFC 3461 4.2, RFC 6533 3)."""
    kind, semicolon, address = value.partition(";")
    if not semicolon or not address or not _ADDRESS_TYPE.match(kind):
        raise BadValue("ORCPT is type;address")
    if kind.lower() != "utf-8":
        return kind, decode(address)
    if not _UNITEXT.match(address):
        raise BadValue("ORCPT is not in a form of utf-8 addresses")
    plain = _POINT.sub(lambda match: chr(int(match[1], 16)), address)
    # a code point that is no character, or one that would end a line
    if any(0xD800 <= ord(c) <= 0xDFFF or not (c.isprintable() or c == " ") for c in plain):
        raise BadValue("ORCPT has a character that no address has")
    return kind, plain
