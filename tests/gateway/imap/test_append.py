"""APPEND: what a second session sees, and everything that is refused without losing the session."""

from __future__ import annotations

import os

import pytest
from two_sessions import Client, World

from gateway.imap.dates import read_date_time
from gateway.imap.settings import ImapSettings

pytest_plugins = ["session_fixtures"]

MESSAGE = b"Subject: draft\r\n\r\nfirst\r\nsecond\r\n"


def put(client: Client, arguments: str, message: bytes = MESSAGE, rest: bytes = b"\r\n", plus: str = "+") -> str:
    head = f"T APPEND {arguments} {{{len(message)}{plus}}}\r\n".encode()
    if plus:
        return client.send(head + message + rest)
    said = client.send(head)
    return said if not said.startswith("+ ") else said + client.send(message + rest)


@pytest.mark.parametrize("plus", ["+", ""])
def test_append(pair: tuple[Client, Client], plus: str) -> None:
    one, two = pair
    said = put(one, r'INBOX (\Seen draft) "07-Feb-2026 22:09:01 +0100"', plus=plus)
    validity = two.say("SELECT INBOX").split("UIDVALIDITY ")[1].split("]")[0]
    asked = "" if plus else "+ go ahead\r\n"
    assert said == f"{asked}* 4 EXISTS\r\nT OK [APPENDUID {validity} 4] appended\r\n"
    told = two.say("FETCH 4 (FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")
    assert "FLAGS (\\Seen draft)" in told
    assert 'INTERNALDATE "07-Feb-2026 21:09:01 +0000"' in told.replace('" 7-', '"07-')
    assert MESSAGE.decode() in told
    assert f"RFC822.SIZE {len(MESSAGE)}" in told


@pytest.mark.parametrize("size", [1, 7, 1000, 100_000])
def test_however_the_octets_come(world: World, size: int) -> None:
    worker = world.worker()
    client = worker.session("SELECT INBOX")
    message = b"Subject: x\r\n\r\n" + b"".join(b"line %d\r\n" % n for n in range(300 if size < 100 else 50_000))
    octets = b"T APPEND INBOX {%d+}\r\n" % len(message) + message + b"\r\nU NOOP\r\n"
    said = "".join(client.send(octets[at : at + size]) for at in range(0, len(octets), size))
    assert said.count("APPENDUID") == 1
    assert said.endswith("U OK NOOP completed\r\n")
    row = worker.stores.repository.messages("t:1", 1)[0]
    assert (row.size, row.crlf) == (len(message) - message.count(b"\n"), len(message))
    spool = world.folder / "spool"
    assert not spool.exists() or not os.listdir(spool)


@pytest.mark.parametrize(
    ("arguments", "answered"),
    [
        ("Nowhere", "T NO [TRYCREATE] "),
        ("../INBOX", "T NO [CANNOT] "),
        (r"INBOX (\Seen", "T BAD "),
        (r"INBOX (\Recent)", "T BAD "),
        ('INBOX "31-Feb-2026 22:09:01 +0100"', "T BAD date-time expected"),
        ('INBOX "01-Foo-2026 22:09:01 +0100"', "T BAD date-time expected"),
        ("INBOX x", "T BAD "),
    ],
)
@pytest.mark.parametrize("plus", ["+", ""])
def test_refusals(world: World, arguments: str, answered: str, plus: str) -> None:
    client = world.worker().session()
    said = put(client, arguments, plus=plus)
    assert said.startswith(answered)
    assert said.count("\r\n") == 1
    assert client.say("NOOP") == "T OK NOOP completed\r\n"
    assert "* 0 EXISTS" in client.say("SELECT INBOX")


def test_octets_that_are_no_message(world: World) -> None:
    client = world.worker().session()
    assert put(client, "INBOX", b"").startswith("T NO [CANNOT] ")
    assert put(client, "INBOX", b"a\0b").startswith("T BAD NUL")
    assert put(client, "INBOX", rest=b" abc\r\n").startswith("T BAD literal expected")
    assert client.say("APPEND INBOX").startswith("T BAD ")
    assert client.say("APPEND INBOX x").startswith("T BAD ")
    assert client.send(b"T APPEND {5+}\r\nINBOX {3+}\r\nabc\r\n").startswith("T OK [APPENDUID ")
    assert "* 1 EXISTS" in client.say("SELECT INBOX")


def test_too_large_is_said_before_it_comes(world: World) -> None:
    world.imap = ImapSettings(max_append=100)
    client = world.worker().session()
    assert put(client, "INBOX", b"x" * 101, plus="").startswith("T NO [TOOBIG] ")
    assert put(client, "INBOX", b"x" * 101).startswith("T NO [TOOBIG] ")
    assert client.send(b"T APPEND INBOX {9999999999}\r\n").startswith("T NO [TOOBIG] ")
    assert put(client, "INBOX", b"x" * 100).startswith("T OK ")


def test_over_quota(tmp_path_factory: pytest.TempPathFactory) -> None:
    world = World(tmp_path_factory.mktemp("quota"), quota=100)
    client = world.worker().session("SELECT INBOX")
    assert put(client, "INBOX", b"x" * 300, plus="") == "T NO [OVERQUOTA] mailbox full\r\n"
    assert put(client, "INBOX", b"x" * 101) == "T NO [OVERQUOTA] mailbox full\r\n"
    assert put(client, "INBOX", b"x" * 99 + b"\r\n").startswith("* 1 EXISTS\r\nT OK ")
    world.close()


def test_the_spool_is_full(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    worker = world.worker()
    client = worker.session("SELECT INBOX")
    (world.folder / "spool").write_text("not a folder")
    assert put(client, "INBOX", b"x" * 600_000).startswith("T NO [UNAVAILABLE] ")
    assert put(client, "INBOX").startswith("* 1 EXISTS\r\nT OK ")


def test_a_connection_that_ends_leaves_nothing(world: World) -> None:
    client = world.worker().session()
    client.send(b"T APPEND INBOX {1000000}\r\n")
    for _ in range(10):
        client.send(b"x" * 65536)
    assert len(os.listdir(world.folder / "spool")) == 1
    client.executor.close()
    assert os.listdir(world.folder / "spool") == []


def test_dates() -> None:
    assert read_date_time(b"01-Jan-1970 00:00:10 +0000") == 10
    assert read_date_time(b" 1-jan-1970 02:00:10 +0200") == 10
    assert read_date_time(b"01-Jan-1969 00:00:10 +0000") == 0
    assert read_date_time(b"1-Jan-1970 00:00:10 +0000") is None
    assert read_date_time(b"01-Jan-1970 00:00:10 +9999") is None
    assert read_date_time(b"01-Jan-1970 24:00:10 +0000") is None


def test_the_limit_is_told(world: World) -> None:
    world.imap = ImapSettings(max_append=100)
    client = world.worker().session()
    assert " APPENDLIMIT=100 " in client.say("CAPABILITY")
    assert client.say("STATUS INBOX (APPENDLIMIT MESSAGES)").startswith('* STATUS "INBOX" (APPENDLIMIT 100 MESSAGES 0)')
    assert client.say("STATUS Nowhere (APPENDLIMIT)").startswith("T NO [NONEXISTENT]")
