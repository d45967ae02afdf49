"""IMAP over a real store: the session core, its executor, SQLite and files, without sockets."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from dialogues import run_dialogue

from directory.memory import MemorySource
from directory.model import Account
from directory.port import Login
from directory.profile import Profile
from directory.raw import RawEntry
from directory.view import View
from gateway.imap.commands import COMMANDS
from gateway.imap.session import Session
from gateway.imap.settings import ImapSettings
from gateway.service.host import Host
from gateway.service.imap_executor import ImapExecutor
from gateway.service.imap_selecting import OpenMailboxes
from gateway.store import markers
from gateway.store.settings import StoreSettings, Volume
from gateway.store.sqlite import SqliteRepository
from gateway.store.stores import Stores


def entry(name: str, kind: str, **attributes: str | list[str]) -> RawEntry:
    """An entry of the native profile."""
    values = {key.lower(): [value] if isinstance(value, str) else value for key, value in attributes.items()}
    values = {"objectclass": [kind], "cn": [name], "uid": [name], **values}
    texts = {key: [text.encode() for text in value] for key, value in values.items()}
    return RawEntry(f"t:{name}", f"uid={name},dc=example", texts)


ENTRIES = (
    entry("example", "gatepostDomain", gatepostDomainName="example.com"),
    entry("jane", "gatepostAccount", gatepostAddress="jane@example.com", gatepostQuota=str(10 << 20)),
    entry("ann", "gatepostAccount", gatepostAddress="ann@example.com"),
)
NATIVE = Profile.load("native")
_JANE = View(MemorySource(NATIVE, ENTRIES), NATIVE).by_id("t:jane")
assert isinstance(_JANE, Account)
JANE = _JANE
_ANN = View(MemorySource(NATIVE, ENTRIES), NATIVE).by_id("t:ann")
assert isinstance(_ANN, Account)
ANN = _ANN
assert COMMANDS


class _Authenticator:
    async def authenticate(self, login: str, password: str, service: str, address: str, *, near: bool = False) -> Login:
        return Login(f"t:{login}", "test")


class _Out:
    """Where a dialogue writes."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> bool:
        self.data += data
        return False

    def flush(self) -> None:
        pass

    def upgrade(self) -> None:
        raise AssertionError("no TLS here")

    def compress(self) -> None:
        raise AssertionError("not on this connection")


class Bench:
    """A host with a store a person; `source` is the directory."""

    def __init__(self, folder: Path, settings: ImapSettings | None = None) -> None:
        self.folder = folder
        self.settings = settings or ImapSettings()
        volume = folder / "mail"
        volume.mkdir()
        markers.prepare_volume(volume)
        self.repository = SqliteRepository(folder / "index")
        self.stores = Stores(StoreSettings(volumes={"main": Volume(str(volume))}), self.repository)
        self.stores.mailboxes(JANE)
        self.source = MemorySource(NATIVE, ENTRIES)
        self.pool = ThreadPoolExecutor(2)
        host = SimpleNamespace(
            settings=SimpleNamespace(
                imap=self.settings, hostname="mail.example", state_dir=str(folder), store=self.stores.settings
            ),
            stores=self.stores,
            authenticator=_Authenticator(),
            directory=View(self.source, NATIVE),
            open_mailboxes=OpenMailboxes(),
            in_pool=self._in_pool,
        )
        self.host = cast(Host, host)

    async def _in_pool(self, work: Any, volume: str = "") -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.pool, work)

    def append(self, *stored: bytes, mailbox: str = "INBOX", flags: str = "", date: float | None = None) -> None:
        for each in stored:
            self.stores.append(JANE, mailbox, [each], flags, internaldate=date)

    def client(self, *said: bytes, login: bytes = b"jane") -> Client:
        """A logged-in client that has said these commands."""
        client = Client(self)
        client.say(b"LOGIN %b x" % login)
        for command in said:
            client.say(command)
        return client

    def files(self) -> list[Path]:
        """The files of all messages in INBOX, by UID."""
        folder = Path(self.stores.open(JANE).path, "cur")
        return sorted(folder.iterdir(), key=lambda path: int(path.name.partition("U=")[2].partition(":")[0]))

    def close(self) -> None:
        self.pool.shutdown()
        self.repository.close()


class Client:
    """One session. Each command gets the tag `a`."""

    def __init__(self, bench: Bench) -> None:
        self.session = Session(bench.settings, "mail.example", "192.0.2.1", tls="TLSv1.3")
        self.executor = ImapExecutor(self.session, bench.host)

    def say(self, command: bytes) -> bytes:
        """Everything the server answers."""
        out = _Out()

        async def run() -> None:
            self.session.receive(b"a " + command + b"\r\n")
            while not self.session.closing and (dialogue := self.session.next_dialogue()) is not None:
                await run_dialogue(dialogue, self.executor, out)

        asyncio.run(run())
        return bytes(out.data)
