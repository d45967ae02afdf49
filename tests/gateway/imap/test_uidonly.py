"""No message numbers (UIDONLY, RFC 9586): neither said nor taken."""

from __future__ import annotations

import re

import pytest
from two_sessions import Client

from gateway.imap.registry import COMMANDS

pytest_plugins = ["session_fixtures"]

_REQUIRED = "T BAD [UIDREQUIRED] "


@pytest.fixture
def only(pair: tuple[Client, Client]) -> tuple[Client, Client]:
    one, two = pair
    two.say("STORE 1 +FLAGS (\\Deleted)")
    two.say("EXPUNGE")
    one.say("NOOP")
    assert one.say("ENABLE UIDONLY") == "* ENABLED UIDONLY\r\nT OK ENABLE completed\r\n"
    return pair


def test_what_is_said(only: tuple[Client, Client]) -> None:
    one, two = only
    assert one.say("UID FETCH 1:* FLAGS") == (
        "* 2 UIDFETCH (FLAGS ())\r\n* 3 UIDFETCH (FLAGS ())\r\nT OK UID FETCH completed\r\n"
    )
    assert one.say("UID FETCH 3 (UID EMAILID BODY[TEXT])").startswith("* 3 UIDFETCH (UID 3 FLAGS (\\Seen) EMAILID (")
    assert one.say("UID FETCH 2 BODY.PEEK[TEXT]").startswith("* 2 UIDFETCH (BODY[TEXT] {6}\r\n")
    assert one.say("UID STORE 2 +FLAGS (work)").startswith("* 2 UIDFETCH (FLAGS (work))\r\n")
    assert two.say("NOOP").startswith("* 1 FETCH (UID 2 FLAGS (work))\r\n* 2 FETCH (UID 3 FLAGS (\\Seen))\r\n")
    two.say("STORE 2 FLAGS (\\Deleted)")
    assert one.say("NOOP").startswith("* 3 UIDFETCH (FLAGS (\\Deleted))\r\n")
    two.say("EXPUNGE")
    assert one.say("NOOP") == "* VANISHED 3\r\nT OK NOOP completed\r\n"
    assert one.say("UID MOVE 2 Trash").endswith("* VANISHED 2\r\nT OK UID MOVE completed\r\n")
    assert "* VANISHED" not in two.say("NOOP")


def test_what_is_told_to_one_who_comes_back(only: tuple[Client, Client]) -> None:
    one, two = only
    one.say("ENABLE QRESYNC")
    said = one.say("SELECT INBOX")
    assert "UNSEEN" not in said
    validity, modseq = (re.search(rf"{name} (\d+)", said)[1] for name in ("UIDVALIDITY", "HIGHESTMODSEQ"))  # type: ignore[index]
    two.say("STORE 1 +FLAGS (work)")
    said = one.say(f"SELECT INBOX (QRESYNC ({validity} {modseq} 1:9))")
    assert re.search(r"\* 2 UIDFETCH \(FLAGS \(work\) MODSEQ \(\d+\)\)\r\n", said)
    assert " FETCH " not in said
    assert one.say(f"SELECT INBOX (QRESYNC ({validity} {modseq} 1:9 (1 1)))").startswith(_REQUIRED)


def test_what_is_not_taken(only: tuple[Client, Client]) -> None:
    one, two = only
    for said in (
        "FETCH 1 FLAGS", "STORE 1 FLAGS ()", "COPY 1 Trash", "MOVE 1 Trash", "SEARCH ALL", "SORT (DATE) UTF-8 ALL",
        "THREAD REFS UTF-8 ALL", "REPLACE 1 INBOX {1+}\r\na", "UID SEARCH 1", "UID SEARCH NOT (SEEN OR 1:* SEEN)",
    ):  # fmt: skip
        assert one.say(said).startswith(_REQUIRED), said
        one.core.errors = 0
    assert one.say("UID SEARCH RETURN (SAVE) UID 2").startswith("T OK")
    assert one.say("UID SEARCH $").startswith("* SEARCH 2\r\n")
    assert "* 2 EXISTS" in two.say("SELECT INBOX")
    plain = {name for name in COMMANDS if b"UID " + name in COMMANDS and name != b"EXPUNGE"}
    assert plain == {name for name, facts in COMMANDS.items() if facts.takes_numbers}
