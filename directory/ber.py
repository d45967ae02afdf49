"""One BER element as octets (X.690 8.1), as LDAP messages and controls are made of them. Pure."""

from __future__ import annotations


def tlv(tag: int, content: bytes) -> bytes:
    """The element with this tag, of one octet, and content; its length in the shortest form."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content
