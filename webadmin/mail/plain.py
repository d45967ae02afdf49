"""Plain text of a message as HTML: quotes folded, addresses of pages and people as links, format=flowed (RFC 3676) joined.

Everything that the sender wrote is escaped; the only marks in the result are those made here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from markupsafe import Markup, escape

MAX_LEVELS = 20  # of quotes, shown as such; deeper ones are shown as the deepest
MAX_LINES = 20_000
FOLDED_FROM = 4  # lines of a quote that are folded away
MAX_LINK = 2000  # characters
_LINK = re.compile(
    r"\b(?:(https?://[^\s<>\"'“”‘’«»]{1,2000}+)|(www\.[a-zA-Z0-9][^\s<>\"'“”‘’«»]{1,500}+)|([\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}))",
)
_QUOTE = re.compile(r"((?:> ?)*>) ?")
_END_OF_LINK = ".,;:!?)]}…。，；：！？）】"


def flowed(text: str, *, without_space: bool) -> str:
    """Lines that belong together joined (RFC 3676 4.1, 4.2). `without_space` is DelSp=yes."""
    out: list[str] = []
    is_open, depth_before = False, 0
    for line in text.split("\n"):
        depth = len(line) - len(line.lstrip(">"))
        rest = line[depth:]
        rest = rest[1:] if rest.startswith(" ") else rest
        flows = rest.endswith(" ") and rest != "-- "
        if flows and without_space:
            rest = rest[:-1]
        if is_open and depth == depth_before and rest != "-- ":
            out[-1] += rest
        else:
            out.append(">" * depth + (" " if depth else "") + rest)
        is_open, depth_before = flows, depth
    return "\n".join(out)


def linked(line: str) -> str:
    """A line as HTML, with links."""
    if "://" not in line and "www." not in line and "@" not in line:
        return str(escape(line))
    out: list[str] = []
    at = 0
    for match in _LINK.finditer(line):
        text = match[0]
        if match[1] or match[2]:
            while text and text[-1] in _END_OF_LINK and not (text[-1] == ")" and text.count("(") >= text.count(")")):
                text = text[:-1]
        if not text:
            continue
        target = text if match[1] else f"http://{text}" if match[2] else f"mailto:{text}"
        out.append(str(escape(line[at : match.start()])))
        out.append(f'<a href="{escape(target)}" target="_blank" rel="noopener noreferrer nofollow">{escape(text)}</a>')
        at = match.start() + len(text)
    out.append(str(escape(line[at:])))
    return "".join(out)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """(level of quoting, what stands behind the marks)."""
    for line in text.split("\n")[:MAX_LINES]:
        match = _QUOTE.match(line) if line.startswith(">") else None
        if match is None:
            yield 0, line
        else:
            yield min(match[1].count(">"), MAX_LEVELS), line[match.end() :]


def html_of(text: str, folded_words: str) -> Markup:
    """The text as HTML; `folded_words` is what a quote that is folded away is called."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").rstrip()
    out: list[str] = []
    block: list[str] = []
    level = 0

    def close() -> None:
        if block:
            out.append("\n".join(block))
            block.clear()

    rows = list(_lines(text))
    for at, (depth, line) in enumerate(rows):
        if depth != level:
            close()
            while level > depth:
                out.append("</blockquote></details>" if level == 1 else "</blockquote>")
                level -= 1
            while level < depth:
                if level == 0:
                    is_open = " open" if _is_short(rows, at) else ""
                    out.append(f'<details class="quote"{is_open}><summary>{escape(folded_words)}</summary><blockquote>')
                else:
                    out.append("<blockquote>")
                level += 1
        block.append(linked(line))
    close()
    out.append("</blockquote>" * max(level - 1, 0) + ("</blockquote></details>" if level else ""))
    return Markup("".join(out))


def _is_short(rows: list[tuple[int, str]], at: int) -> bool:
    """A quote of a few lines is shown: somebody answers to it line by line."""
    count = 0
    for depth, _ in rows[at : at + FOLDED_FROM + 1]:
        if depth == 0:
            break
        count += 1
    return count <= FOLDED_FROM
