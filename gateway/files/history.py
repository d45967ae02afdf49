"""Figures of the last days, for the dashboard: a file of fixed size that is written in place, without fsync.

Two rings of records: one a minute for a day, and their means, one a quarter of an hour, for thirty days. A power cut may
cost the last ones; a file of another form is begun anew. One process writes, everybody who may read the file reads it.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Sequence
from pathlib import Path

FIGURES = (
    "accepted", "delivered", "not_taken", "logins_failed", "waiting", "held", "sessions", "directory_age", "storage", "memory",
)  # fmt: skip
MINUTES, QUARTERS = 24 * 60, 30 * 24 * 4
MINUTE, QUARTER = 60, 900  # seconds
UNKNOWN = math.nan
_MAGIC = b"GPhist1\n"
_RECORD = struct.Struct(f"<d{len(FIGURES)}d")
SIZE = len(_MAGIC) + _RECORD.size * (MINUTES + QUARTERS)

#: time and figures, in the order of FIGURES; NaN = not known
Row = tuple[float, ...]


class History:
    """The writer's side."""

    def __init__(self, path: Path) -> None:
        """Makes the file when it is missing or of another form. Raises OSError."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if os.fstat(self._fd).st_size != SIZE or os.pread(self._fd, len(_MAGIC), 0) != _MAGIC:
            os.ftruncate(self._fd, 0)
            os.ftruncate(self._fd, SIZE)
            os.pwrite(self._fd, _MAGIC, 0)
        self._quarter = -1
        self._rows: list[Row] = []

    def add(self, at: float, figures: Sequence[float]) -> None:
        """The figures of a minute; those of the same minute are replaced. Raises OSError."""
        row = (at, *figures)
        self._put(int(at // MINUTE) % MINUTES, row)
        quarter = int(at // QUARTER)
        if quarter != self._quarter:
            self._quarter, self._rows = quarter, []
        self._rows.append(row)
        self._put(MINUTES + quarter % QUARTERS, (at, *map(_mean, list(zip(*self._rows, strict=True))[1:])))

    def _put(self, place: int, row: Row) -> None:
        os.pwrite(self._fd, _RECORD.pack(*row), len(_MAGIC) + place * _RECORD.size)

    def close(self) -> None:
        os.close(self._fd)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else UNKNOWN


def rows(path: Path, now: float, *, by_minute: bool) -> list[Row]:
    """What is known of the last day, or of thirty days, in order; nothing without a file. Raises OSError."""
    try:
        octets = path.read_bytes()
    except FileNotFoundError:
        return []
    if len(octets) != SIZE or not octets.startswith(_MAGIC):
        return []
    first, number, each = (0, MINUTES, MINUTE) if by_minute else (MINUTES, QUARTERS, QUARTER)
    begin = len(_MAGIC) + first * _RECORD.size
    found = _RECORD.iter_unpack(octets[begin : begin + number * _RECORD.size])
    return sorted(row for row in found if now - number * each < row[0] <= now + each)
