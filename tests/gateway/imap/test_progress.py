"""A search that takes long gives signs of life (INPROGRESS, RFC 9585)."""

from __future__ import annotations

import pytest
from two_sessions import Client, World

from gateway.imap import searching
from gateway.imap.progress import EVERY
from gateway.service import imap_contents

pytest_plugins = ["session_fixtures"]


class Time:
    """Each look at it is so many seconds later."""

    def __init__(self, step: float) -> None:
        self._step, self._now = step, 1e9

    def time(self) -> float:
        self._now += self._step
        return self._now


@pytest.fixture
def client(world: World, monkeypatch: pytest.MonkeyPatch) -> Client:
    worker = world.worker()
    for _ in range(5):
        worker.deliver()
    monkeypatch.setattr(searching, "BATCH", 1)
    return worker.session("SELECT INBOX")


@pytest.mark.parametrize("command", ["SEARCH BODY body", "SORT (SUBJECT) UTF-8 ALL", "THREAD REFS UTF-8 ALL"])
def test_signs_of_life(client: Client, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    assert " INPROGRESS " in client.say("CAPABILITY")
    quick = client.say(command)
    assert "INPROGRESS" not in quick
    monkeypatch.setattr(imap_contents, "time", Time(EVERY / 2 + 0.1))
    said = client.say(command)
    signs = [f'* OK [INPROGRESS ("T" {done} NIL)] still looking\r\n' for done in (3, 5)]
    assert said == "".join(signs) + quick


def test_a_search_that_is_wrong_gives_none(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap_contents, "time", Time(EVERY))
    assert client.say("SEARCH BODY").startswith("T BAD ")
    assert "INPROGRESS" not in client.say("SEARCH SEEN")
