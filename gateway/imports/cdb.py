"""Reads a constant database (cdb, as D. J. Bernstein's cdbmake writes it): every record in order.

256 pairs of (position, slots) of the hash tables in little-endian 32 bits, then the records
(key length, data length, key, data) up to the first table.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

HEADER = 2048
MAX_FILE = 1 << 30
_PAIR = struct.Struct("<II")


def records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(key, data) of each record. Raises ValueError where the file is no cdb or is cut off."""
    if not HEADER <= len(data) <= MAX_FILE:
        raise ValueError("not a cdb file: too short or too long")
    tables = [_PAIR.unpack_from(data, number * 8) for number in range(256)]
    end = min(position for position, _ in tables)
    if not HEADER <= end <= len(data) or any(position + 8 * slots > len(data) for position, slots in tables):
        raise ValueError("not a cdb file: its tables lie outside")
    place = HEADER
    while place < end:
        if place + 8 > end:
            raise ValueError(f"damaged cdb file: half a record at {place}")
        key_size, data_size = _PAIR.unpack_from(data, place)
        place += 8
        if place + key_size + data_size > end:
            raise ValueError(f"damaged cdb file: a record at {place - 8} is longer than the file")
        yield data[place : place + key_size], data[place + key_size : place + key_size + data_size]
        place += key_size + data_size
