"""What the tests of the store share: a volume with stores on it, and people."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from directory.model import Account, MailboxHolder
from gateway.store import markers
from gateway.store.memory import MemoryRepository
from gateway.store.repository import MailboxRow, MessageRow, Repository
from gateway.store.settings import StoreSettings, Volume
from gateway.store.sqlite import SqliteRepository
from gateway.store.stores import Stores

BODY = b"Subject: a test\n\nfirst line\nsecond line\n"


def person(name: str = "ann", **facts: object) -> MailboxHolder:
    return Account(
        id=f"t:{name}",
        dn=f"uid={name},o=test",
        addresses=(f"{name}@example.com",),
        **facts,  # type: ignore[arg-type]
    )


@dataclass
class Bench:
    """A volume below `path`; `changes` collects what `on_change` was told."""

    path: Path
    kind: str = "sqlite"
    durability: str = "fsync"
    is_alive: Callable[[str], bool] = lambda _: True
    changes: list[tuple[str, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.volume = self.path / "mail"
        if not self.volume.exists():
            self.volume.mkdir()
            markers.prepare_volume(self.volume)
        self.start()

    def start(self, boot: str = "") -> None:
        """Open the stores, as a process does at its start."""
        self.repository: Repository = (
            MemoryRepository() if self.kind == "memory" else SqliteRepository(self.path / "index", boot)
        )
        settings = StoreSettings(volumes={"main": Volume(path=str(self.volume), durability=self.durability)})  # type: ignore[arg-type]
        self.stores = Stores(
            settings,
            self.repository,
            on_change=self.changes.extend,
            is_alive=lambda entry: self.is_alive(entry),
        )

    def lose_index(self) -> None:
        """Start again with nothing but the files."""
        self.repository.close()
        for file in (self.path / "index").glob("*"):
            file.unlink()
        self.start()

    def deliver(self, holder: MailboxHolder, body: bytes = BODY) -> int:
        return self.stores.deliver(holder, [body], len(body), len(body) + body.count(b"\n"), holder.addresses[0])[0]

    def inbox(self, holder: MailboxHolder) -> tuple[MailboxRow, list[MessageRow]]:
        return self.open(holder, "INBOX")

    def open(self, holder: MailboxHolder, name: str) -> tuple[MailboxRow, list[MessageRow]]:
        row = self.stores.open_mailbox(holder, name)
        return row, self.repository.messages(holder.id, row.id)

    def maildir(self, holder: MailboxHolder) -> Path:
        return Path(self.stores.open(holder).path)

    def files(self, holder: MailboxHolder, folder: str = "") -> dict[str, list[str]]:
        """The names in tmp/, new/ and cur/."""
        return {place: sorted(os.listdir(self.maildir(holder) / folder / place)) for place in ("tmp", "new", "cur")}
