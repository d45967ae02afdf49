"""Worker and agent over a real socket: what workers remember, what makes them forget, and bad input."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from directory.authenticator import Proof
from directory.memory import MemorySource
from directory.model import Condition, Deferred, Refused
from directory.port import Freshness, Login
from directory.profile import Profile
from directory.raw import RawEntry
from directory.view import View
from gateway.service.agent_client import AgentClient
from gateway.service.agent_logins import FAILURE_SECONDS, LoginServer
from gateway.service.agent_protocol import MAX_LINE

JANE = "directory:7d4dd9b2-0000-4000-8000-000000000001"


def jane(csn: str, **more: str) -> RawEntry:
    facts = {"objectClass": "gatepostAccount", "uid": "jane", "gatepostAddress": "jane@example.com", "entryCSN": csn}
    values = {name.lower(): [value.encode()] for name, value in (facts | more).items()}
    return RawEntry(JANE, "uid=jane,o=x", values)


class Counted:
    """Stands for the authenticator: knows one password, counts what reaches it."""

    def __init__(self) -> None:
        self.asked = 0
        self.flushed = 0
        self.wait = 0.0

    def delay(self, address: str) -> float:
        if address == "192.0.2.66":
            raise Deferred(Condition.AUTHENTICATION_UNAVAILABLE, "too many")
        return self.wait

    def prove(self, login: str, password: str, service: str, address: str, *, near: bool = False) -> Proof:
        self.asked += 1
        if password == "bug":
            raise KeyError("bug")
        if password not in ("right", "gpa_right"):
            raise Refused(Condition.AUTHENTICATION_FAILED, "wrong")
        return Proof(Login(JANE, "bind"), time.time() + 300)

    def flush(self) -> None:
        self.flushed += 1


class Host:
    """Server, client and directory of one test."""

    def __init__(self, folder: Path) -> None:
        self.source = MemorySource(Profile.load("native"), (jane("1"),))
        self.source.state = Freshness(complete=True, fresh_at=time.time())
        self.agent = Counted()
        self.socket = folder / "agent.sock"
        self.server = LoginServer(self.agent)  # type: ignore[arg-type]
        self.client = AgentClient(self.socket, View(self.source, Profile.load("native")))

    async def login(self, password: str, name: str = "jane", service: str = "imap", address: str = "192.0.2.1") -> str:
        try:
            return (await self.client.authenticate(name, password, service, address)).method
        except (Deferred, Refused) as error:
            return error.condition.name


def served(tmp_path: Path, story: Callable[[Host], Awaitable[Any]]) -> None:
    async def main() -> None:
        host = Host(tmp_path)
        server = await host.server.start(host.socket)
        try:
            await story(host)
        finally:
            server.close()
            if host.client._reading is not None:
                host.client._reading.cancel()
            await asyncio.sleep(0.01)

    asyncio.run(main())


def test_a_success_is_remembered_until_the_entry_changes(tmp_path: Path) -> None:
    async def story(host: Host) -> None:
        assert [await host.login("right") for _ in range(5)] == ["bind"] * 5
        assert await host.login("right", "JANE@example.com", "submission") == "bind"
        assert host.agent.asked == 1
        assert await host.login("wrong") == "AUTHENTICATION_FAILED"
        assert await host.login("right") == "bind"
        assert host.agent.asked == 2
        host.source.put(jane("2"))
        assert await host.login("right") == "bind"
        assert host.agent.asked == 3
        host.source.put(jane("2", gatepostStatus="noaccess"))
        assert await host.login("right") == "AUTHENTICATION_FAILED"
        host.source.put(jane("2", gatepostService="pop3"))
        assert await host.login("right") == "SERVICE_NOT_ALLOWED"
        host.source.put(jane("2", gatepostAllowNet="198.51.100.0/24"))
        assert await host.login("right") == "AUTHENTICATION_FAILED"
        host.source.put(jane("2"))
        host.source.held_ids.add(JANE)
        await host.login("right")
        assert host.agent.asked == 4, "a held account is the agent's to judge"

    served(tmp_path, story)


def test_tokens_are_never_remembered(tmp_path: Path) -> None:
    async def story(host: Host) -> None:
        assert [await host.login("gpa_right") for _ in range(3)] == ["bind"] * 3
        assert host.agent.asked == 3

    served(tmp_path, story)


def test_flush_reaches_the_workers(tmp_path: Path) -> None:
    async def story(host: Host) -> None:
        assert await host.login("right") == "bind"
        host.server.flush()
        await asyncio.sleep(0.05)
        assert host.agent.flushed == 1
        assert await host.login("right") == "bind"
        assert host.agent.asked == 2

    served(tmp_path, story)


def test_failures_take_the_same_time_whatever_the_reason(tmp_path: Path) -> None:
    async def story(host: Host) -> None:
        for name, password in (("jane", "wrong"), ("nobody", "wrong")):
            begin = time.monotonic()
            assert await host.login(password, name) == "AUTHENTICATION_FAILED"
            assert time.monotonic() - begin >= FAILURE_SECONDS
        begin = time.monotonic()
        assert await host.login("right") == "bind"
        print(f"a success took {(time.monotonic() - begin) * 1000:.1f} ms")

    served(tmp_path, story)


def test_bad_input_ends_nobody_elses_login(tmp_path: Path) -> None:
    async def story(host: Host) -> None:
        host.agent.wait = 0.2
        waiting = asyncio.create_task(host.login("right"))
        await asyncio.sleep(0.05)
        for name, password in (
            ("\0", "x"),
            ("\ud800", "x"),
            ("jane", "\ud800"),
            ("j" * 10_000, "x"),
            ("jane", "x" * 70_000),
        ):
            assert await host.login(password, name) == "AUTHENTICATION_FAILED"
        assert await host.login("bug") == "AUTHENTICATION_UNAVAILABLE"
        assert await host.login('"}\n{"id":1', address="192.0.2.66") == "AUTHENTICATION_UNAVAILABLE"
        assert await waiting == "bind"
        reader, writer = await asyncio.open_unix_connection(str(host.socket))
        good = json.dumps({"id": 7, "login": "jane", "password": "right", "service": "imap", "address": ""})
        writer.write(b"garbage\n[1]\n{}\n" + good.encode() + b"\n")
        assert json.loads(await asyncio.wait_for(reader.readline(), 5))["id"] == 7
        writer.write(b"x" * (2 * MAX_LINE))
        assert await asyncio.wait_for(reader.read(), 5) == b"", "over the limit: this connection ends, no other"
        writer.close()
        assert await host.login("gpa_right") == "bind"

    served(tmp_path, story)


def test_an_agent_that_dies_is_a_temporary_failure(tmp_path: Path) -> None:
    async def story(host: Host) -> None:
        host.agent.wait = 0.3
        waiting = asyncio.create_task(host.login("wrong"))
        while not waiting.done():  # asked again: an agent may only have been replaced
            await asyncio.sleep(0.05)
            for writer in tuple(host.server._writers):
                writer.close()
        assert await waiting == "AUTHENTICATION_UNAVAILABLE"
        assert await host.login("right") == "bind", "connects again by itself"

    served(tmp_path, story)


@pytest.mark.timeout(30)
def test_without_an_agent(tmp_path: Path) -> None:
    async def main() -> None:
        assert await Host(tmp_path).login("right") == "AUTHENTICATION_UNAVAILABLE"

    asyncio.run(main())
