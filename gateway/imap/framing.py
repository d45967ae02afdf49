"""Octets from the client into whole commands: a line with its literals (RFC 9051 2.2.1, 4.3; RFC 7888).

Memory is bounded by `max_line` and `max_command`. A synchronising literal that is too large is refused
before it is sent; a non-synchronising one is skipped as it arrives.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.imap.settings import ImapSettings

_LITERAL = re.compile(rb"\{(\d{1,10})(\+)?\}\Z")


@dataclass(frozen=True, slots=True)
class Command:
    """`parts` alternates text and literals: text, literal, text, ..., text."""

    parts: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class WantsLiteral:
    """The client waits for a continuation before it sends a literal."""


@dataclass(frozen=True, slots=True)
class TooLong:
    """A command over a limit, skipped. `tag` is what could be read of its tag."""

    tag: bytes
    reason: str
    close: bool = False


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
        self.logged_in = False

    def receive(self, data: bytes) -> None:
        self._buffer += data

    def discard(self) -> None:
        """Forget what was received (after STARTTLS)."""
        self._buffer.clear()

    def take_line(self) -> bytes | None:
        """A bare line, for AUTHENTICATE and IDLE. None when more octets are needed."""
        end = self._buffer.find(b"\n")
        if end < 0:
            return None
        line = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        return line

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
                parts, refusing = tuple(self._parts), self._refusing
                self._parts, self._total, self._refusing = [], 0, None
                return refusing if refusing is not None else Command(parts)
            size = int(match[1])
            self._parts[-1] = line[: match.start()]
            self._total += size
            if size > self._settings.max_literal or self._total > self._limit() or self._refusing:
                refusal = TooLong(self._tag(), "literal too large")
                if match[2]:
                    self._skip, self._refusing, self._parts = size, refusal, self._parts[:1]
                    continue
                self._parts, self._total = [], 0
                return refusal
            self._literal = size
            if not match[2]:
                return WantsLiteral()

    def _tag(self) -> bytes:
        return self._parts[0][:64].split(b" ")[0] if self._parts else b"*"
