"""Counters that all workers of a host share: a small file mapped into each of them, no lock on the way.

Each process writes a row of its own, everybody adds the rows up. A row belongs to whoever holds its lock,
so what a killed process had counted goes when the next one starts. A name has two places, chosen by a keyed
hash; its count is the smaller of them: never too low, and too high only where others are in both.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import mmap
import os
import secrets
import struct
from array import array
from pathlib import Path
from typing import TypeAlias

from gateway.observe.log import fields

PLACES = 16_384
_MAGIC = b"GPcount1"
_HEAD = 64
_KEY = slice(16, 32)
_log = logging.getLogger("gatepost.connections")

#: where a name is counted
Places: TypeAlias = tuple[int, int]


class SharedCounts:
    """One a process; opened after fork."""

    def __init__(self, path: Path | None, rows: int) -> None:
        """`path` is None for counters of this process alone, which also serve when the file cannot be used."""
        self._rows, self._row, self._fd = rows, 0, -1
        try:
            if path is None or not self._open(path):
                self._private()
        except OSError as error:
            _log.warning("%s", fields(event="counts-not-shared", file=path, detail=error))
            self._private()

    def _private(self) -> None:
        self._rows, self._row = 1, 0
        self._use(mmap.mmap(-1, _HEAD + 2 * PLACES), secrets.token_bytes(16))

    def _use(self, mapped: mmap.mmap, key: bytes) -> None:
        self._mapped = mapped
        self._key = key
        self._counts = memoryview(mapped)[_HEAD:].cast("H")

    def _open(self, path: Path) -> bool:
        """Map the file, made when it is missing or has another shape, and take a row. False when none is free."""
        size = _HEAD + 2 * PLACES * self._rows
        head = _MAGIC + self._rows.to_bytes(8, "big")
        fd = _locked(path)
        if os.fstat(fd).st_size != size or os.pread(fd, len(head), 0) != head:
            temporary = path.with_suffix(".new")
            fresh = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            os.write(fresh, (head + secrets.token_bytes(16)).ljust(_HEAD, b"\0"))
            os.truncate(fresh, size)
            fcntl.flock(fresh, fcntl.LOCK_EX)
            os.rename(temporary, path)  # those who use the old one go on with it
            os.close(fd)
            fd = fresh
        mapped = mmap.mmap(fd, size)
        self._use(mapped, mapped[_KEY])
        taken = False
        for row in range(self._rows):
            if not _lock_row(fd, row, fcntl.F_WRLCK):
                continue
            self._counts[row :: self._rows] = memoryview(array("H", bytes(2 * PLACES)))
            if taken:
                _lock_row(fd, row, fcntl.F_UNLCK)
            else:
                self._row, taken = row, True
        fcntl.flock(fd, fcntl.LOCK_UN)
        self._fd = fd  # stays open: the row's lock lives as long
        return taken

    def places(self, name: str) -> Places:
        """Where `name` is counted."""
        digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=4, key=self._key).digest()
        rows = self._rows
        return (
            int.from_bytes(digest[:2], "big") % PLACES * rows,
            int.from_bytes(digest[2:], "big") % PLACES * rows,
        )

    def total(self, places: Places) -> int:
        """How many all processes count there."""
        counts, rows = self._counts, self._rows
        return min(sum(counts[place : place + rows]) for place in places)

    def add(self, places: Places, by: int) -> None:
        """Count up or down, in this process's row."""
        for place in places if places[0] != places[1] else places[:1]:
            place += self._row
            self._counts[place] = min(65535, max(0, self._counts[place] + by))

    def close(self) -> None:
        """Give the row back."""
        self._counts.release()
        self._mapped.close()
        if self._fd >= 0:
            os.close(self._fd)


def _lock_row(fd: int, row: int, kind: int) -> bool:
    """Lock or unlock the octet that stands for a row, for this open file; False when another has it."""
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack("hhqqi0q", kind, os.SEEK_SET, row, 1, 0))
    except BlockingIOError:
        return False
    return True


def _locked(path: Path) -> int:
    """The file under `path`, made when missing, locked against others that set it up."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_ino == os.stat(path).st_ino:
            return fd
        os.close(fd)  # replaced while this one was waited for
