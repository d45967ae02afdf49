"""An IMAP client that hides nothing: commands as octets, answers as whole lines with their literals in place."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, NamedTuple

_TOKEN = re.compile(
    rb'\(|\)|"((?:[^"\\]|\\.)*)"|~?\{(\d+)\}\r\n|BODY\[[^\]]*\](?:<\d+>)?|BINARY(?:\.SIZE)?\[[^\]]*\](?:<\d+>)?|([^\s()"]+)| ',
    re.DOTALL,
)
_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")


def values(text: bytes) -> list[Any]:
    """The values of a line: lists, None for NIL, int for numbers, bytes for the rest, strings in either form alike."""
    stack: list[list[Any]] = [[]]
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        assert match is not None, text[at : at + 60]
        at = match.end()
        token = match[0]
        if token == b"(":
            stack.append([])
        elif token == b")":
            done = stack.pop()
            stack[-1].append(done)
        elif match[1] is not None:
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", match[1], flags=re.DOTALL))
        elif match[2] is not None:
            stack[-1].append(text[at : at + int(match[2])])
            at += int(match[2])
        elif token == b"NIL":
            stack[-1].append(None)
        elif token.isdigit():
            stack[-1].append(int(token))
        elif token != b" ":
            stack[-1].append(token)
    assert len(stack) == 1, text[:200]
    return stack[0]


class Answer(NamedTuple):
    """`said` is the tagged line without its tag, `lines` the untagged ones without star and line end."""

    said: bytes
    lines: list[bytes]

    @property
    def is_ok(self) -> bool:
        return self.said.startswith(b"OK")

    def only(self, kind: bytes) -> list[bytes]:
        """What stands behind `* KIND` of each such line."""
        return [line[len(kind) :].strip() for line in self.lines if line.split(b" ", 1)[0] == kind]


class PlainImap:
    """One session over a pair of streams that is greeted already."""

    def __init__(self, answers: IO[bytes], commands: IO[bytes]) -> None:
        self._answers = answers
        self._commands = commands
        self._number = 0
        self.greeting = self._line()

    def _line(self) -> bytes:
        pieces: list[bytes] = []
        while True:
            line = self._answers.readline()
            if not line.endswith(b"\n"):
                raise ConnectionError(f"the answers end after {b''.join(pieces)[-200:]!r}{line!r}")
            pieces.append(line)
            literal = _LITERAL.search(line)
            if literal is None:
                return b"".join(pieces)
            octets = self._answers.read(int(literal[1]))
            if len(octets) < int(literal[1]):
                raise ConnectionError("the answers end inside a literal")
            pieces.append(octets)

    def command(self, text: bytes, *literals: bytes) -> Answer:
        """Send a command; each literal stands behind one piece of `text`, which is split at `%`."""
        self._number += 1
        tag = b"t%d" % self._number
        pieces = text.split(b"%") if literals else [text]
        sent = [tag + b" "]
        for piece, literal in zip(pieces, [*literals, None], strict=True):
            sent.append(piece)
            if literal is not None:
                sent.append(b"{%d+}\r\n%b" % (len(literal), literal))
        self._commands.write(b"".join(sent) + b"\r\n")
        self._commands.flush()
        lines: list[bytes] = []
        while True:
            line = self._line()
            if line.startswith(tag + b" "):
                return Answer(line[len(tag) + 1 :].rstrip(b"\r\n"), lines)
            assert line.startswith((b"* ", b"+ ")), line[:200]
            if line.startswith(b"* "):
                lines.append(line[2:-2])

    def good(self, text: bytes, *literals: bytes) -> Answer:
        """A command that has to be answered OK."""
        answer = self.command(text, *literals)
        assert answer.is_ok, (text[:200], answer.said)
        return answer

    def fetch(self, text: bytes) -> dict[int, dict[bytes, Any]]:
        """{UID: {item: value}} of a UID FETCH."""
        found: dict[int, dict[bytes, Any]] = {}
        for line in self.good(text).lines:
            number, _, rest = line.partition(b" ")
            if number.isdigit() and rest.startswith(b"FETCH "):
                (items,) = values(rest[6:])
                pairs = dict(zip(items[::2], items[1::2], strict=True))
                found.setdefault(pairs.pop(b"UID"), {}).update(pairs)
        return found


@contextmanager
def connected(port: int, login: str, password: str, seconds: float = 100.0) -> Iterator[PlainImap]:
    """A session on loopback, logged in; `seconds` is how long one answer may take."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection,
        connection.makefile("rwb") as stream,
    ):
        session = PlainImap(stream, stream)
        session.good(f"LOGIN {login} {password}".encode())
        yield session
