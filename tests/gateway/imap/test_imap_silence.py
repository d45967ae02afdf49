"""IDLE over a real connection: silence longer than any time-out does not end it, and a change wakes it."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import cast

from two_sessions import Worker, World

from gateway.imap.session import Session
from gateway.imap.settings import ImapSettings
from gateway.service.connection import Connection
from gateway.service.deadlines import Deadlines
from gateway.service.driver import Executor
from gateway.service.imap_executor import ImapExecutor
from gateway.service.line_connection import Core, LineConnection
from gateway.service.sessions import Sessions
from gateway.service.settings import LimitSettings

pytest_plugins = ["session_fixtures"]


async def talk(worker: Worker) -> None:
    settings = ImapSettings(idle_keepalive=1.0, idle_timeout=2.0)
    deadlines, sessions = Deadlines(), Sessions()
    peer = cast(Connection, SimpleNamespace(speaker=None, address="192.0.2.1", log_cut=lambda why: None))

    def make(_: Connection, __: str, wake: object) -> tuple[Core, Executor]:
        session = Session(settings, "mail.example", "192.0.2.1", tls="TLSv1.3")
        return session, ImapExecutor(session, worker, wake=wake)  # type: ignore[arg-type]

    server = await asyncio.get_running_loop().create_server(
        lambda: LineConnection(make, peer, deadlines, LimitSettings(), sessions), "127.0.0.1", 0
    )
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())

    async def line() -> bytes:
        return await asyncio.wait_for(reader.readline(), 10)

    async def until(tag: bytes) -> None:
        while not (await line()).startswith(tag):
            pass

    await line()
    writer.write(b"a LOGIN jane secret\r\nb SELECT INBOX\r\nc IDLE\r\n")
    await until(b"+ ")
    start = time.monotonic()
    for _ in range(3):
        assert await line() == b"* OK Still here\r\n"
    assert 2.0 < time.monotonic() - start < 9
    worker.deliver()
    start = time.monotonic()
    assert await line() == b"* 1 EXISTS\r\n"
    print(f"told after {(time.monotonic() - start) * 1000:.1f} ms")
    writer.write(b"DONE\r\n")
    assert await line() == b"c OK IDLE completed\r\n"
    assert await line() == b"* BYE silent for too long\r\n"
    assert await line() == b""
    writer.close()
    server.close()


def test_silence(world: World) -> None:
    asyncio.run(talk(world.worker()))
