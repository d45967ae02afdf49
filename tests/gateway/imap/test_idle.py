"""IDLE: news without being asked, and silence that nobody minds."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from dialogues import run_dialogue
from two_sessions import Client, World

from directory.model import Condition, Refused
from gateway.service.imap_executor import ImapExecutor

pytest_plugins = ["session_fixtures"]


def test_news(pair: tuple[Client, Client]) -> None:
    one, two = pair
    assert two.say("IDLE") == "+ idling\r\n"
    assert two.core.patience is not None
    assert 90 < two.core.patience <= 120
    assert two.woken() == ""
    one.executor.host.deliver()  # type: ignore[attr-defined]
    assert two.woken_times == 1
    assert two.woken() == "* 4 EXISTS\r\n"
    one.say(r"STORE 1 +FLAGS (\Deleted)")
    assert two.woken() == "* 1 FETCH (UID 1 FLAGS (\\Deleted))\r\n"
    one.say("EXPUNGE")
    assert two.woken() == "* 1 EXPUNGE\r\n"
    assert two.send(b"DO") == ""
    assert two.send(b"NE\r\nU NOOP\r\n") == "T OK IDLE completed\r\nU OK NOOP completed\r\n"
    assert two.core.patience == 1800
    times = two.woken_times
    one.say(r"STORE 1 +FLAGS (\Seen)")
    assert two.woken_times == times
    assert two.woken() == ""


def test_what_happened_before_is_told_first(pair: tuple[Client, Client]) -> None:
    one, two = pair
    one.executor.host.deliver()  # type: ignore[attr-defined]
    assert two.say("IDLE") == "* 4 EXISTS\r\n+ idling\r\n"


def test_silence_and_lost_hints(pair: tuple[Client, Client]) -> None:
    one, two = pair
    two.say("IDLE")
    two.executor.host.on_change = lambda *_: None  # type: ignore[attr-defined]
    for worker in one.executor.host.world.workers:  # type: ignore[attr-defined]
        worker.open_mailboxes.hint = lambda *_: None
    one.executor.host.deliver()  # type: ignore[attr-defined]
    assert two.woken_times == 0
    assert two.expired_says() == "* OK Still here\r\n* 4 EXISTS\r\n"
    assert two.expired_says() == "* OK Still here\r\n"
    assert not two.core.closing


def test_refusals(world: World) -> None:
    client = world.worker().session()
    assert client.say("IDLE now").startswith("T BAD ")
    assert client.say("IDLE") == "+ idling\r\n"
    assert client.send(b"NOOP\r\n") == "T BAD DONE expected\r\n"
    assert client.say("NOOP") == "T OK NOOP completed\r\n"
    for tag in (b'"a b"', b"+", b"a+", b"(", b"{3+}\r\na b"):
        assert " BAD " in client.send(tag + b" IDLE\r\n")
    client.say("IDLE")
    assert client.send(b"x" * 70_000) == "* BYE line too long\r\n"
    assert Client(world.workers[0]).say("IDLE").startswith("T BAD not allowed")


def test_the_mailbox_goes_away(pair: tuple[Client, Client]) -> None:
    one, two = pair
    one.say("CREATE Work")
    two.say("SELECT Work")
    two.say("IDLE")
    one.say("DELETE Work")
    assert two.woken() == "* BYE the selected mailbox is gone\r\n"
    assert two.core.closing
    two.executor.close()


def test_many_sessions_read_a_change_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = world.worker()
    clients = [worker.session("SELECT INBOX") for _ in range(20)]
    for client in clients:
        client.say("IDLE")
    worker.deliver()
    readings = 0

    async def in_pool(work: Any, volume: str = "") -> Any:
        nonlocal readings
        readings += 1
        await asyncio.sleep(0.01)
        return work()

    async def wake_all() -> None:
        dialogues = [client.core.woken() for client in clients]
        pairs = zip(dialogues, clients, strict=True)
        await asyncio.gather(*(run_dialogue(d, client.executor, client) for d, client in pairs if d is not None))

    monkeypatch.setattr(worker, "in_pool", in_pool)
    asyncio.run(wake_all())
    assert [client.taken() for client in clients] == ["* 1 EXISTS\r\n"] * 20
    assert readings == 1


def test_a_hint_of_nothing_is_followed_once(world: World) -> None:
    worker = world.worker()
    client = worker.session("SELECT INBOX")
    worker.open_mailboxes.hint(world.account.id, 1, 1 << 50)
    assert client.core.selected is not None
    assert client.core.selected.view.is_stale
    assert client.say("NOOP") == "T OK NOOP completed\r\n"
    assert not client.core.selected.view.is_stale


def test_the_right_to_the_mailbox_goes_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: object) -> None:
        raise Refused(Condition.SERVICE_NOT_ALLOWED)

    worker = world.worker()
    waiting, asking = worker.session("SELECT INBOX"), worker.session("SELECT INBOX")
    waiting.say("IDLE")
    monkeypatch.setattr(ImapExecutor, "holder", refused)
    worker.open_mailboxes.hint(world.account.id, 1, 1 << 40)
    assert waiting.woken() == "* BYE the selected mailbox is gone\r\n"
    assert asking.say("CAPABILITY").splitlines()[-2:] == [
        "* BYE the selected mailbox is gone",
        "T OK CAPABILITY completed",
    ]
    assert waiting.core.closing
    assert asking.core.closing
