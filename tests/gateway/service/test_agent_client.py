"""A worker's connection to the agent while that is being replaced, and while it is gone."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec
import pytest

from directory.effective import Defaults
from directory.memory import MemorySource
from directory.model import Condition, Deferred
from directory.profile import Profile
from directory.view import View
from gateway.service import agent_client
from gateway.service.agent_client import AgentClient
from gateway.service.agent_protocol import Answer, Request


async def agent(path: Path, answers: int) -> asyncio.Server:
    """An agent that hangs up after so many answers, and before the next one."""
    left = answers

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal left
        while left and (line := await reader.readline()):
            left -= 1
            request = msgspec.json.decode(line, type=Request)
            writer.write(msgspec.json.encode(Answer(request.id, account="x:1", method="bind")) + b"\n")
        await reader.readline()  # one question more, which gets no answer
        writer.close()

    path.unlink(missing_ok=True)
    return await asyncio.start_unix_server(serve, str(path))


def client(path: Path) -> AgentClient:
    profile = Profile.load("native")
    return AgentClient(path, View(MemorySource(profile), profile, Defaults()))


def test_a_login_waits_for_an_agent_that_is_starting(tmp_path: Path) -> None:
    async def main() -> None:
        asks = client(tmp_path / "s")
        asking = asyncio.ensure_future(asks.authenticate("jane", "secret", "imap", "127.0.0.1"))
        await asyncio.sleep(0.2)
        server = await agent(tmp_path / "s", 1)
        assert (await asking).account == "x:1"
        await asks.close()
        server.close()
        await asyncio.sleep(0.05)

    asyncio.run(main())


def test_a_login_that_an_agent_took_with_it_is_asked_again(tmp_path: Path) -> None:
    async def main() -> None:
        old = await agent(tmp_path / "s", 1)
        asks = client(tmp_path / "s")
        await asks.authenticate("jane", "secret", "imap", "127.0.0.1")
        old.close()
        new = await agent(tmp_path / "s", 1)
        assert (await asks.authenticate("jane", "secret", "imap", "127.0.0.1")).account == "x:1"
        await asks.close()
        new.close()
        await asyncio.sleep(0.05)

    asyncio.run(main())


def test_an_agent_that_is_gone_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_client, "RECONNECT_SECONDS", 0.3)

    async def main() -> None:
        asks = client(tmp_path / "s")
        start = time.monotonic()
        for _ in range(5):
            with pytest.raises(Deferred) as caught:
                await asks.authenticate("jane", "secret", "imap", "127.0.0.1")
            assert caught.value.condition is Condition.AUTHENTICATION_UNAVAILABLE
        assert 0.3 <= time.monotonic() - start < 1.0

    asyncio.run(main())
