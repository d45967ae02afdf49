"""Header fields of a new message: any text as encoded words (RFC 2047), addresses with names, folded (RFC 5322 2.2.3).

Written here because the standard library's folding (Python 3.11) loses spaces between long encoded words.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable

from webadmin.mail.recipients import Person, one_line

WIDTH = 76
_WORD_OCTETS = 45  # of text in an encoded word: 60 characters of base64, 72 with its frame (RFC 2047 2)
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+\Z")
_QUOTED = str.maketrans({'"': '\\"', "\\": "\\\\"})


def _encoded(text: str) -> list[str]:
    """`text` as encoded words; a reader puts them together without a space."""
    words, now = [], b""
    for character in text:
        octets = character.encode("utf-8", "replace")
        if len(now) + len(octets) > _WORD_OCTETS:
            words.append(now)
            now = b""
        now += octets
    return [f"=?utf-8?b?{base64.b64encode(word).decode()}?=" for word in (*words, now)]


def _needs_encoding(text: str) -> bool:
    return not text.isascii() or "=?" in text or any(len(word) > WIDTH - 10 for word in text.split())


def _folded(name: str, pieces: Iterable[str]) -> bytes:
    """A field of pieces between which a line may end; a space stands between them."""
    lines, now = [], f"{name}:"
    for piece in pieces:
        if len(now) + 1 + len(piece) > WIDTH and now.strip() != f"{name}:":
            lines.append(now)
            now = ""
        now += f" {piece}"
    return ("\r\n".join([*lines, now]) + "\r\n").encode()


def text_field(name: str, text: str) -> bytes:
    """A field that people read, such as Subject."""
    text = one_line(text)
    return _folded(name, _encoded(text) if _needs_encoding(text) else text.split(" "))


def tokens_field(name: str, tokens: Iterable[str]) -> bytes:
    """A field of words that are what they are, such as message ids."""
    return _folded(name, tokens)


def people_field(name: str, people: Iterable[Person]) -> bytes:
    """A field of addresses with names."""
    pieces: list[str] = []
    for person in people:
        shown = one_line(person.name)
        if not shown:
            words = [person.address]
        else:
            if _needs_encoding(shown):
                words = _encoded(shown)
            else:
                words = [shown if _ATOMS.match(shown) else f'"{shown.translate(_QUOTED)}"']
            words.append(f"<{person.address}>")
        if pieces:
            pieces[-1] += ","
        pieces += words
    return _folded(name, pieces)
