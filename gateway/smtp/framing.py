"""Octets from the client into command lines and message chunks (RFC 5321 4.1.1.4, 4.5.2; RFC 3030).

The only end of data is CRLF.CRLF. Chunks never end between CR and LF. Memory is bounded by the line
limit plus one read: what was fed is handed out before more is fed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """A command or AUTH line without its line end."""

    text: bytes


@dataclass(frozen=True, slots=True)
class LineTooLong:
    """A line over the limit; it has been skipped."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a message, dots unstuffed, line ends as sent."""

    data: bytes


@dataclass(frozen=True, slots=True)
class EndOfData:
    """The message is complete."""


Event = Line | LineTooLong | Chunk | EndOfData
_END = b"\r\n.\r\n"
_STUFFED = b"\r\n."


class Framing:
    """Incremental splitter with three modes: lines, DATA, BDAT."""

    def __init__(self, max_line: int) -> None:
        self.max_line = max_line
        self._buffer = bytearray()
        self._data = False
        self._first = False
        self._bdat = -1
        self._ended = False
        self._skipping = False

    def receive(self, data: bytes) -> None:
        self._buffer += data

    def start_data(self) -> None:
        """What follows is a message up to CRLF.CRLF."""
        self._buffer[0:0] = b"\r\n"  # a dot in the very first line ends the message too
        self._data = self._first = True

    def start_bdat(self, size: int) -> None:
        """What follows are `size` octets of a message."""
        self._bdat = size

    @property
    def in_message(self) -> bool:
        """True while what comes is a message."""
        return self._data or self._bdat >= 0

    @property
    def pending(self) -> int:
        """Octets received and not yet handed out."""
        return len(self._buffer)

    def discard(self) -> None:
        """Forget what was received (after STARTTLS, RFC 3207 5)."""
        self._buffer.clear()

    def next(self) -> Event | None:
        """The next event, None when more octets are needed."""
        if self._ended:
            self._ended = False
            return EndOfData()
        if self._data:
            return self._next_data()
        if self._bdat >= 0:
            return self._next_bdat()
        return self._next_line()

    def _next_line(self) -> Event | None:
        if not self._buffer:
            return None
        end = self._buffer.find(b"\n", 0, self.max_line + 2)
        if end < 0:
            if len(self._buffer) <= self.max_line + 1:
                return None
            self._skipping = True
            later = self._buffer.find(b"\n")
            if later < 0:
                self._buffer.clear()
                return None
            end = later
        text = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        if self._skipping:
            self._skipping = False
            return LineTooLong()
        return Line(text.removesuffix(b"\r"))

    def _take(self, size: int, behind: int = 0) -> bytes:
        piece = bytes(self._buffer[:size])
        del self._buffer[: size + behind]
        if piece.rfind(_STUFFED) >= 0:
            piece = piece.replace(_STUFFED, b"\r\n")
        if self._first:
            self._first = False
            piece = piece[2:]
        return piece

    def _next_data(self) -> Event | None:
        # backwards first: for these patterns CPython's rfind takes half the time of find, and mostly there is none
        end = -1 if self._buffer.rfind(_END) < 0 else self._buffer.find(_END)
        if end >= 0:
            self._data = False
            piece = self._take(end + 2, behind=3)
            if not piece:
                return EndOfData()
            self._ended = True
            return Chunk(piece)
        # hold back what may be the beginning of CRLF.CRLF, of a stuffed dot, or of a line end
        cut = len(self._buffer) - 4
        if cut > 2 and self._buffer[cut - 1] == 0x0D:
            cut -= 1
        elif cut >= 2 and self._buffer[cut - 2 : cut] == b"\r\n":
            cut -= 2
        return Chunk(self._take(cut)) if cut > 2 else None

    def _next_bdat(self) -> Event | None:
        if self._bdat == 0:
            self._bdat = -1
            return EndOfData()
        size = min(self._bdat, len(self._buffer))
        if size < self._bdat and size > 1 and self._buffer[size - 1] == 0x0D:
            size -= 1  # a chunk never ends between CR and LF
        if size == 0 or (size < self._bdat and size == 1 and self._buffer[0] == 0x0D):
            return None
        piece = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._bdat -= size
        return Chunk(piece)
