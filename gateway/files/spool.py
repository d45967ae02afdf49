"""Messages too large for memory while they arrive: a file without a name, read again in pieces.

The file has a name only while it is made, so a process that dies leaves nothing behind that anybody could
find; what a power cut leaves was never accepted.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import overload

PIECE = 256 * 1024


class Spool(Sequence[bytes]):
    """A growing file, then its content as a sequence of pieces that are read when they are asked for."""

    def __init__(self, folder: str) -> None:
        """Raises OSError."""
        self._fd, path = tempfile.mkstemp(prefix="spool-", dir=folder)
        os.unlink(path)
        self.size = 0
        #: line ends so far
        self.lines = 0

    def append(self, pieces: Iterable[bytes]) -> None:
        """Put octets behind what is there. Raises OSError."""
        for piece in pieces:
            view = memoryview(piece)
            while view:
                view = view[os.write(self._fd, view) :]
            self.size += len(piece)
            self.lines += piece.count(b"\n")

    def __len__(self) -> int:
        return (self.size + PIECE - 1) // PIECE

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        start = index % len(self) * PIECE
        wanted = min(PIECE, self.size - start)
        octets = os.pread(self._fd, wanted, start)
        if len(octets) != wanted:
            raise OSError(f"spooled {wanted} octets at {start}, read {len(octets)}")
        return octets

    def __del__(self) -> None:
        # never earlier: somebody may be reading or writing in another thread
        if hasattr(self, "_fd"):
            os.close(self._fd)


def size_of(pieces: Sequence[bytes]) -> int:
    """How many octets they are."""
    return pieces.size if isinstance(pieces, Spool | Joined) else sum(map(len, pieces))


def lines_of(pieces: Sequence[bytes]) -> int:
    """How many line ends they have."""
    return pieces.lines if isinstance(pieces, Spool | Joined) else sum(piece.count(b"\n") for piece in pieces)


def prefixed(first: bytes, rest: Sequence[bytes]) -> Sequence[bytes]:
    """`first` and the others behind it; what is spooled stays where it is."""
    return Joined([first], rest) if isinstance(rest, Spool | Joined) else [first, *rest]


def split(pieces: Sequence[bytes]) -> tuple[list[bytes], Sequence[bytes]]:
    """(what is in memory, what is spooled behind it and stays where it is)."""
    if not isinstance(pieces, Joined):
        return ([], pieces) if isinstance(pieces, Spool) else (list(pieces), [])
    first, rest = split(pieces.first)
    if isinstance(pieces.rest, Spool | Joined):
        more, last = split(pieces.rest)
        return [*first, *rest, *more], last
    return [*first, *rest, *pieces.rest], []


class Joined(Sequence[bytes]):
    """Some octets, and others behind them, without reading these."""

    __slots__ = ("first", "lines", "rest", "size")

    def __init__(self, first: Sequence[bytes], rest: Sequence[bytes]) -> None:
        self.first, self.rest = first, rest
        self.size = size_of(first) + size_of(rest)
        self.lines = lines_of(first) + lines_of(rest)

    def __len__(self) -> int:
        return len(self.first) + len(self.rest)

    def __iter__(self) -> Iterator[bytes]:
        return chain(self.first, self.rest)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        return self.first[index] if index < len(self.first) else self.rest[index - len(self.first)]
