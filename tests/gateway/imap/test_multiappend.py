"""Several messages by one APPEND (RFC 3502): all of them come, or none."""

from __future__ import annotations

import os
import re

import pytest
from two_sessions import Client, World

from gateway.imap import appending
from gateway.imap.settings import ImapSettings

pytest_plugins = ["session_fixtures"]

FIRST, SECOND = b"Subject: a\r\n\r\none\r\n", b"Subject: b\r\n\r\ntwo\r\n"


def octets(*messages: tuple[str, bytes], mailbox: str = "INBOX") -> bytes:
    said = f"T APPEND {mailbox}".encode()
    for before, message in messages:
        said += f" {before}{{{len(message)}+}}\r\n".encode() + message
    return said + b"\r\n"


def test_all_come(pair: tuple[Client, Client]) -> None:
    one, two = pair
    said = one.send(octets((r"(\Seen) ", FIRST), ('(work) "07-Feb-2001 22:09:01 +0000" ', SECOND)))
    assert re.fullmatch(r"\* 5 EXISTS\r\nT OK \[APPENDUID \d+ 4:5\] appended\r\n", said)
    two.say("NOOP")
    told = two.say("FETCH 4:5 (FLAGS INTERNALDATE BODY.PEEK[TEXT])")
    assert "FLAGS (\\Seen)" in told
    assert "FLAGS (work)" in told
    assert "Feb-2001" in told
    assert told.index("one") < told.index("two")


@pytest.mark.parametrize("size", [1, 3, 50, 10_000])
def test_however_the_octets_come(world: World, size: int) -> None:
    client = world.worker().session("SELECT INBOX")
    large = b"Subject: x\r\n\r\n" + b"line\r\n" * (100 if size < 100 else 80_000)
    stream = octets(("", FIRST), ("", large), ("(a) ", SECOND)) + b"U NOOP\r\n"
    said = "".join(client.send(stream[at : at + size]) for at in range(0, len(stream), size))
    assert said.count("APPENDUID") == 1
    assert said.endswith("U OK NOOP completed\r\n")
    assert client.say("FETCH 1:3 RFC822.SIZE").startswith(
        "".join(f"* {n} FETCH (RFC822.SIZE {len(m)})\r\n" for n, m in enumerate((FIRST, large, SECOND), 1))
    )
    assert not (world.folder / "spool").exists() or not os.listdir(world.folder / "spool")


def test_a_client_that_waits(world: World) -> None:
    client = world.worker().session("SELECT INBOX")
    assert client.send(b"T APPEND INBOX {3}\r\n") == "+ go ahead\r\n"
    assert client.send(b"a\r\n (x) {2}\r\n") == "+ go ahead\r\n"
    assert client.send(b"bc").startswith("")
    assert "APPENDUID" in client.send(b"\r\n")
    assert client.send(b"T APPEND INBOX {3}\r\n") == "+ go ahead\r\n"
    assert client.send(b"a\r\n (\\Recent) {2}\r\n").startswith("T BAD ")
    assert client.say("NOOP") == "T OK NOOP completed\r\n"


REFUSED = (
    (octets(("", FIRST), ("", b"")), "T NO [CANNOT] "),
    (octets(("", FIRST), ("", b"a\0b"), ("", SECOND)), "T BAD NUL"),
    (octets(("", b"a\0b"), ("", SECOND)), "T BAD NUL"),
    (octets(("", FIRST), ('"32-Jan-2001 22:09:01 +0000" ', SECOND), ("", SECOND)), "T BAD date-time"),
    (octets(("", FIRST), ("x ", SECOND)), "T BAD "),
    (octets(("", FIRST), ("", SECOND), mailbox="Nowhere"), "T NO [TRYCREATE] "),
    (b"T APPEND INBOX {1+}\r\na {1+}\r\nb \r\n", "T BAD literal expected"),
)


def test_one_that_is_refused_stops_all(pair: tuple[Client, Client]) -> None:
    one, two = pair
    for stream, answered in REFUSED:
        said = one.send(stream)
        assert said.startswith(answered), (stream, said)
        assert said.count("\r\n") == 1
    assert one.say("NOOP") == "T OK NOOP completed\r\n"
    assert "* 3 EXISTS" in two.say("SELECT INBOX")


def test_over_quota_none_comes(tmp_path_factory: pytest.TempPathFactory) -> None:
    world = World(tmp_path_factory.mktemp("quota"), quota=100)
    client = world.worker().session("SELECT INBOX")
    assert client.send(octets(("", b"x" * 60), ("", b"y" * 60))).startswith("T NO [OVERQUOTA]")
    assert client.send(octets(("", b"x" * 60), ("", b"y" * 400), ("", b"z"))).startswith("T NO [OVERQUOTA]")
    folder = world.workers[0].stores.open(world.account).path
    assert not os.listdir(f"{folder}/cur")
    assert not os.listdir(f"{folder}/tmp")
    assert client.send(octets(("", b"x" * 60), ("", b"y" * 40))).startswith("* 2 EXISTS\r\nT OK ")
    world.close()


def test_limits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.imap = ImapSettings(max_append=10)
    monkeypatch.setattr("gateway.imap.commands.append.MAX_MESSAGES", 5)
    client = world.worker().session()
    assert appending.MAX_TOGETHER == 4
    assert client.send(octets(*[("", b"x" * 9)] * 5)).startswith("T NO [TOOBIG] messages of one command")
    assert client.send(octets(*[("", b"x")] * 6)).startswith("T BAD too many messages")
    assert client.send(octets(("", b"x"), ("", b"x" * 11))).startswith("T NO [TOOBIG] a message")
    assert client.send(octets(*[("", b"x")] * 5)).startswith("T OK ")
