"""COMPRESS=DEFLATE (RFC 4978): announced, entered once, refused otherwise."""

from __future__ import annotations

import pytest
from two_sessions import Client, World

pytest_plugins = ["session_fixtures"]


def test_the_connection_is_compressed_once(pair: tuple[Client, Client], monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = pair
    entered: list[str] = []
    monkeypatch.setattr(one, "compress", lambda: entered.append(one.taken()))
    assert " COMPRESS=DEFLATE " in one.say("CAPABILITY")
    # what a client says before it has the answer is not understood, nor is it taken for a command
    assert one.send(b"T COMPRESS deflate\r\nU STORE 1 +FLAGS (\\Deleted)\r\n") == ""
    assert entered == ["T OK DEFLATE active\r\n"]
    assert "COMPRESS" not in one.say("CAPABILITY")
    assert one.say("COMPRESS DEFLATE") == "T NO [COMPRESSIONACTIVE] this connection is compressed\r\n"
    assert one.say("UNAUTHENTICATE").startswith("T NO [CANNOT] ")
    one.say("STORE 2 +FLAGS (\\Flagged)")
    assert "* 2 FETCH (UID 2 FLAGS (\\Flagged))" in two.say("NOOP")
    assert "\\Deleted" not in two.say("FETCH 1 FLAGS")


def test_refusals(world: World) -> None:
    client = world.worker().session()
    assert client.say("COMPRESS LZW").startswith("T NO [CANNOT] ")
    assert client.say("COMPRESS").startswith("T BAD ")
    assert client.say("COMPRESS DEFLATE now").startswith("T BAD ")
    other = Client(world.workers[0])
    assert "COMPRESS" not in other.say("CAPABILITY")
    assert other.say("COMPRESS DEFLATE").startswith("T BAD not allowed")
