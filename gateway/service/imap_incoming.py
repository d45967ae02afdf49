"""Messages on their way in by APPEND: in memory while they are small together, else in one file of the spool folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias

from directory.model import Condition, Deferred
from gateway.store.appending import NewContent

IN_MEMORY = 256 * 1024  # octets of all messages; what comes behind is written in pieces of this size
READ = 262_144
#: octets in memory, or where they stand in the file: [start, end)
_Chunk: TypeAlias = bytes | tuple[int, int]


class _Message:
    """One of them. `announced` is its size on the wire where that is known."""

    __slots__ = ("announced", "chunks", "internaldate", "keywords", "letters")

    def __init__(self, announced: int, letters: str, keywords: str, internaldate: float | None) -> None:
        self.announced = announced
        self.letters = letters
        self.keywords = keywords
        self.internaldate = internaldate
        self.chunks: list[_Chunk] = []


class Incoming:
    """The messages of one command. What touches the file belongs in the pool."""

    __slots__ = ("_end", "_folder", "_in_memory", "_messages", "path")

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._messages: list[_Message] = []
        self._in_memory = 0
        self._end = 0
        self.path: Path | None = None

    @property
    def announced(self) -> int:
        """Octets of all messages, as far as known."""
        return sum(message.announced for message in self._messages)

    def __len__(self) -> int:
        return len(self._messages)

    def begin(self, announced: int, letters: str, keywords: str, internaldate: float | None) -> None:
        """Another message comes."""
        self._messages.append(_Message(announced, letters, keywords, internaldate))

    def add(self, octets: bytes) -> bool:
        """Keep octets of the message that comes now. True when it is time to `spool`."""
        self._messages[-1].chunks.append(octets)
        self._in_memory += len(octets)
        return self._in_memory > IN_MEMORY

    def spool(self) -> None:
        """Write what is in memory to the file. Raises Deferred."""
        try:
            if self.path is None:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                descriptor, name = tempfile.mkstemp(prefix="imap-", dir=self._folder)
                os.close(descriptor)
                self.path = Path(name)
            with self.path.open("ab") as file:
                for message in self._messages:
                    self._write(file, message)
        except OSError as error:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"spool: {error}") from error
        self._in_memory = 0

    def _write(self, file: BinaryIO, message: _Message) -> None:
        """Those of its chunks that are in memory; ranges that follow each other become one."""
        kept: list[tuple[int, int]] = []
        for chunk in message.chunks:
            if isinstance(chunk, bytes):
                file.write(chunk)
                chunk = self._end, self._end + len(chunk)
                self._end = chunk[1]
            if kept and kept[-1][1] == chunk[0]:
                chunk = kept.pop()[0], chunk[1]
            kept.append(chunk)
        message.chunks = [*kept]

    def contents(self) -> list[NewContent]:
        """The messages. What reads them may raise OSError."""
        return [
            NewContent(self._octets(message), message.letters, message.keywords, message.internaldate)
            for message in self._messages
        ]

    def _octets(self, message: _Message) -> Iterator[bytes]:
        for chunk in message.chunks:
            if isinstance(chunk, bytes):
                yield chunk
                continue
            assert self.path is not None
            with self.path.open("rb") as file:
                at, end = chunk
                file.seek(at)
                while at < end and (piece := file.read(min(READ, end - at))):
                    yield piece
                    at += len(piece)
                if at < end:
                    raise OSError(f"{self.path} is shorter than it was")

    def drop(self) -> None:
        """The file is needed no more."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
            self.path = None
