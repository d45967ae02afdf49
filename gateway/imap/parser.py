"""A cursor over one command: atoms, strings, numbers, sets, lists (RFC 9051 9)."""

from __future__ import annotations

import re
from typing import TypeAlias

from gateway.imap.framing import Message

_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_TAG = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\+]+')
_ASTRING = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
_PATTERN = re.compile(rb'[^\x00-\x20\x7f-\xff(){"\\]+')
_QUOTED = re.compile(rb'"((?:[^"\\\r\n\x00]|\\["\\])*)"')
_NUMBER = re.compile(rb"\d{1,10}")
_MODSEQ = re.compile(rb"\d{1,19}")
_SET = re.compile(rb"(?:\d{1,10}|\*)(?::(?:\d{1,10}|\*))?(?:,(?:\d{1,10}|\*)(?::(?:\d{1,10}|\*))?)*")
MAX_NUMBER = 0xFFFFFFFF
MAX_MODSEQ = (1 << 63) - 1  # RFC 7162 7
MAX_RANGES = 10_000  # of one sequence set
#: a sequence set: (first, last) in the order given, `*` is 0
Ranges: TypeAlias = tuple[tuple[int, int], ...]
#: the set that `$` stands for: what the last SEARCH kept (RFC 5182)
SAVED: Ranges = ((-1, -1),)


class BadCommand(ValueError):
    """The command does not follow the grammar: answered BAD, the message is for the client."""


class Parser:
    """Reads one command from its parts."""

    def __init__(self, parts: tuple[bytes, ...], message: Message | None = None) -> None:
        self._parts = parts
        #: the message of APPEND, as long as the command has not taken it
        self.refused = message
        self._part = 0
        self._at = 0

    @property
    def _text(self) -> bytes:
        return self._parts[self._part]

    def _match(self, pattern: re.Pattern[bytes], what: str) -> re.Match[bytes]:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise BadCommand(f"{what} expected")
        self._at = match.end()
        return match

    def tag(self) -> bytes:
        return self._match(_TAG, "tag")[0]

    def atom(self) -> bytes:
        return self._match(_ATOM, "atom")[0]

    def at(self, text: bytes) -> bool:
        """True and past it when `text` (compared without case) comes next."""
        here = self._text[self._at : self._at + len(text)]
        if here.upper() != text.upper():
            return False
        self._at += len(text)
        return True

    def ahead(self, text: bytes) -> bool:
        """True when `text` (compared without case) comes next; stays before it."""
        return self._text[self._at : self._at + len(text)].upper() == text.upper()

    def at_word(self, word: bytes) -> bool:
        """True and past it when exactly `word` comes next, not only the beginning of a longer one."""
        end = self._at + len(word)
        if not self.ahead(word) or self._text[end : end + 1] not in (b"", b" ", b")", b"]"):
            return False
        self._at = end
        return True

    def at_digit(self) -> bool:
        """True when a number comes next."""
        return self._text[self._at : self._at + 1].isdigit()

    def expect(self, text: bytes) -> None:
        if not self.at(text):
            raise BadCommand(f"{text.decode()!r} expected")

    def space(self) -> None:
        self.expect(b" ")

    def at_end(self) -> bool:
        return self._part == len(self._parts) - 1 and self._at == len(self._text)

    def end(self) -> None:
        if not self.at_end():
            raise BadCommand("unexpected text at the end of the command")

    def message(self) -> Message:
        """The literal at the end of the command that is not kept (APPEND); `take_message` when it is wanted."""
        if self.refused is None or not self.at_end():
            raise BadCommand("literal expected")
        return self.refused

    def take_message(self) -> None:
        """The command reads the message."""
        self.refused = None

    def go_on(self, text: bytes, message: Message | None) -> None:
        """The command goes on with `text`, behind a message that was taken, up to the next one."""
        self._parts, self._part, self._at = (text,), 0, 0
        self.refused = message

    def _literal(self) -> bytes | None:
        if self._at == len(self._text) and self._part + 2 < len(self._parts) + 0:
            literal = self._parts[self._part + 1]
            self._part, self._at = self._part + 2, 0
            return literal
        return None

    def string(self) -> bytes:
        """quoted or literal"""
        literal = self._literal()
        if literal is not None:
            return literal
        return re.sub(rb"\\(.)", rb"\1", self._match(_QUOTED, "string")[1])

    def astring(self) -> bytes:
        if self._at < len(self._text) and self._text[self._at] != 0x22:
            return self._match(_ASTRING, "string")[0]
        return self.string()

    def pattern(self) -> bytes:
        """list-mailbox: an astring in which `%` and `*` may stand"""
        if self._at < len(self._text) and self._text[self._at] != 0x22:
            return self._match(_PATTERN, "mailbox pattern")[0]
        return self.string()

    def number(self) -> int:
        value = int(self._match(_NUMBER, "number")[0])
        if value > MAX_NUMBER:
            raise BadCommand("number too large")
        return value

    def modseq(self) -> int:
        """A MODSEQ (RFC 7162 7)."""
        value = int(self._match(_MODSEQ, "modification sequence")[0])
        if value > MAX_MODSEQ:
            raise BadCommand("modification sequence too large")
        return value

    def sequence_set(self) -> Ranges:
        """Ranges as (first, last); `*` is 0. `SAVED` for `$`."""
        if self.at_word(b"$"):
            return SAVED
        ranges = []
        for item in self._match(_SET, "sequence set")[0].split(b","):
            first, _, last = item.partition(b":")
            low = 0 if first == b"*" else int(first)
            high = low if not last else 0 if last == b"*" else int(last)
            if (first != b"*" and not low) or (last not in (b"", b"*") and not high):
                raise BadCommand("0 is no message number")
            if low > MAX_NUMBER or high > MAX_NUMBER:
                raise BadCommand("number too large")
            ranges.append((low, high))
        if len(ranges) > MAX_RANGES:
            raise BadCommand("too many ranges")
        return tuple(ranges)
