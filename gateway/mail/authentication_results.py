"""The Authentication-Results field (RFC 8601): whose it is."""

from __future__ import annotations

import re

NAME = b"authentication-results"
MAX_DEPTH = 10


def _behind_comments(text: str) -> str | None:
    """`text` without the comments and spaces at its beginning (RFC 5322 3.2.2); None when one does not end."""
    position, depth = 0, 0
    while position < len(text):
        octet = text[position]
        if octet == "(":
            depth += 1
            if depth > MAX_DEPTH:
                return None
        elif depth and octet == ")":
            depth -= 1
        elif depth and octet == "\\":
            position += 1
        elif not depth and not octet.isspace():
            break
        position += 1
    return None if depth else text[position:]


def authserv_id(value: bytes) -> str | None:
    """Who claims to have written the field with that unfolded value, in lower case; None when it cannot be read."""
    text = _behind_comments(value.decode("utf-8", "replace"))
    if text is None:
        return None
    if text.startswith('"'):
        quoted = re.match(r'"((?:[^"\\]|\\.)*)"', text)
        return re.sub(r"\\(.)", r"\1", quoted[1]).lower() if quoted else None
    # an id is a token or, as many write it, a host name or address
    token = re.match(r"[^\s;()]+", text)
    return token[0].lower() if token else None


def claims(value: bytes, own: str) -> bool:
    """True for a field that a reader may take for one of `own`, or that cannot be read (RFC 8601 5)."""
    found = authserv_id(value)
    return found is None or found.rstrip(".") == own.lower().rstrip(".")
