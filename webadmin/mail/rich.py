"""HTML that people write and quote: cleaned, and as plain text for who reads that."""

from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser

from webadmin.mail.harmless import TooTangled, clean, words_of

MAX_DEPTH = 50  # of quotes and lists
_TAGS = {
    "a", "b", "blockquote", "br", "code", "div", "em", "h1", "h2", "h3", "h4", "hr", "i", "li", "ol", "p", "pre", "s",
    "span", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "u", "ul",
}  # fmt: skip
_ATTRIBUTES = {"a": {"href", "title"}, "td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"}, "ol": {"start"}}
_BLOCKS = {"blockquote", "div", "h1", "h2", "h3", "h4", "hr", "li", "ol", "p", "pre", "table", "tr", "ul"}
_SPACED = {"p", "h1", "h2", "h3", "h4"}  # with an empty line before and behind
_SILENT = {"script", "style", "head", "title", "template"}


def cleaned(html: str) -> str:
    """The part of `html` that may be sent and shown: text, structure, links; nothing that loads or runs. Its words only
    where it has too many tags."""
    schemes = {"http", "https", "mailto", "tel"}
    try:
        return clean(html, tags=_TAGS, attributes=_ATTRIBUTES, url_schemes=schemes, link_rel=None)
    except TooTangled:
        return html_of(words_of(html))


class _Text(HTMLParser):
    """Writes down what a reader would see."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[str] = [""]
        self._depth, self._silent, self._pre = 0, 0, 0
        self._lists: list[int] = []
        self._href: list[str] = []

    def _prefix(self) -> str:
        return "> " * self._depth

    def _break(self, *, paragraph: bool = False) -> None:
        if self.lines[-1].strip("> "):
            self.lines.append("")
        if paragraph and len(self.lines) > 1 and self.lines[-2].strip("> "):
            self.lines[-1] = self._prefix().rstrip()
            self.lines.append("")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent += 1
        elif tag == "br":
            self.lines.append(self._prefix() if self._depth else "")
        elif tag in _BLOCKS:
            self._break(paragraph=tag in _SPACED)
        if tag == "blockquote":
            self._depth = min(self._depth + 1, MAX_DEPTH)
        elif tag == "pre":
            self._pre += 1
        elif tag in ("ol", "ul"):
            self._lists.append(0 if tag == "ol" else -1)
        elif tag == "li":
            mark = "* "
            if self._lists and self._lists[-1] >= 0:
                self._lists[-1] += 1
                mark = f"{self._lists[-1]}. "
            self._write("  " * min(max(len(self._lists) - 1, 0), MAX_DEPTH) + mark)
        elif tag == "hr":
            self._write("-" * 20)
            self._break()
        elif tag == "a":
            self._href.append(dict(attrs).get("href") or "")
        elif tag in ("td", "th") and self.lines[-1].strip("> "):
            self._write("  ")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(self._silent - 1, 0)
        elif tag == "a" and self._href:
            href = self._href.pop()
            shown = href.removeprefix("mailto:")
            if shown and not self.lines[-1].rstrip().endswith(shown.rstrip("/")):
                self._write(f" <{shown}>")
        elif tag in _BLOCKS:
            self._break(paragraph=tag in _SPACED)
        if tag == "blockquote":
            self._depth = max(self._depth - 1, 0)
            self._break()
        elif tag == "pre":
            self._pre = max(self._pre - 1, 0)
        elif tag in ("ol", "ul") and self._lists:
            self._lists.pop()

    def _write(self, text: str) -> None:
        if not self.lines[-1]:
            self.lines[-1] = self._prefix()
        self.lines[-1] += text

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        if self._pre:
            first, *rest = data.split("\n")
            self._write(first)
            for line in rest:
                self.lines.append(self._prefix() + line)
            return
        data = re.sub(r"[ \t\r\n\f]+", " ", data)
        if not self.lines[-1].strip("> "):
            data = data.lstrip(" ")
        if data:
            self._write(data.replace("\u00a0", " "))


def text_of(html: str) -> str:
    """What a reader would see, as plain text; a paragraph a line, quotes with `> `, addresses of links behind them."""
    reader = _Text()
    reader.feed(html)
    reader.close()
    lines = [line.rstrip() for line in reader.lines]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def html_of(text: str) -> str:
    """Plain text as HTML; quotes become quotes."""
    found: list[str] = []
    depth = 0
    for line in text.split("\n"):
        now = 0
        while line.startswith(">"):
            now, line = now + 1, line[1:].removeprefix(" ")
        now = min(now, MAX_DEPTH)
        while depth < now:
            found.append("<blockquote>")
            depth += 1
        while depth > now:
            found.append("</blockquote>")
            depth -= 1
        found.append(f"<div>{escape(line) or '<br>'}</div>")
    return "".join([*found, "</blockquote>" * depth])
