"""A worker's way to the agent; implements `directory.port.Authenticator`.

What succeeded is remembered for `auth.success_cache` by a keyed hash and answered here, as long as the
entry's change mark in the local copy stays what it was before the agent was asked. Status, networks and
services are looked at every time, so whoever is disabled is out as soon as the copy says so.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from directory.authenticator_tokens import is_token
from directory.login_rules import may_come, may_use, named, possible
from directory.model import Condition, Deferred, Refused
from directory.port import Directory, Login
from gateway.observe.log import fields
from gateway.service.agent_protocol import MAX_LINE, Answer, Request

ANSWER_SECONDS = 30.0  # a slowed-down login waits five, a silent directory two times five
TRIES = 4
RECONNECT_SECONDS = 5.0  # an agent that is replaced is back sooner
MAX_WAITING = 500  # questions of one worker
REMEMBERED = 20_000
_log = logging.getLogger("gatepost.agent")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Answer).decode


@dataclass(frozen=True, slots=True)
class _Known:
    login: Login
    mark: str
    until: float


class AgentClient:
    """Reconnects by itself; requests of many sessions share one connection."""

    def __init__(self, socket: Path, directory: Directory, now: Callable[[], float] = time.time) -> None:
        self._socket = socket
        self._directory = directory
        self._now = now
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._next = 0
        self._lock = asyncio.Lock()
        self._gone_since: float | None = None
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    async def authenticate(self, login: str, password: str, service: str, address: str, *, near: bool = False) -> Login:
        """As the port says."""
        possible(login, password)
        if is_token(password):  # may be revoked at any time
            return (await self._ask(login, password, service, address, near)).result()
        entries = named(self._directory, login)
        if len(entries) != 1:
            return (await self._ask(login, password, service, address)).result()
        entry = entries[0]
        mark = self._directory.change_mark(entry.id)
        key = hmac.digest(self._key, f"{len(entry.id)}:{entry.id}{password}".encode(), "sha256")
        known = self._known.get(key)
        if known is not None:
            if known.mark == mark and known.until > self._now() and not self._directory.is_held(entry.id):
                may_come(entry, address, self._now())
                may_use(entry, service)
                return known.login
            del self._known[key]
        answer = await self._ask(login, password, service, address)
        result = answer.result()
        if answer.until > self._now() and result.account == entry.id:
            self._known[key] = _Known(result, mark, answer.until)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return result

    async def _ask(self, login: str, password: str, service: str, address: str, near: bool = False) -> Answer:
        for number in range(TRIES):  # an agent that is replaced loses what it was asked last
            try:
                return await self._ask_once(login, password, service, address, near)
            except ConnectionError:
                await asyncio.sleep(0.1 * number)
        raise Deferred(Condition.AUTHENTICATION_UNAVAILABLE, "agent connection lost")

    async def _ask_once(self, login: str, password: str, service: str, address: str, near: bool) -> Answer:
        self._next += 1
        number = self._next
        line = _encode(Request(number, login, password, service, address, near)) + b"\n"
        if len(line) > MAX_LINE:
            raise Refused(Condition.AUTHENTICATION_FAILED, "login or password too long")
        if len(self._waiting) >= MAX_WAITING:
            raise Deferred(Condition.AUTHENTICATION_UNAVAILABLE, "too many logins are waiting")
        writer = await self._connected()
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        writer.write(line)
        try:
            return await asyncio.wait_for(future, ANSWER_SECONDS)
        except TimeoutError:
            raise Deferred(Condition.AUTHENTICATION_UNAVAILABLE, "agent does not answer") from None
        finally:
            self._waiting.pop(number, None)

    async def _connected(self) -> asyncio.StreamWriter:
        async with self._lock:
            if self._writer is None:
                reader, self._writer = await self._connect()
                self._known.clear()  # an order to forget may have been missed
                self._reading = asyncio.create_task(self._read(reader, self._writer))
            return self._writer

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Wait for an agent that was there a moment ago; one that is gone for longer is not waited for again."""
        now = asyncio.get_running_loop().time
        while True:
            try:
                found = await asyncio.open_unix_connection(str(self._socket), limit=MAX_LINE)
            except OSError as error:
                if self._gone_since is None:
                    self._gone_since = now()
                if now() - self._gone_since >= RECONNECT_SECONDS:
                    raise Deferred(Condition.AUTHENTICATION_UNAVAILABLE, f"agent: {error}") from error
                await asyncio.sleep(0.05)
                continue
            self._gone_since = None
            return found

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                self._take(_decode(line))
        except (msgspec.DecodeError, ValueError, ConnectionError) as error:
            _log.warning("%s", fields(event="agent-lost", detail=str(error)))
        finally:
            writer.close()
            if self._writer is writer:
                self._writer = None
            waiting, self._waiting = self._waiting, {}
            for future in waiting.values():
                if not future.done():
                    future.set_exception(ConnectionResetError("agent connection lost"))

    async def close(self) -> None:
        """Give the connection up."""
        if self._writer is not None:
            self._writer.close()
        if self._reading is not None:
            await self._reading

    def _take(self, answer: Answer) -> None:
        if answer.flush:
            self._known.clear()
            return
        future = self._waiting.get(answer.id)
        if future is not None and not future.done():
            future.set_result(answer)
