"""The first words of a message as people read them, for lists of messages (RFC 8970). Pure."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from gateway.mime.parsed import LEAF, Parsed, Part
from gateway.mime.text import Read, part_text

MAX_OCTETS = 16_384  # of the part that are looked at
MAX_LENGTH = 200  # characters (RFC 8970 3.2: 256 at most, 200 are recommended)
_SPACES = re.compile(r"[\s\u00a0\u200b-\u200f\u2060\ufeff\u00ad\u034f]+")
_QUOTED = re.compile(r"^>.*$", re.MULTILINE)
_SILENT = frozenset({"script", "style", "head", "title", "template", "noscript"})
_VOID = frozenset({"br", "p", "div", "tr", "td", "li", "h1", "h2", "h3", "h4", "table"})


class _Words(HTMLParser):
    """The text of HTML, without what is not shown."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in _SILENT:
            self._silent += 1
        elif tag in _VOID:
            self.found.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT and self._silent:
            self._silent -= 1

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.found.append(data)


def _first_text(parsed: Parsed) -> Part | None:
    """The first part that is text, plain before HTML; not inside messages that are attached."""
    html, waiting = None, [parsed.root]
    while waiting:
        part = waiting.pop()
        if part.kind == LEAF and part.type == b"text" and part.end > part.body:
            if part.subtype != b"html":
                return part
            html = html or part
        elif part.kind != LEAF and (part is parsed.root or part.type == b"multipart"):
            waiting += part.children[::-1]
    return html


def preview(read: Read, parsed: Parsed) -> str:
    """At most MAX_LENGTH characters in one line; empty where a message has no text. Raises what `read` raises."""
    part = _first_text(parsed)
    if part is None:
        return ""
    text = part_text(part, read(part.body, min(part.end, part.body + MAX_OCTETS)))
    if part.subtype == b"html":
        words = _Words()
        words.feed(text)
        text = "".join(words.found)
    else:
        own = _QUOTED.sub("", text)
        text = own if own.strip() else text
    shown = _SPACES.sub(" ", text).strip()
    return "".join(each for each in shown[:MAX_LENGTH] if each.isprintable()).rstrip()
