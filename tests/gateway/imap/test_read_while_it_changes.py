"""A mailbox that changes between the steps of reading it: what a session is told belongs together."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from two_sessions import World

from gateway.service import imap_selecting
from gateway.store.repository import Outline

pytest_plugins = ["session_fixtures"]


def meanwhile(monkeypatch: pytest.MonkeyPatch, world: World, act: Callable[[], object]) -> None:
    """Let something happen between the mailbox's own row and those of its messages, the next time that they are read."""
    repository = world.workers[0].stores.repository
    outline, waiting = repository.outline, [act]

    def read(account: str, mailbox: int, **bounds: Any) -> list[Outline]:
        if waiting:
            waiting.pop()()
        return outline(account, mailbox, **bounds)

    monkeypatch.setattr(repository, "outline", read)


def number(name: str, said: str) -> int:
    found = re.search(rf"{name} \(?(\d+)", said)
    assert found is not None, said
    return int(found[1])


@pytest.mark.parametrize("part", [imap_selecting.PART, 2], ids=["at once", "in parts"])
def test_a_message_that_comes_while_it_is_opened(world: World, monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    monkeypatch.setattr(imap_selecting, "PART", part)
    worker, other = world.worker(), world.worker()
    for _ in range(4):
        worker.deliver()
    session = worker.session("ENABLE CONDSTORE")
    meanwhile(monkeypatch, world, other.deliver)
    said = session.say("SELECT INBOX")
    told = session.say("UID FETCH 1:* (MODSEQ)")
    last = max(int(uid) for uid in re.findall(r"UID (\d+)", told))
    assert last == 5
    assert number("UIDNEXT", said) > last
    assert number("HIGHESTMODSEQ", said) >= max(map(int, re.findall(r"MODSEQ \((\d+)\)", told)))


def test_no_modseq_is_told_before_those_below_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that knows all up to the highest it was told does not ask for what lies below."""
    worker, other = world.worker(), world.worker()
    for _ in range(2):
        worker.deliver()
    for each in (worker, other):
        each.stores._on_change = None  # no hint comes that would have it read again
    session = worker.session("ENABLE QRESYNC", "SELECT INBOX")
    other.deliver()

    def act() -> None:
        other.stores.repository.store_flags(world.account.id, 1, [1], "add", "F", "")
        other.deliver()

    meanwhile(monkeypatch, world, act)
    said = session.say("NOOP")
    told = said + session.say("FETCH 3:* (UID MODSEQ)")
    assert told.index("UID 1 FLAGS (\\Flagged)") < told.index("UID 4 MODSEQ")


def test_flags_that_change_while_a_body_is_read_are_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """FETCH shows them as they were when it began, so it must not count the change as told."""
    worker = world.worker()
    worker.deliver()
    one, other = worker.session("SELECT INBOX"), worker.session("SELECT INBOX")
    assert other.core.selected is not None
    contents, in_pool, waiting = other.core.selected.view.contents, worker.in_pool, [True]

    async def meanwhile(work: Any, volume: str = "") -> Any:
        if waiting:
            waiting.clear()
            worker.stores.repository.store_flags(world.account.id, 1, [1], "add", "F", "")
            await imap_selecting.catch_up(other.executor, contents)
        return await in_pool(work, volume)

    monkeypatch.setattr(worker, "in_pool", meanwhile)
    said = one.say("FETCH 1 (FLAGS BODY.PEEK[TEXT])")
    assert said.startswith("* 1 FETCH (FLAGS () BODY[TEXT]")
    assert "* 1 FETCH (UID 1 FLAGS (\\Flagged))\r\n" in said
