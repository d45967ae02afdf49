"""REPLACE (RFC 8508): the new message comes, then the old one goes; where the new one is refused nothing goes."""

from __future__ import annotations

import re

import pytest
from two_sessions import Client, World

pytest_plugins = ["session_fixtures"]

DRAFT = b"Subject: draft\r\n\r\nsecond version\r\n"


def put(client: Client, head: str, message: bytes = DRAFT) -> str:
    return client.send(f"T {head} {{{len(message)}+}}\r\n".encode() + message + b"\r\n")


def test_another_takes_its_place(pair: tuple[Client, Client]) -> None:
    one, two = pair
    said = put(one, r"REPLACE 2 INBOX (\Draft)")
    assert re.fullmatch(
        r"\* OK \[APPENDUID \d+ 4\] the replacement\r\n\* 2 EXPUNGE\r\n\* 3 EXISTS\r\nT OK REPLACE completed\r\n", said
    )
    two.say("NOOP")
    assert "* SEARCH 1 3 4\r\n" in two.say("UID SEARCH ALL")
    assert "* SEARCH 4\r\n" in two.say("UID SEARCH DRAFT SUBJECT draft")


def test_into_another_mailbox(pair: tuple[Client, Client]) -> None:
    one, two = pair
    one.say("ENABLE QRESYNC")
    said = put(one, r"UID REPLACE 3 Sent (\Seen)")
    assert "* VANISHED 3\r\nT OK [HIGHESTMODSEQ " in said
    assert "* 1 EXISTS" in two.say("SELECT Sent")
    assert "* 2 EXISTS" in two.say("SELECT INBOX")


def test_put_together_from_the_old_one(pair: tuple[Client, Client]) -> None:
    one, two = pair
    said = one.send(b"T UID REPLACE 1 INBOX CATENATE (TEXT {6+}\r\nA: b\r\n URL /INBOX/;UID=1)\r\n")
    assert "* 1 EXPUNGE" in said
    two.say("NOOP")
    assert "A: b\r\nSubject: x\r\n" in two.say("UID FETCH 4 BODY.PEEK[]")


REFUSED = (
    ("REPLACE 4 INBOX", DRAFT, "T BAD there is no message of that number"),
    ("REPLACE 0 INBOX", DRAFT, "T NO [NONEXISTENT]"),
    ("UID REPLACE 9 INBOX", DRAFT, "T NO [NONEXISTENT]"),
    ("UID REPLACE 1:2 INBOX", DRAFT, "T BAD "),
    ("REPLACE 1 Nowhere", DRAFT, "T NO [TRYCREATE]"),
    ("REPLACE 1 INBOX", b"a\0", "T BAD NUL"),
    ("REPLACE 1 INBOX", b"", "T NO [CANNOT]"),
    ("REPLACE 1 INBOX {1+}\r\na", DRAFT, "T BAD one message"),
)


def test_refusals(pair: tuple[Client, Client]) -> None:
    one, two = pair
    for head, message, answered in REFUSED:
        said = put(one, head, message)
        assert said.startswith(answered), (head, said)
        assert said.count("\r\n") == 1
    assert one.say("NOOP") == "T OK NOOP completed\r\n"
    assert "* 3 EXISTS" in two.say("SELECT INBOX")
    one.say("EXAMINE INBOX")
    assert put(one, "REPLACE 1 INBOX").startswith("T NO the mailbox is read-only")


def test_one_that_somebody_else_expunged(pair: tuple[Client, Client]) -> None:
    one, two = pair
    assert one.send(b"T UID REPLACE 2 INBOX {1}\r\n") == "+ go ahead\r\n"
    two.say("STORE 2 +FLAGS (\\Deleted)")
    two.say("EXPUNGE")
    assert "T NO [EXPUNGEISSUED]" in one.send(b"a\r\n")
    assert "* 2 EXISTS" in two.say("SELECT INBOX")


def test_a_full_store_has_room_for_what_it_loses(tmp_path_factory: pytest.TempPathFactory) -> None:
    world = World(tmp_path_factory.mktemp("quota"), quota=100)
    client = world.worker().session("SELECT INBOX")
    put(client, "APPEND INBOX", b"x" * 90)
    assert put(client, "APPEND INBOX", b"y" * 50).startswith("T NO [OVERQUOTA]")
    assert "* 1 EXPUNGE" in put(client, "REPLACE 1 INBOX", b"y" * 95)
    assert put(client, "REPLACE 1 INBOX", b"y" * 400).startswith("T NO [OVERQUOTA]")
    assert "* 1 EXISTS" in client.say("SELECT INBOX")
    world.close()
