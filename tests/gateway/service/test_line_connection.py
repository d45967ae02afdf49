"""Connections of line protocols over real sockets: slow and silent clients, half-closed ones, wake-ups."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trustme
import uvloop

from gateway.ask import Ask, Dialogue
from gateway.service.connection import Connection
from gateway.service.deadlines import Deadlines
from gateway.service.driver import COMPRESSION
from gateway.service.line_connection import MAX_TURN, LineConnection
from gateway.service.sessions import Sessions
from gateway.service.settings import LimitSettings
from gateway.service.tls import Certificates, TlsLayer, TlsOffer

PIECE = 64 * 1024
SHORT = LimitSettings(login_timeout=1.0, write_timeout=1.0)


class Core:
    """Knows LOGIN, BIG (pieces), WAIT (for the executor), QUIT; echoes anything else."""

    def __init__(self) -> None:
        self.patience: float | None = None
        self.closing = False
        self.tls = ""
        self.pieces = 0
        self.news: list[bytes] = []
        self._received = b""

    def greeting(self) -> bytes:
        return b"hello\r\n"

    def receive(self, data: bytes) -> None:
        self._received += data

    def next_dialogue(self) -> Dialogue | None:
        line, end, rest = self._received.partition(b"\r\n")
        if not end:
            return None
        self._received = rest
        return self._answer(line)

    def woken(self) -> Dialogue | None:
        news, self.news = self.news, []
        return self._say(b"".join(b"news " + each + b"\r\n" for each in news)) if news else None

    def expired(self) -> Dialogue | None:
        self.closing = True
        return self._say(b"bye\r\n")

    def _say(self, text: bytes) -> Dialogue:
        yield text

    def _answer(self, line: bytes) -> Dialogue:
        if line == b"LOGIN":
            self.patience = 2.0
        if line == b"NOBODY":
            self.patience = None
        if line == b"QUIT":
            self.closing = True
        if line == b"BIG":
            for _ in range(1000):
                self.pieces += 1
                yield b"x" * PIECE
        if line == b"LINES":
            for number in range(150_000):  # 3 MB without a wait
                self.pieces += 1
                yield b"%018d\r\n" % number
        if line == b"COMPRESS":
            yield b"COMPRESS\r\n"
            yield Ask(line)
            return
        if line == b"WAIT":
            yield b"waiting\r\n"
            yield Ask(line)
        yield line + b"\r\n"


class Executor:
    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.closed = 0
        self.ended = asyncio.Event()

    def execute(self, request: object) -> object:
        return COMPRESSION if request == b"COMPRESS" else self.go.wait()

    def close(self) -> None:
        self.closed += 1
        self.ended.set()


class Served:
    """A server with what its only connection is made of."""

    core: Core
    executor: Executor
    wake: Callable[[], None]

    def make(self, connection: Connection, tls: str, wake: Callable[[], None]) -> tuple[Core, Executor]:
        self.core, self.executor, self.wake = Core(), Executor(), wake
        return self.core, self.executor


def connection() -> Connection:
    """One that nothing is counted for."""
    return cast(Connection, SimpleNamespace(speaker=None, address="192.0.2.1", log_cut=print))


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[TlsOffer, ssl.SSLContext]:
    authority = trustme.CA()
    both = tmp_path_factory.mktemp("tls") / "both.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(both)
    certificates = Certificates(str(both), str(both))
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    return TlsOffer(lambda: certificates.context("imap"), b"imap", 30), trusting


@contextlib.asynccontextmanager
async def connected(
    limits: LimitSettings, tls: tuple[TlsOffer, ssl.SSLContext] | None = None
) -> AsyncIterator[tuple[Served, asyncio.StreamReader, asyncio.StreamWriter]]:
    served, deadlines = Served(), Deadlines()

    def make() -> asyncio.Protocol:
        made = LineConnection(served.make, connection(), deadlines, limits, Sessions())
        return made if tls is None else TlsLayer(made, tls[0], at_once=True)

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, PIECE)  # what the system keeps for a client is not the subject
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, server.sockets[0].getsockname())
    reader, writer = await asyncio.open_connection(
        sock=sock, limit=PIECE, ssl=tls[1] if tls else None, server_hostname="localhost" if tls else None
    )
    try:
        assert await reader.readline() == b"hello\r\n"
        yield served, reader, writer
    finally:
        writer.transport.abort()
        server.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(30):
            await test()

    uvloop.run(limited())


@pytest.mark.parametrize("secured", [False, True], ids=["in the clear", "under TLS"])
def test_a_client_that_reads_slowly_does_not_grow_memory_and_gets_everything(
    secured: bool, tls: tuple[TlsOffer, ssl.SSLContext]
) -> None:
    async def test() -> None:
        async with connected(LimitSettings(), tls if secured else None) as (served, reader, writer):
            writer.write(b"LOGIN\r\nBIG\r\nAFTER\r\n")
            await asyncio.sleep(0.5)
            assert 0 < served.core.pieces < 400  # what the system's own buffers take, not all 64 MiB
            assert await reader.readline() == b"LOGIN\r\n"
            left = 1000 * PIECE
            while left:
                piece = await reader.read(min(left, 1 << 20))
                assert piece == b"x" * len(piece)
                left -= len(piece)
            assert await reader.readline() == b"BIG\r\n"
            assert await reader.readline() == b"AFTER\r\n"

    run(test)


def test_a_long_answer_leaves_others_their_turn() -> None:
    async def test() -> None:
        async with connected(LimitSettings()) as (served, reader, writer):
            most = 0

            async def watch() -> None:
                nonlocal most
                while True:
                    before = served.core.pieces
                    await asyncio.sleep(0)
                    most = max(most, served.core.pieces - before)

            watching = asyncio.create_task(watch())
            writer.write(b"LOGIN\r\nLINES\r\n")
            said = b""
            while not said.endswith(b"LINES\r\n"):
                said = said[-10:] + await reader.read(1 << 20)
            watching.cancel()
            assert 0 < most <= MAX_TURN / 20 + 1

    run(test)


@pytest.mark.parametrize("secured", [False, True], ids=["in the clear", "under TLS"])
def test_a_client_that_does_not_read_is_cut(secured: bool, tls: tuple[TlsOffer, ssl.SSLContext]) -> None:
    async def test() -> None:
        async with connected(SHORT, tls if secured else None) as (served, _, writer):
            writer.write(b"LOGIN\r\nBIG\r\n")
            begun = time.monotonic()
            await served.executor.ended.wait()
            assert 0.9 < time.monotonic() - begun < 10
            assert served.core.pieces < 400
            assert served.executor.closed == 1

    run(test)


def test_time_before_login_is_counted_together_however_busy_the_client_is() -> None:
    async def test() -> None:
        async with connected(SHORT) as (served, reader, writer):

            async def chatter() -> None:
                while True:
                    writer.write(b"NOOP\r\n")
                    await asyncio.sleep(0.1)

            talking = asyncio.create_task(chatter())
            begun = time.monotonic()
            await reader.readuntil(b"bye\r\n")
            talking.cancel()
            assert 0.9 < time.monotonic() - begun < 10
            with contextlib.suppress(ConnectionError):  # what the client said last may have met a closed door
                await reader.read(-1)
            assert served.executor.closed == 1

    run(test)


def test_after_login_only_silence_ends_a_session() -> None:
    async def test() -> None:
        async with connected(SHORT) as (_, reader, writer):
            writer.write(b"LOGIN\r\n")
            for _ in range(12):  # 3.6 s, longer than login_timeout and patience
                await asyncio.sleep(0.3)
                writer.write(b"NOOP\r\n")
            assert not reader.at_eof()
            begun = time.monotonic()
            assert (await reader.read(-1)).endswith(b"NOOP\r\nbye\r\n")
            assert 1.9 < time.monotonic() - begun < 10

    run(test)


def test_who_is_nobody_again_has_the_time_for_a_login_anew() -> None:
    async def test() -> None:
        async with connected(SHORT) as (_, reader, writer):
            writer.write(b"LOGIN\r\n")
            await asyncio.sleep(1.3)
            writer.write(b"NOBODY\r\n")
            begun = time.monotonic()
            assert (await reader.read(-1)).endswith(b"NOBODY\r\nbye\r\n")
            assert 0.9 < time.monotonic() - begun < 10

    run(test)


def test_a_compressed_connection_says_and_hears_all_and_stays_bounded() -> None:
    async def test() -> None:
        async with connected(LimitSettings()) as (served, reader, writer):
            writer.write(b"LOGIN\r\nCOMPRESS\r\n")
            assert await reader.readline() == b"LOGIN\r\n"
            assert await reader.readline() == b"COMPRESS\r\n"
            out, come = zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15)

            async def said(end: bytes) -> bytes:
                text = b""
                while not text.endswith(end):
                    text += come.decompress(await reader.read(PIECE))
                return text

            def say(text: bytes) -> None:
                writer.write(out.compress(text) + out.flush(zlib.Z_SYNC_FLUSH))

            say(b"ONE\r\nTW")
            assert await said(b"\r\n") == b"ONE\r\n"
            say(b"O\r\n" + b"x" * 200_000 + b"\r\nWAIT\r\n")
            assert await said(b"waiting\r\n") == b"TWO\r\n" + b"x" * 200_000 + b"\r\nwaiting\r\n"
            for number in range(5000):
                say(b"%d %b\r\n" % (number, os.urandom(15).hex().encode()))
            await asyncio.sleep(0.2)
            served.executor.go.set()
            text = await said_all(reader, come, 5000)
            assert [line.split(b" ")[0] for line in text.splitlines()] == [b"WAIT", *(b"%d" % n for n in range(5000))]
            served.core.news.append(b"mail")
            served.wake()
            assert await said(b"\r\n") == b"news mail\r\n"
            say(b"BIG\r\n")
            big = 0
            while big < 1000 * PIECE:
                big += come.decompress(await reader.read(PIECE)).count(b"x")
            writer.write(b"\xff\xff\xff\xff")
            assert await reader.read(-1) is not None
            await served.executor.ended.wait()

    run(test)


async def said_all(reader: asyncio.StreamReader, come: Any, lines: int) -> bytes:
    """Everything up to the end of so many lines and one more."""
    text = b""
    while text.count(b"\n") <= lines:
        text += come.decompress(await reader.read(PIECE))
    return text


def test_what_was_asked_before_the_client_closed_its_side_is_answered() -> None:
    async def test() -> None:
        async with connected(LimitSettings()) as (served, reader, writer):
            writer.write(b"LOGIN\r\nWAIT\r\nONE\r\n")
            assert await reader.readline() == b"LOGIN\r\n"
            assert await reader.readline() == b"waiting\r\n"
            writer.write(b"TWO\r\n")
            writer.write_eof()
            await asyncio.sleep(0.1)
            served.executor.go.set()
            assert await reader.read(-1) == b"WAIT\r\nONE\r\nTWO\r\n"
            await served.executor.ended.wait()

    run(test)


def test_an_idle_client_that_closes_its_side_is_gone_at_once() -> None:
    async def test() -> None:
        async with connected(LimitSettings()) as (served, reader, writer):
            writer.write_eof()
            assert await reader.read(-1) == b""
            await served.executor.ended.wait()

    run(test)


def test_a_wake_up_speaks_at_once_when_idle_and_else_after_what_runs() -> None:
    async def test() -> None:
        async with connected(LimitSettings()) as (served, reader, writer):
            served.core.news.append(b"1")
            served.wake()
            assert await reader.readline() == b"news 1\r\n"
            served.wake()  # nothing new, nothing said
            writer.write(b"WAIT\r\n")
            assert await reader.readline() == b"waiting\r\n"
            served.core.news.append(b"2")
            served.wake()
            await asyncio.sleep(0.1)
            served.executor.go.set()
            assert await reader.readline() == b"WAIT\r\n"
            assert await reader.readline() == b"news 2\r\n"
            writer.write(b"QUIT\r\nNEVER\r\n")
            assert await reader.read(-1) == b"QUIT\r\n"
            served.wake()  # too late, and no harm

    run(test)


def test_many_pipelined_commands_are_answered_in_order_and_another_client_is_served_between() -> None:
    async def test() -> None:
        async with connected(LimitSettings()) as (_, reader, writer):
            lines = b"".join(b"%d\r\n" % number for number in range(20_000))
            writer.write(lines)
            writer.write_eof()
            assert await reader.read(-1) == lines

    run(test)


class Expiring:
    slot = 0
    deadline = 0.0

    def __init__(self) -> None:
        self.at: list[float] = []
        self.ended = asyncio.Event()

    def expired(self) -> None:
        self.at.append(asyncio.get_running_loop().time())
        self.ended.set()


def test_deadlines_move_both_ways_and_never_come_early() -> None:
    async def test() -> None:
        now = asyncio.get_running_loop().time
        deadlines, later, sooner, never = Deadlines(), Expiring(), Expiring(), Expiring()
        begun = now()
        deadlines.arm(later, begun + 0.2)
        deadlines.arm(later, begun + 1.5)
        deadlines.arm(sooner, begun + 600)
        deadlines.arm(sooner, begun + 0.5)
        deadlines.arm(never, begun + 0.1)
        deadlines.disarm(never)
        await later.ended.wait()
        await sooner.ended.wait()
        assert later.at[0] >= begun + 1.5
        assert begun + 0.5 <= sooner.at[0] < begun + 5
        assert not never.at
        assert deadlines._slots == {}

    run(test)
