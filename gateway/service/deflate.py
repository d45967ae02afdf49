"""DEFLATE on a connection, in both directions (RFC 1951; COMPRESS of RFC 4978), with bounded memory and work.

What is said is flushed after each answer, so that nothing waits for what comes later. What a client sends is inflated
in pieces, as it is asked for; a stream that grows beyond all that mail does is refused.
"""

from __future__ import annotations

import zlib

PIECE = 64 * 1024  # octets inflated at once
#: own window of 8 KiB: with zlib's tables 64 KiB a connection, where the largest take 256
WINDOW, TABLES = 13, 6
LEVEL = 3  # on a text of letters 0.47 of its size at 53 MB/s, level 6 makes 0.45 at 31
#: beyond so many octets a stream may be so many times as large as what was sent; mail is 20 times as large at most
BEGIN, RATIO = 16 << 20, 200


class BadStream(Exception):
    """What came is no DEFLATE, has ended, or grows beyond the limit; the message is for the log."""


class Deflate:
    """Both directions of one connection."""

    __slots__ = ("_came", "_deflate", "_grown", "_inflate", "_is_more")

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, -WINDOW, TABLES)
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._came = self._grown = 0
        self._is_more = False

    def squeezed(self, data: bytes) -> bytes:
        """What is sent for `data`: all of it, flushed."""
        return self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def swollen(self, data: bytes) -> tuple[bytes, bytes]:
        """The next octets, at most a piece, that `data` stands for, and what of it is not used yet. Nothing where more
        must come first. Raises BadStream."""
        if not data and not self._is_more:
            return b"", b""
        try:
            octets = self._inflate.decompress(data, PIECE)
        except zlib.error as error:
            raise BadStream(f"no DEFLATE: {error}") from None
        rest = self._inflate.unconsumed_tail
        self._is_more = len(octets) == PIECE
        self._came += len(data) - len(rest)
        self._grown += len(octets)
        if self._grown > BEGIN and self._grown > RATIO * self._came:
            raise BadStream("compressed beyond all that mail is")
        if self._inflate.eof:
            raise BadStream("the compressed stream has ended")
        return octets, rest
