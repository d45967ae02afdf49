"""Octets from the client into whole commands: a line with its literals (RFC 9051 2.2.1, 4.3; RFC 7888).

Memory is bounded by `max_line` and `max_command`; the message of APPEND passes through without being kept. A synchronising literal that is too large is refused
before it is sent; a non-synchronising one is skipped as it arrives.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.imap.settings import ImapSettings

#: a literal, or one that may hold NUL (literal8 of RFC 3516 7)
_LITERAL = re.compile(rb"(~)?\{(\d{1,10})(\+)?\}\Z")
#: APPEND or REPLACE with what stands before its first literal: nothing when that is the mailbox name
_APPEND = re.compile(rb"[^ ]+ (?:APPEND|(?:UID )?REPLACE [^ ]+) (.?)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Message:
    """The literal of APPEND that comes next. It is not kept here: `take` gives it as it arrives."""

    size: int
    #: the client waits for a continuation
    synchronising: bool
    #: it may hold NUL
    is_binary: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """`parts` alternates text and literals: text, literal, text, ..., text.

    With `message` the command goes on: after that many octets, taken or skipped, the rest of its line comes.
    """

    parts: tuple[bytes, ...]
    message: Message | None = None


@dataclass(frozen=True, slots=True)
class WantsLiteral:
    """The client waits for a continuation before it sends a literal."""


@dataclass(frozen=True, slots=True)
class TooLong:
    """A command over a limit, skipped. `tag` is what could be read of its tag."""

    tag: bytes
    reason: str
    close: bool = False


def split_literal(line: bytes) -> tuple[bytes, Message | None]:
    """A line without the announcement of a literal at its end, and that."""
    match = _LITERAL.search(line)
    if match is None:
        return line, None
    return line[: match.start()], Message(int(match[2]), not match[3], bool(match[1]))


class LineTooLong(Exception):
    """A bare line over the limit."""


Event = Command | WantsLiteral | TooLong


class Framing:
    """Incremental splitter."""

    def __init__(self, settings: ImapSettings) -> None:
        self._settings = settings
        self._buffer = bytearray()
        self._parts: list[bytes] = []
        self._total = 0
        self._literal = -1
        self._skip = 0
        self._refusing: TooLong | None = None
        self._silent = False
        self.logged_in = False

    def receive(self, data: bytes) -> None:
        self._buffer += data

    def discard(self) -> None:
        """Forget what was received (after STARTTLS)."""
        self._buffer.clear()

    def take_line(self) -> bytes | None:
        """A bare line, for AUTHENTICATE and IDLE. None when more octets are needed. Raises LineTooLong."""
        end = self._buffer.find(b"\n")
        if end < 0:
            if len(self._buffer) > min(self._settings.max_line, self._limit()):
                raise LineTooLong
            return None
        line = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        return line

    def take(self, limit: int) -> bytes | None:
        """The next octets of a message, at most `limit`. None when there are none yet."""
        if not self._buffer:
            return None
        octets = bytes(self._buffer[:limit])
        del self._buffer[:limit]
        return octets

    def skip(self, message: Message) -> None:
        """The message is not wanted. Where the client does not wait it comes nevertheless, with the rest of its line."""
        if not message.synchronising:
            self._skip, self._silent, self._parts = message.size, True, [b""]

    @property
    def pending(self) -> int:
        return len(self._buffer)

    def _limit(self) -> int:
        return self._settings.max_command if self.logged_in else self._settings.max_before_login

    def next(self) -> Event | None:
        """The next event, None when more octets are needed."""
        while True:
            if self._skip:
                size = min(self._skip, len(self._buffer))
                del self._buffer[:size]
                self._skip -= size
                if self._skip:
                    return None
            if self._literal >= 0:
                if len(self._buffer) < self._literal:
                    return None
                self._parts.append(bytes(self._buffer[: self._literal]))
                del self._buffer[: self._literal]
                self._literal = -1
            end = self._buffer.find(b"\n")
            if end < 0:
                if len(self._buffer) > min(self._settings.max_line, self._limit()):
                    tag = bytes(self._buffer[:64]).split(b" ")[0] if not self._parts else self._tag()
                    return TooLong(tag, "command line too long", close=True)
                return None
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            self._total += len(line)
            self._parts.append(line)
            match = _LITERAL.search(line)
            if match is None:
                parts, refusing, silent = tuple(self._parts), self._refusing, self._silent
                self._parts, self._total, self._refusing, self._silent = [], 0, None, False
                if silent:
                    continue
                return refusing if refusing is not None else Command(parts)
            size = int(match[2])
            self._parts[-1] = line[: match.start()]
            if self.logged_in and not self._silent and self._refusing is None and self._is_message():
                parts = tuple(self._parts)
                self._parts, self._total = [], 0
                return Command(parts, Message(size, not match[3], bool(match[1])))
            self._total += size
            if self._silent and not match[3]:  # the client waits, and has been told that it is of no use
                self._parts, self._total, self._silent = [], 0, False
                continue
            if size > self._settings.max_literal or self._total > self._limit() or self._refusing or self._silent:
                refusal = TooLong(self._tag(), "literal too large")
                if match[3]:
                    self._skip, self._refusing, self._parts = size, refusal, self._parts[:1]
                    continue
                self._parts, self._total, self._refusing, self._silent = [], 0, None, False
                return refusal
            self._literal = size
            if not match[3]:
                return WantsLiteral()

    def _is_message(self) -> bool:
        append = _APPEND.match(self._parts[0])
        return append is not None and (len(self._parts) > 1 or bool(append[1]))

    def _tag(self) -> bytes:
        return self._parts[0][:64].split(b" ")[0] if self._parts else b"*"
