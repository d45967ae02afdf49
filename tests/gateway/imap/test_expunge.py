"""Expunging, copying and moving, as the session that does it and another one see it."""

from __future__ import annotations

import pytest
from two_sessions import Client, World

pytest_plugins = ["session_fixtures"]


def test_expunge_and_numbers_of_two_sessions(pair: tuple[Client, Client]) -> None:
    one, two = pair
    one.say(r"STORE 1,3 +FLAGS.SILENT (\Deleted)")
    assert one.say("EXPUNGE") == "* 3 EXPUNGE\r\n* 1 EXPUNGE\r\nT OK EXPUNGE completed\r\n"
    assert one.say("FETCH 1 UID").startswith("* 1 FETCH (UID 2)\r\n")
    # the other one keeps its numbers while it uses them
    said = two.say("STORE 3 +FLAGS (x)")
    assert "EXPUNGE\r\n" not in said
    assert said.endswith("T OK [EXPUNGEISSUED] some messages are expunged\r\n")
    assert two.say("FETCH 2 UID").startswith("* 2 FETCH (UID 2)\r\n")
    assert two.say("NOOP") == "* 3 EXPUNGE\r\n* 1 EXPUNGE\r\nT OK NOOP completed\r\n"
    assert two.say("FETCH 1:* UID") == "* 1 FETCH (UID 2)\r\nT OK FETCH completed\r\n"
    assert two.say("FETCH 2 UID").startswith("T BAD ")


def test_uid_expunge_takes_only_what_is_named_and_deleted(pair: tuple[Client, Client]) -> None:
    one, two = pair
    one.say(r"STORE 1:2 +FLAGS (\Deleted)")
    assert one.say("UID EXPUNGE 2:9") == "* 2 EXPUNGE\r\nT OK UID EXPUNGE completed\r\n"
    assert "* 2 EXPUNGE\r\n" in two.say("CHECK")
    assert one.say("UID EXPUNGE 3").startswith("T OK")
    assert one.say("UID EXPUNGE").startswith("T BAD ")


def test_close_expunges_silently_unselect_and_examine_do_not(pair: tuple[Client, Client]) -> None:
    one, two = pair
    one.say(r"STORE 1 +FLAGS (\Deleted)")
    one.say("UNSELECT")
    assert "EXPUNGE" not in two.say("NOOP")
    assert "read-only" in two.say("EXAMINE INBOX") + two.say("EXPUNGE")
    assert two.say("CLOSE") == "T OK CLOSE completed\r\n"
    assert "* 3 EXISTS" in two.say("SELECT INBOX")
    one.say("SELECT INBOX")
    assert one.say("CLOSE") == "T OK CLOSE completed\r\n"
    assert two.say("NOOP") == "* 1 EXPUNGE\r\nT OK NOOP completed\r\n"


def test_copy(pair: tuple[Client, Client]) -> None:
    one, two = pair
    assert one.say("COPY 1 Work") == "T NO [TRYCREATE] no such mailbox\r\n"
    one.say("CREATE Work")
    one.say(r"STORE 1 +FLAGS (\Flagged work)")
    assert "* 0 EXISTS" in two.say("SELECT Work")
    said = one.say("COPY 1,3 Work")
    validity = two.say("SELECT Work").split("UIDVALIDITY ")[1].split("]")[0]
    assert said == f"T OK [COPYUID {validity} 1,3 1:2] copied\r\n"
    assert two.say("FETCH 1:* (UID FLAGS)").startswith(
        "* 1 FETCH (UID 1 FLAGS (\\Flagged work))\r\n* 2 FETCH (UID 2 FLAGS ())\r\n"
    )
    assert "* 3 EXISTS" in one.say("SELECT INBOX")
    assert one.say("UID COPY 77 Work") == "T OK UID COPY completed\r\n"
    assert one.say("COPY 4 Work").startswith("T BAD ")
    assert one.say("COPY 1 ../Work").startswith("T NO [CANNOT] ")
    assert one.say("COPY 1 INBOX").startswith("* 4 EXISTS\r\nT OK [COPYUID ")


def test_move(pair: tuple[Client, Client]) -> None:
    one, two = pair
    assert one.say("MOVE 1 Work") == "T NO [TRYCREATE] no such mailbox\r\n"
    one.say("CREATE Work")
    said = one.say("MOVE 1:2 Work")
    assert said.startswith("* OK [COPYUID ")
    assert said.endswith(" 1:2 1:2] moved\r\n* 2 EXPUNGE\r\n* 1 EXPUNGE\r\nT OK MOVE completed\r\n")
    assert two.say("NOOP") == "* 2 EXPUNGE\r\n* 1 EXPUNGE\r\nT OK NOOP completed\r\n"
    assert "* 2 EXISTS" in two.say("SELECT Work")
    assert "BODY[TEXT]" in two.say("FETCH 2 BODY[TEXT]")
    assert "* 1 EXPUNGE" in one.say("UID MOVE 3 Work")
    assert "* 3 EXISTS" in two.say("NOOP")
    one.say("EXAMINE Work")
    assert one.say("MOVE 1 INBOX") == "T NO the mailbox is read-only\r\n"


def test_what_is_gone_cannot_be_copied(pair: tuple[Client, Client]) -> None:
    one, two = pair
    one.say("CREATE Work")
    two.say(r"STORE 1 +FLAGS (\Deleted)")
    two.say("EXPUNGE")
    assert one.say("COPY 1 Work").endswith("T NO [EXPUNGEISSUED] these messages are expunged\r\n")


@pytest.mark.parametrize("mode", ["COPY", "MOVE"])
def test_quota(tmp_path_factory: pytest.TempPathFactory, mode: str) -> None:
    world = World(tmp_path_factory.mktemp("quota"), quota=30)
    worker = world.worker()
    worker.deliver()
    client = worker.session("SELECT INBOX", "CREATE Work")
    said = client.say(f"{mode} 1 Work")
    assert said.startswith("* OK [COPYUID " if mode == "MOVE" else "T NO [OVERQUOTA] ")
    world.close()
