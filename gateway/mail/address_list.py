"""The addresses of a From, Sender or To field (RFC 5322 3.4, obsolete routes of 4.4 included).

For decisions about who may write as whom: a value that two readers could understand differently is an
AddressProblem, never a guess. Linear in the length of the value.
"""

from __future__ import annotations

import itertools
import re

MAX_ADDRESSES = 5000

_TOKEN = re.compile(
    r"""\s+|(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<literal>\[[^\[\]\\]*\])|(?P<special>[<>@,;:()])
        |(?P<atom>[^\s"<>@,;:()\[\]\\]+)""",
    re.VERBOSE | re.DOTALL,
)


class AddressProblem(ValueError):
    """The value cannot be read in one way only; the message is for the client."""


def _tokens(value: str) -> list[tuple[str, str]]:
    """(kind, text) without white space and comments (RFC 5322 3.2.2: comments nest)."""
    tokens: list[tuple[str, str]] = []
    position, size = 0, len(value)
    while position < size:
        if value[position] == "(":
            depth = 0
            while position < size:
                character = value[position]
                if character == "\\":
                    position += 1
                elif character == "(":
                    depth += 1
                elif character == ")":
                    depth -= 1
                    if depth == 0:
                        break
                position += 1
            else:
                raise AddressProblem("a comment is not closed")
            position += 1
            continue
        match = _TOKEN.match(value, position)
        if match is None or match[0] == ")":
            raise AddressProblem(f"unexpected {value[position]!r}")
        if match.lastgroup:
            tokens.append((match.lastgroup, match[0]))
        position = match.end()
    return tokens


class _Reader:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._position = 0
        self.found: list[str] = []

    def peek(self) -> tuple[str, str]:
        return self._tokens[self._position] if self._position < len(self._tokens) else ("end", "")

    def take(self) -> tuple[str, str]:
        token = self.peek()
        self._position += 1
        return token

    def expect(self, text: str) -> None:
        if self.take() != ("special", text):
            raise AddressProblem(f"a {text!r} is missing")

    def words(self) -> list[tuple[str, str]]:
        found = []
        while self.peek()[0] in ("quoted", "atom"):
            found.append(self.take())
        return found

    def domain(self) -> str:
        kind, text = self.take()
        if kind not in ("atom", "literal"):
            raise AddressProblem("a domain is missing")
        if kind == "atom":
            while self.peek()[0] == "atom" and (text.endswith(".") or self.peek()[1].startswith(".")):
                text += self.take()[1]  # obsolete: space around the dots
        return text

    def local(self, words: list[tuple[str, str]]) -> str:
        text = "".join(word for _, word in words)
        if not words or (len(words) > 1 and not all("." in (a[1][-1], b[1][0]) for a, b in itertools.pairwise(words))):
            raise AddressProblem("the part before the @ is not one word")
        return text

    def angle(self) -> None:
        """`<[@route:]local@domain>`, behind the opening bracket."""
        if self.peek() == ("special", ">"):  # `<>` is nobody
            self.take()
            return
        while self.peek() in (("special", "@"), ("special", ",")):
            if self.take()[1] == "@":
                self.domain()
            if self.peek() == ("special", ":"):
                self.take()
                break
        local = self.local(self.words())
        self.expect("@")
        self.found.append(f"{local}@{self.domain()}")
        self.expect(">")

    def mailbox(self, words: list[tuple[str, str]]) -> None:
        kind, text = self.peek()
        if (kind, text) == ("special", "<"):
            self.take()
            self.angle()
        elif (kind, text) == ("special", "@"):
            self.take()
            self.found.append(f"{self.local(words)}@{self.domain()}")
        else:
            raise AddressProblem("an address is written local-part@domain")

    def read(self) -> None:
        in_group = False
        while self.peek()[0] != "end":
            if self.peek() == ("special", ","):  # obsolete: empty members
                self.take()
                continue
            if in_group and self.peek() == ("special", ";"):
                self.take()
                in_group = False
            else:
                words = self.words()
                if words and not in_group and self.peek() == ("special", ":"):
                    self.take()
                    in_group = True
                    continue
                self.mailbox(words)
                if len(self.found) > MAX_ADDRESSES:
                    raise AddressProblem("too many addresses")
                if in_group and self.peek() == ("special", ";"):
                    continue
            if self.peek()[0] != "end" and self.peek() != ("special", ","):
                raise AddressProblem("a comma is missing between addresses")
        if in_group:
            raise AddressProblem("a group is not closed")


def addresses(value: bytes) -> list[str]:
    """Every `local@domain` of an unfolded field value, in order. Raises AddressProblem."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = value.decode("latin-1")  # a raw 8-bit display name; addresses are compared as ASCII or UTF-8
    if "\0" in text or "\n" in text or "\r" in text:
        raise AddressProblem("a control character in an address field")
    reader = _Reader(_tokens(text))
    reader.read()
    return reader.found
