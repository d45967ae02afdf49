"""Scripted sessions of one or more workers over a real store: what one does, the other sees."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dialogues import run_dialogue

from directory.model import Account, Condition, Refused
from directory.port import Login
from gateway.ask import Dialogue
from gateway.imap import commands
from gateway.imap.session import Session
from gateway.imap.settings import ImapSettings
from gateway.service.imap_executor import ImapExecutor
from gateway.service.imap_selecting import OpenMailboxes
from gateway.store.markers import prepare_volume
from gateway.store.opening import Change
from gateway.store.settings import StoreSettings, Volume
from gateway.store.sqlite import SqliteRepository
from gateway.store.stores import Stores

assert commands.COMMANDS


class World:
    """One account's store. Each worker has its own Stores on the same files and the same open mailboxes."""

    def __init__(self, folder: Path, quota: int | None = None) -> None:
        self.folder = folder
        (folder / "mail").mkdir()
        prepare_volume(folder / "mail")
        self.account = Account(id="t:1", dn="cn=jane", addresses=("jane@example.com",), quota=quota)
        self.imap = ImapSettings()
        self.state_dir = str(folder)
        self.hostname = "mail.example"
        self.workers: list[Worker] = []

    def worker(self) -> Worker:
        self.workers.append(Worker(self, len(self.workers)))
        self.workers[-1].stores.mailboxes(self.account)  # the mailboxes everybody has
        return self.workers[-1]

    def close(self) -> None:
        for worker in self.workers:
            worker.stores.repository.close()


class Worker:
    """Stands for `Host`: what the sessions of one worker share."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        volumes = {"main": Volume(str(world.folder / "mail"))}
        self.stores = Stores(
            StoreSettings(volumes=volumes),
            SqliteRepository(world.folder / "index"),
            number,
            on_change=self.on_change,
        )
        self.open_mailboxes = OpenMailboxes()
        self.directory = self
        self.authenticator = self
        self.settings = world

    def on_change(self, changes: Sequence[Change]) -> None:
        """Hints reach every worker."""
        for worker in self.world.workers:
            for change in changes:
                worker.open_mailboxes.hint(*change)

    def by_id(self, entry: str) -> Account | None:
        return self.world.account if entry == self.world.account.id else None

    def groups_of(self, dn: str) -> tuple[str, ...]:
        return ()

    def shared_with(self, dns: object) -> tuple[Account, ...]:
        return ()

    def owners(self, address: str) -> tuple[Account, ...]:
        return ()

    async def authenticate(self, login: str, password: str, service: str, address: str, *, near: bool = False) -> Login:
        if password != "secret":
            raise Refused(Condition.AUTHENTICATION_FAILED)
        return Login(self.world.account.id, "test")

    async def in_pool(self, work: Any, volume: str = "") -> Any:
        return work()

    def deliver(self, content: bytes = b"Subject: x\n\nbody\n") -> None:
        self.stores.deliver(self.world.account, [content], len(content), len(content) + content.count(b"\n"), "jane")

    def session(self, *first: str) -> Client:
        client = Client(self)
        client.say("LOGIN jane secret")
        for line in first:
            assert " OK " in client.say(line), line
        return client


class Client:
    """One session. `say` sends a command and answers everything that came back, the tag as T."""

    def __init__(self, worker: Worker) -> None:
        self.core = Session(worker.world.imap, "mail.example", "192.0.2.1", tls="TLSv1.3")
        self.executor = ImapExecutor(self.core, worker, wake=self.wake)  # type: ignore[arg-type]
        self._out = b""
        self.woken_times = 0

    def wake(self) -> None:
        self.woken_times += 1

    def write(self, data: bytes) -> bool:
        self._out += data
        return False

    def flush(self) -> None: ...

    def upgrade(self) -> None:
        self.core.tls = "TLSv1.3"

    def compress(self) -> None:
        raise AssertionError("not on this connection")

    def dialogues(self) -> Iterator[Dialogue]:
        while not self.core.closing and (dialogue := self.core.next_dialogue()) is not None:
            yield dialogue

    def send(self, octets: bytes) -> str:
        """Everything said after these octets."""
        self.core.receive(octets)
        for dialogue in self.dialogues():
            asyncio.run(run_dialogue(dialogue, self.executor, self))
        return self.taken()

    def taken(self) -> str:
        """What was said since the last time."""
        said, self._out = self._out, b""
        return said.decode()

    def say(self, line: str) -> str:
        return self.send(f"T {line}\r\n".encode())

    def woken(self) -> str:
        """What the session says when it is woken."""
        return self._run(self.core.woken())

    def expired_says(self) -> str:
        """What the session says when it was silent for long."""
        return self._run(self.core.expired())

    def _run(self, dialogue: Dialogue | None) -> str:
        if dialogue is not None:
            asyncio.run(run_dialogue(dialogue, self.executor, self))
        return self.taken()
