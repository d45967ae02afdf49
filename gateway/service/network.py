"""Outgoing connections over asyncio: implements the ports of `gateway.deliver`."""

from __future__ import annotations

import asyncio

LINE_LIMIT = 8192


class NetworkStream:
    """Implements `gateway.deliver.port.Stream`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read_line(self, seconds: float) -> bytes:
        async with asyncio.timeout(seconds):
            try:
                return await self._reader.readline()
            except ValueError as error:
                raise OSError(f"overlong line: {error}") from error

    async def write(self, data: bytes, seconds: float) -> None:
        self._writer.write(data)
        async with asyncio.timeout(seconds):
            await self._writer.drain()

    def close(self) -> None:
        self._writer.close()


async def dial(host: str, port: int, seconds: float) -> NetworkStream:
    """Implements `gateway.deliver.port.Dial`."""
    async with asyncio.timeout(seconds):
        return NetworkStream(*await asyncio.open_connection(host, port, limit=LINE_LIMIT))
