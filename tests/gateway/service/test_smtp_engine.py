"""SMTP connections over real sockets: time-outs, slow and half-closed clients, clients of other protocols."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import cast

import pytest
import uvloop

from gateway.service.connection import Connection
from gateway.service.deadlines import Deadlines
from gateway.service.sessions import Sessions
from gateway.service.settings import LimitSettings
from gateway.service.smtp_engine import SmtpEngine
from gateway.smtp.commands import VERBS
from gateway.smtp.requests import Accept, Accepted, DropSpool, Spool
from gateway.smtp.session import Client, Session
from gateway.smtp.settings import Role, SmtpSettings

assert VERBS
START = b"EHLO c.example\r\nMAIL FROM:<a@c.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\n"


class Executor:
    """Accepts everything, at once or when told to."""

    def __init__(self) -> None:
        self.accepted: list[bytes] = []
        self.spooled = 0
        self.dropped = False
        self.go = asyncio.Event()
        self.go.set()
        self.ended = asyncio.Event()

    def execute(self, request: object) -> object:
        if isinstance(request, Accept):
            return self._accept(request)
        if isinstance(request, Spool):
            self.spooled += sum(map(len, request.pieces))
        if isinstance(request, DropSpool):
            self.dropped = True
        return None

    async def _accept(self, request: Accept) -> Accepted:
        await self.go.wait()
        self.accepted.append(request.content)
        return Accepted("id", [None] * len(request.envelope.recipients))

    def close(self) -> None:
        self.ended.set()


class Served:
    executor: Executor
    busy = False
    sessions = Sessions()
    cut: list[str]


@contextlib.asynccontextmanager
async def connected(
    role: Role = Role.MX, **values: float
) -> AsyncIterator[tuple[Served, asyncio.StreamReader, asyncio.StreamWriter]]:
    served, deadlines, settings = Served(), Deadlines(), SmtpSettings(**values)  # type: ignore[arg-type]
    served.sessions, served.cut = Sessions(), []

    def make(connection: Connection, tls: str, wake: Callable[[], None]) -> tuple[Session, Executor]:
        served.executor = Executor()
        return Session(role, settings, "mx.example", Client(connection.address, 0, tls)), served.executor

    class Peer(SimpleNamespace):
        def log_cut(self, reason: str) -> None:
            served.cut.append(reason)

        @property
        def is_busy(self) -> bool:
            return served.busy

    peer = Peer(address="192.0.2.1", speaker=None, last_words=lambda condition: f"421 {condition.text}\r\n".encode())
    server = await asyncio.get_running_loop().create_server(
        lambda: SmtpEngine(make, settings, cast(Connection, peer), deadlines, LimitSettings(), served.sessions),
        "127.0.0.1",
        0,
    )
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        assert (await reader.readline()).startswith(b"220 ")
        yield served, reader, writer
    finally:
        writer.transport.abort()
        server.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(30):
            await test()

    uvloop.run(limited())


async def until(reader: asyncio.StreamReader, start: bytes) -> bytes:
    """Lines up to one that starts so."""
    said = b""
    while line := await reader.readline():
        said += line
        if line.startswith(start):
            return said
    raise AssertionError(said)


def test_silence_ends_a_session_with_421() -> None:
    async def test() -> None:
        async with connected(command_timeout=0.5) as (served, reader, _):
            assert await reader.read() == b"421 4.4.2 waited too long, closing connection\r\n"
            await served.executor.ended.wait()
            assert served.cut == ["silent or slow for too long"]

    run(test)


def test_silence_is_shorter_while_the_host_is_busy() -> None:
    async def test() -> None:
        async with connected(command_timeout=60.0, command_timeout_busy=0.5) as (served, reader, writer):
            served.busy = True
            writer.write(b"NOOP\r\n")
            said = await reader.read()
            assert said.endswith(b"421 4.4.2 waited too long, closing connection\r\n")

    run(test)


@pytest.mark.parametrize(
    "values",
    [
        {"command_timeout": 1.0, "min_rate": 1000, "message_timeout": 600.0},  # 200 octets a second
        {"command_timeout": 60.0, "message_timeout": 1.5},
    ],
)
def test_a_message_that_drips_is_cut(values: dict[str, float]) -> None:
    async def test() -> None:
        async with connected(**values) as (served, reader, writer):
            writer.write(START)
            await until(reader, b"354 ")

            async def drip() -> None:
                while True:
                    writer.write(b"x" * 18 + b"\r\n")
                    await asyncio.sleep(0.1)

            dripping = asyncio.create_task(drip())
            said = await reader.read()
            dripping.cancel()
            assert said == b"421 4.4.2 waited too long, closing connection\r\n"
            assert not served.executor.accepted

    run(test)


def test_a_slow_message_above_the_rate_is_taken_however_long_a_command_may_take() -> None:
    async def test() -> None:
        async with connected(command_timeout=3.0, min_rate=100) as (served, reader, writer):
            writer.write(START)
            await until(reader, b"354 ")
            for _ in range(30):  # 4.5 s at 600 octets a second
                writer.write(b"x" * 88 + b"\r\n")
                await asyncio.sleep(0.15)
            writer.write(b".\r\n")
            assert (await reader.readline()).startswith(b"250 ")
            assert served.executor.accepted == [(b"x" * 88 + b"\n") * 30]

    run(test)


def test_everything_at_once_then_half_closed_is_answered() -> None:
    async def test() -> None:
        async with connected() as (served, reader, writer):
            served.executor.go.clear()
            writer.write(START + b"Subject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n")
            writer.write_eof()
            await until(reader, b"354 ")
            served.executor.go.set()
            said = await reader.read()
            assert said.startswith(b"250 2.0.0 OK id=id\r\n221 ")
            assert served.executor.accepted == [b"Subject: x\n\nhello\n"]
            await served.executor.ended.wait()

    run(test)


def test_a_client_that_closes_its_side_in_a_message_has_sent_none() -> None:
    async def test() -> None:
        async with connected() as (served, reader, writer):
            writer.write(START + b"Subject: x\r\n\r\nhal")
            writer.write_eof()
            said = await reader.read()
            assert b"\r\n354 " in said
            assert b"\r\n250 2.0.0 OK id=" not in said
            assert not served.executor.accepted

    run(test)


def test_a_large_message_is_spooled_and_memory_stays_small_while_the_disk_is_slow() -> None:
    async def test() -> None:
        async with connected() as (served, reader, writer):
            writer.write(START)
            await until(reader, b"354 ")
            line = b"y" * 998 + b"\r\n"
            for _ in range(40):
                writer.write(line * 100)
                await writer.drain()
            writer.write(b".\r\n")
            assert (await reader.readline()).startswith(b"250 ")
            (kept,) = served.executor.accepted
            assert len(kept) <= 256 * 1024 + 1000
            assert len(kept) + served.executor.spooled == 4000 * 999

    run(test)


@pytest.mark.parametrize(
    "first", [b"GET / HTTP/1.1\r\nHost: x\r\n", b"POST /x HTTP/1.1\r\n", b"CONNECT x:25 HTTP/1.1\r\n"]
)
def test_a_browser_is_shown_the_door(first: bytes) -> None:
    async def test() -> None:
        async with connected() as (served, reader, writer):
            writer.write(first + b"\r\nEHLO c.example\r\nMAIL FROM:<a@c.example>\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            await served.executor.ended.wait()

    run(test)


def test_at_a_stop_idle_sessions_are_told_and_a_message_under_way_is_taken() -> None:
    async def test() -> None:
        async with connected() as (served, reader, _):
            served.sessions.retire()
            assert (await reader.read()).startswith(b"421 service closing")
        async with connected() as (served, reader, writer):
            writer.write(START)
            await until(reader, b"354 ")
            served.sessions.retire()
            writer.write(b"Subject: x\r\n\r\nhello\r\n.\r\n")
            said = await reader.read()
            assert said.startswith(b"250 2.0.0 OK id=id\r\n421 service closing")

    run(test)
