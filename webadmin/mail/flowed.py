"""Plain text whose paragraphs flow (RFC 3676): as it is sent, as it is read, as it is quoted."""

from __future__ import annotations

import re

WIDTH = 72  # RFC 3676 4.2
SIGNATURE = "-- "  # RFC 3676 4.3
MAX_DEPTH = 50
_QUOTED = re.compile(r"(?:> ?)*>")
_WORD = re.compile(r"\S+\s*")


def _depth(line: str) -> tuple[int, str]:
    """How often a line is quoted, and what it says."""
    found = _QUOTED.match(line)
    if found is None:
        return 0, line
    rest = line[found.end() :]
    return min(found[0].count(">"), MAX_DEPTH), rest.removeprefix(" ")


def flow(text: str) -> str:
    """`text`, a paragraph a line, as format=flowed with lines of WIDTH; LF line ends."""
    lines: list[str] = []
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if line == SIGNATURE:
            lines.append(line)
            continue
        depth, said = _depth(line.rstrip(" "))
        prefix = ">" * depth + " " if depth else ""
        pieces = _pieces(said, max(WIDTH - len(prefix), 20))
        for number, piece in enumerate(pieces):
            soft = number < len(pieces) - 1
            # stuffed: a space that the reader takes away again, before what would mean something else
            stuffed = "" if depth else " " if piece.startswith((" ", ">", "From ")) else ""
            lines.append(prefix + stuffed + (piece if soft else piece.rstrip(" ")))
    return "\n".join(lines)


def _pieces(said: str, width: int) -> list[str]:
    """Cut behind spaces; all but the last end with one."""
    if len(said) <= width + 6:
        return [said]
    pieces, now = [], ""
    for match in _WORD.finditer(said, len(said) - len(said.lstrip())):
        word = match[0]
        if now and len(now) + len(word.rstrip()) > width and now.endswith(" "):
            pieces.append(now)
            now = ""
        now += word
    head = said[: len(said) - len(said.lstrip())]
    pieces.append(now)
    pieces[0] = head + pieces[0]
    return pieces


def unflow(text: str, *, delete_space: bool = False) -> str:
    """The paragraphs of a flowed text, one a line; quotes keep their marks as `> ` for each depth."""
    found: list[str] = []
    open_depth = -1
    for line in text.replace("\r\n", "\n").split("\n"):
        depth, said = 0, line
        while said.startswith(">"):
            depth, said = depth + 1, said[1:]
        said = said.removeprefix(" ")
        is_soft = said.endswith(" ") and said != SIGNATURE
        if said == SIGNATURE:
            open_depth = -1
        if is_soft and delete_space:
            said = said[:-1]
        if open_depth == depth:
            found[-1] += said
        else:
            found.append("> " * min(depth, MAX_DEPTH) + said)
        open_depth = depth if is_soft else -1
    return "\n".join(found)


def quote(text: str) -> str:
    """`text` as the quote of an answer: one depth more, without the signature at its end."""
    lines = text.rstrip().split("\n")
    if SIGNATURE in lines:
        cut = len(lines) - 1 - lines[::-1].index(SIGNATURE)
        if not any(line.startswith(">") for line in lines[cut:]):  # it stands above what was answered
            lines = lines[:cut]
    while lines and not lines[-1].strip():
        lines.pop()
    return "\n".join(f">{line}" if line.startswith(">") else f"> {line}".rstrip() for line in lines)
