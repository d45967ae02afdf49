"""The drop folder is swept: what is left there comes into the queue once, whatever is in trouble meanwhile."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from native_entries import BASE, PROFILE, entry

from directory.memory import MemorySource
from directory.model import Condition, Deferred
from directory.view import View
from gateway.config.load import load
from gateway.files import drop
from gateway.queue.file import QueueFolder
from gateway.queue.settings import QueueSettings
from gateway.route.router import Router
from gateway.service.drop_sweep import DropSweep
from gateway.service.journal import JournalDesk

COMPANY = (
    entry(
        "cn=d", "gatepostEntry gatepostDomain", cn="d", gatepostDomainName="a.example", gatepostJournal="j@b.example"
    ),
    entry("uid=ann", "gatepostAccount", uid="ann", mail="ann@a.example", gatepostAddress="ann@a.example"),
)
MESSAGE = b"Subject: hello\n\nbody\n"


class Host:
    """A queue, a drop folder and a journal."""

    def __init__(self, folder: Path) -> None:
        self.queue = QueueFolder(folder / "queue", QueueSettings(min_free_bytes=0))
        (folder / "spool" / "drop").mkdir(parents=True)
        path = folder / "gatepost.yaml"
        path.write_text(
            f"hostname: mx.example\nstate_dir: {folder}\nrun_dir: {folder}\n"
            f'directory: {{servers: [ldap://127.0.0.1], base: "{BASE}"}}\n'
            f"store: {{volumes: {{main: {{path: {folder}/mail}}}}}}\n"
        )
        view = View(MemorySource(PROFILE, COMPANY), PROFILE)
        self.journals = JournalDesk(view, self.queue, folder / "none", "mx.example", lambda: b"k" * 32)
        self.sweep = DropSweep(load(path), self.queue, Router(view), self.journals)

    def leave(self, recipient: str = "ann@a.example") -> None:
        drop.leave(self.sweep.folder, drop.DropEnvelope("ann@a.example", (recipient,)), [MESSAGE])

    def delivered(self) -> list[str]:
        """What is in the queue is delivered: to whom."""
        found = []
        for message in sorted(self.queue.ids()):
            found += [target.address for target in self.queue.read(message).targets]
            self.queue.remove(message)
        return found

    @property
    def left(self) -> list[str]:
        return os.listdir(self.sweep.folder)


def test_a_journal_that_cannot_have_its_copy_causes_no_second_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(tmp_path)
    host.leave()
    good, times = host.queue.commit, 0

    def fails(message: str) -> None:
        nonlocal times
        if ".J" in message and times < 3:
            times += 1
            host.queue.discard(message)
            raise Deferred(Condition.QUEUE_UNAVAILABLE, "input/output error")
        good(message)

    monkeypatch.setattr(host.queue, "commit", fails)
    found = []
    for _ in range(5):
        asyncio.run(host.sweep.try_sweep())
        found += host.delivered()
    assert sorted(found) == ["ann@a.example", "j@b.example"], "each once, and none without its copy"
    assert host.left == []
    assert list((tmp_path / "queue" / "tmp").iterdir()) == []


def test_a_file_that_stays_is_taken_in_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(tmp_path)
    host.leave()
    good, times = os.unlink, 0

    def fails(path: str) -> None:
        nonlocal times
        if "/drop/" in str(path) and times < 3:
            times += 1
            raise OSError(30, "read-only file system")
        good(path)

    monkeypatch.setattr("gateway.service.drop_sweep.os.unlink", fails)
    found = []
    for _ in range(5):
        asyncio.run(host.sweep.try_sweep())
        found += host.delivered()
    assert sorted(found) == ["ann@a.example", "j@b.example"]
    assert host.left == []
    host.leave()
    assert host.sweep.sweep() == 1, "another one is another one"


def test_a_file_that_cannot_be_read_keeps_nobody_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(tmp_path)
    for number in range(3):
        host.leave(f"x{number}@far.example")
    bad = sorted(host.left)[0]
    good = drop.read

    def fails(folder: Path, name: str, max_size: int) -> drop.Dropped:
        if name == bad:
            raise OSError(5, "input/output error")
        return good(folder, name, max_size)

    monkeypatch.setattr(drop, "read", fails)
    asyncio.run(host.sweep.try_sweep())
    assert len([name for name in host.queue.ids() if ".J" not in name]) == 2
    assert host.left == [bad]
    monkeypatch.setattr(drop, "read", good)
    asyncio.run(host.sweep.try_sweep())
    assert len([name for name in host.queue.ids() if ".J" not in name]) == 3
    assert host.left == []
