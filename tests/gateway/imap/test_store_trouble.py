"""Index or disk in trouble: every command says "not now", nothing is lost, and the session works when it is over."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from two_sessions import World

from directory.model import Condition, Deferred
from gateway.store.sqlite.base import Base

pytest_plugins = ["session_fixtures"]

COMMANDS = [
    "SELECT INBOX",
    "EXAMINE Sent",
    "NOOP",
    "CHECK",
    r"STORE 1 +FLAGS (\Seen)",
    "STORE 1 +FLAGS (newword)",
    "EXPUNGE",
    "UID EXPUNGE 1",
    "COPY 1 Sent",
    "UID MOVE 1 Sent",
    "CREATE New",
    "DELETE Sent",
    "RENAME Sent Gone",
    "APPEND INBOX {3+}\r\nabc",
    "IDLE",
    "CLOSE",
]


def broken(*_: Any, **__: Any) -> Any:
    raise Deferred(Condition.STORE_UNAVAILABLE, "disk I/O error")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_index_is_in_trouble(world: World, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    worker = world.worker()
    worker.deliver()
    client = worker.session("SELECT INBOX", r"STORE 1 +FLAGS (\Deleted)")
    with monkeypatch.context() as patch:
        patch.setattr(Base, "_shard", broken)
        worker.stores._looks.clear()
        said = client.say(command)
        assert said.endswith("T NO [UNAVAILABLE] mail store temporarily unavailable, try again later\r\n"), said
        assert not client.core.closing
    assert "* 1 EXISTS" in client.say("SELECT INBOX")
    assert "\\Deleted" in client.say("FETCH 1 FLAGS")
    assert client.say("EXPUNGE").startswith("* 1 EXPUNGE")


def test_idle_goes_on_when_the_index_does_not_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    worker, other = world.worker(), world.worker()
    client = worker.session("SELECT INBOX")
    client.say("IDLE")
    with monkeypatch.context() as patch:
        patch.setattr(Base, "_shard", broken)
        assert client.expired_says() == "* OK Still here\r\n"
        worker.open_mailboxes.hint(world.account.id, 1, 1 << 40)
        assert client.woken() == ""
    other.deliver()
    assert client.woken() == "* 1 EXISTS\r\n"


def unmounted(world: World) -> None:
    (world.folder / "mail").rename(world.folder / "away")
    (world.folder / "mail").mkdir()


def mounted(world: World) -> None:
    shutil.rmtree(world.folder / "mail")
    (world.folder / "away").rename(world.folder / "mail")


@pytest.mark.parametrize(
    "command", ["SELECT INBOX", "COPY 1 Sent", "APPEND INBOX {3+}\r\nabc", "CREATE New", "DELETE Sent"]
)
def test_the_volume_is_not_mounted(world: World, command: str) -> None:
    worker = world.worker()
    worker.deliver()
    client = worker.session("SELECT INBOX")
    unmounted(world)
    said = client.say(command)
    assert said.splitlines()[-1].startswith("T NO ["), said
    assert "NONEXISTENT" not in said
    mounted(world)
    assert "* 1 EXISTS" in client.say("SELECT INBOX")
    assert "BODY[]" in client.say("FETCH 1 BODY[]")
    assert "Sent" in client.say('LIST "" *')
