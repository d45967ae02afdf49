"""The Authentication-Results field (RFC 8601): whose it is, and ours written out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

NAME = b"authentication-results"
_TOKEN = re.compile(r'[^\s()<>@,;:\\"/\[\]?=\x00-\x1f\x7f]+')
_UNSAFE = re.compile(r"[^\x21-\x7e\u00a1-\U0010ffff]")
_UNSAFE_REASON = re.compile(r"[^\x20-\x7e]")
MAX_VALUE = 320
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


def value_of(text: str) -> str:
    """A value of a property: as it is where it is a token or an address, quoted otherwise; nothing can end the field."""
    clean = _UNSAFE.sub("", text)[:MAX_VALUE]
    if all(part and _TOKEN.fullmatch(part) for part in clean.split("@")) and clean.count("@") <= 1:
        return clean
    return _quoted(clean)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def result(method: str, outcome: str, reason: str, properties: Mapping[str, str]) -> str:
    """One resinfo without its semicolon, as in `spf=pass smtp.mailfrom=a@b`. `properties` are values as they are written."""
    words = [f"{method}={outcome}"]
    if reason:
        words.append("reason=" + _quoted(_UNSAFE_REASON.sub("", reason)[:MAX_VALUE]))
    return " ".join([*words, *(f"{name}={value}" for name, value in properties.items())])


def field(own: str, results: Sequence[str]) -> bytes:
    """The complete field; each of `results` is of `result`."""
    lines = [f"Authentication-Results: {own}", *(f"\t{one}" for one in results or ("none",))]
    return (";\n".join(lines) + "\n").encode("utf-8", "replace")
