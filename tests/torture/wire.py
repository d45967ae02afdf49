"""One IMAP connection of a random player: lines out, responses in, literals joined to the line they belong to."""

from __future__ import annotations

import asyncio
import re

_LITERAL = re.compile(rb"\{(\d+)\}$")
PATIENCE = 60.0  # seconds for one line: a host that is loaded, never a promise


class Ended(Exception):
    """The connection has ended; the text is what the server said with BYE, if it did."""


class Wire:
    """Raises Ended when there is nothing more to come."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._coming: asyncio.Task[bytes] | None = None

    @classmethod
    async def open(cls, port: int) -> Wire:
        """A connection whose greeting was read."""
        try:
            reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port, limit=1 << 22), PATIENCE)
        except OSError as error:
            raise Ended(str(error)) from None
        wire = cls(reader, writer)
        try:
            await wire.response()
        except BaseException:
            wire.close()
            raise
        return wire

    async def send(self, octets: bytes) -> None:
        try:
            self._writer.write(octets)
            await self._writer.drain()
        except OSError as error:
            raise Ended(str(error)) from None

    async def response(self, seconds: float = PATIENCE) -> bytes:
        """The next response without its line end. Raises TimeoutError, after which it may be asked for again."""
        if self._coming is None:
            self._coming = asyncio.ensure_future(self._response())
        done, _ = await asyncio.wait((self._coming,), timeout=seconds)
        if not done:
            raise TimeoutError(f"nothing said for {seconds} seconds")
        coming, self._coming = self._coming, None
        return coming.result()

    async def _response(self) -> bytes:
        said = b""
        try:
            while True:
                line = await self._reader.readuntil(b"\r\n")
                said += line[:-2]
                literal = _LITERAL.search(line[:-2])
                if literal is None:
                    return said
                said += b"\r\n" + await self._reader.readexactly(int(literal[1]))
        except (OSError, asyncio.IncompleteReadError) as error:
            raise Ended(str(error)) from None

    def close(self) -> None:
        if self._coming is not None:
            self._coming.cancel()
        self._writer.transport.abort()  # with nothing left to be written
