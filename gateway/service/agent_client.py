"""A worker's connection to the agent; implements `directory.port.Authenticator`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from directory.model import Condition, Deferred
from directory.port import Login
from gateway.service.agent_protocol import MAX_LINE, Answer, Request

ANSWER_SECONDS = 15.0


class AgentClient:
    """Reconnects by itself; requests of many sessions share one connection."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._next = 0
        self._lock = asyncio.Lock()

    async def _connected(self) -> asyncio.StreamWriter:
        async with self._lock:
            if self._writer is None:
                try:
                    reader, self._writer = await asyncio.open_unix_connection(str(self._socket), limit=MAX_LINE)
                except OSError as error:
                    raise Deferred(Condition.AUTHENTICATION_UNAVAILABLE, f"agent: {error}") from error
                self._reading = asyncio.create_task(self._read(reader))
            return self._writer

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                answer = msgspec.json.decode(line, type=Answer)
                future = self._waiting.pop(answer.id, None)
                if future is not None and not future.done():
                    future.set_result(answer)
        finally:
            if self._writer is not None:
                self._writer.close()
            self._writer = None
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(Deferred(Condition.AUTHENTICATION_UNAVAILABLE, "agent connection lost"))
            self._waiting.clear()

    async def authenticate(self, login: str, password: str, service: str, address: str) -> Login:
        writer = await self._connected()
        self._next += 1
        number = self._next
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        line = msgspec.json.encode(Request(number, login, password, service, address)) + b"\n"
        if len(line) > MAX_LINE:
            self._waiting.pop(number, None)
            raise Deferred(Condition.AUTHENTICATION_UNAVAILABLE, "login too long for the agent")
        writer.write(line)
        try:
            return (await asyncio.wait_for(future, ANSWER_SECONDS)).result()
        except TimeoutError:
            raise Deferred(Condition.AUTHENTICATION_UNAVAILABLE, "agent does not answer") from None
        finally:
            self._waiting.pop(number, None)
