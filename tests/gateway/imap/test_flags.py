"""STORE, SELECT and ENABLE: flags as two sessions, in one worker and in two, see them."""

from __future__ import annotations

import pytest
from two_sessions import Client, World

from gateway.imap.commands import store
from gateway.imap.settings import ImapSettings

pytest_plugins = ["session_fixtures"]


def test_a_second_session_sees_flags(pair: tuple[Client, Client]) -> None:
    one, two = pair
    said = one.say(r"STORE 2:3 +FLAGS (\Seen work)")
    assert said == (
        "* 2 FETCH (FLAGS (\\Seen work))\r\n* 3 FETCH (FLAGS (\\Seen work))\r\nT OK STORE completed\r\n"
    )  # fmt: skip
    assert two.say("NOOP") == (
        "* 2 FETCH (UID 2 FLAGS (\\Seen work))\r\n* 3 FETCH (UID 3 FLAGS (\\Seen work))\r\nT OK NOOP completed\r\n"
    )
    assert two.say("NOOP") == "T OK NOOP completed\r\n"
    assert one.say("NOOP") == "T OK NOOP completed\r\n"
    assert two.say(r"UID STORE 3 FLAGS.SILENT \Flagged") == "T OK UID STORE completed\r\n"
    assert one.say("NOOP") == "* 3 FETCH (UID 3 FLAGS (\\Flagged))\r\nT OK NOOP completed\r\n"
    assert one.say(r"UID STORE 3 -FLAGS (\Flagged)") == "* 3 FETCH (UID 3 FLAGS ())\r\nT OK UID STORE completed\r\n"


def test_what_another_did_is_told_even_when_the_own_change_is_silent(pair: tuple[Client, Client]) -> None:
    one, two = pair
    one.say(r"STORE 1 +FLAGS (\Seen)")
    said = two.say(r"STORE 1:2 +FLAGS.SILENT (\Flagged)")
    assert "* 1 FETCH (UID 1 FLAGS (\\Flagged \\Seen))\r\n" in said


@pytest.mark.parametrize(
    ("command", "answered"),
    [
        (r"STORE 4 +FLAGS (\Seen)", "T BAD there is no message of that number"),
        (r"STORE 0 +FLAGS (\Seen)", "T BAD 0 is no message number"),
        (r"STORE 1 +FLAGS (\Recent)", "T BAD this system flag cannot be set"),
        ("STORE 1 +FLAGS (" + "k" * 65 + ")", "T BAD a keyword has at most 64 octets"),
        (r"STORE 1 FLAG (\Seen)", "T BAD FLAGS, +FLAGS or -FLAGS expected"),
        (r"STORE 1 FLAGS (\Seen", "T BAD "),
        (r"UID STORE 99 FLAGS (\Seen)", "T OK "),
        ("STORE 1 +FLAGS (" + " ".join(f"k{n}" for n in range(101)) + ")", "T BAD too many flags"),
    ],
)
def test_refusals(world: World, command: str, answered: str) -> None:
    worker = world.worker()
    worker.deliver()
    client = worker.session("SELECT INBOX")
    assert client.say(command).startswith(answered)
    assert client.say("FETCH 1 FLAGS").startswith("* 1 FETCH (FLAGS ())\r\n")


def test_keywords_of_an_account_are_limited(world: World) -> None:
    world.imap = ImapSettings(max_keywords=3)
    worker = world.worker()
    worker.deliver()
    client = worker.session("SELECT INBOX", "CREATE Work", "STORE 1 +FLAGS (a b)", "COPY 1 Work", "SELECT Work")
    assert client.say("STORE 1 +FLAGS (c B)").startswith("* 1 FETCH (FLAGS (a b c))\r\nT OK ")
    assert client.say("STORE 1 +FLAGS (d)").startswith("T NO [LIMIT] ")
    assert client.say("STORE 1 FLAGS (C d)").startswith("T NO [LIMIT] ")
    assert client.send(b"T APPEND INBOX (d) {3+}\r\nabc\r\n").startswith("T NO [LIMIT] ")
    assert client.send(b"T APPEND INBOX (c) {3+}\r\nabc\r\n").startswith("T OK ")
    assert client.say("STORE 1 -FLAGS (d c)").startswith("* 1 FETCH (FLAGS (a b))\r\nT OK ")


def test_examine_changes_nothing(world: World) -> None:
    worker = world.worker()
    worker.deliver()
    client = worker.session("EXAMINE INBOX")
    assert client.say(r"STORE 1 +FLAGS (\Seen)") == "T NO the mailbox is read-only\r\n"


def test_select_tells_what_is_there(pair: tuple[Client, Client]) -> None:
    one, two = pair
    one.say(r"STORE 1 +FLAGS (\Seen work)")
    said = two.say("SELECT INBOX (CONDSTORE)")
    assert said.startswith("* OK [CLOSED]")
    assert "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft work)\r\n" in said
    assert "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft work \\*)]" in said
    assert "* 3 EXISTS\r\n" in said
    assert "* OK [UNSEEN 2]" in said
    assert "* OK [UIDNEXT 4]" in said
    assert "* OK [HIGHESTMODSEQ " in said
    assert said.endswith("T OK [READ-WRITE] selected\r\n")
    assert "[PERMANENTFLAGS ()]" in two.say("EXAMINE INBOX")
    assert two.say("SELECT INBOX (QRESYNC)").startswith("T BAD ")
    assert (
        two.say("SELECT Nowhere")
        == "* OK [CLOSED] the previous mailbox is closed\r\nT NO [NONEXISTENT] no such mailbox\r\n"
    )
    assert two.say("STORE 1 FLAGS ()").startswith("T BAD not allowed when authenticated")


def test_unchangedsince(pair: tuple[Client, Client]) -> None:
    one, two = pair
    modseq = int(one.say("SELECT INBOX").split("HIGHESTMODSEQ ")[1].split("]")[0])
    two.say(r"STORE 2 +FLAGS (\Flagged)")
    said = one.say(rf"STORE 1:3 (UNCHANGEDSINCE {modseq}) +FLAGS.SILENT (\Seen)")
    assert said.endswith("T OK [MODIFIED 2] some messages have changed\r\n")
    assert f"* 2 FETCH (UID 2 FLAGS (\\Flagged) MODSEQ ({modseq + 1}))\r\n" in said
    assert f"* 1 FETCH (MODSEQ ({modseq + 2}))\r\n* 3 FETCH (MODSEQ ({modseq + 2}))\r\n" in said
    assert "* 3 FETCH (UID 3 FLAGS (\\Seen))" in two.say("NOOP")
    assert "* 2 FETCH" not in two.say("NOOP")
    assert one.say(r"UID STORE 1 (UNCHANGEDSINCE 1) FLAGS (\Draft)").endswith(
        "[MODIFIED 1] some messages have changed\r\n"
    )


def test_enable(world: World) -> None:
    worker = world.worker()
    worker.deliver()
    client = worker.session()
    assert client.say("ENABLE X CONDSTORE") == "* ENABLED CONDSTORE\r\nT OK ENABLE completed\r\n"
    assert client.say("ENABLE CONDSTORE") == "* ENABLED\r\nT OK ENABLE completed\r\n"
    assert client.say("ENABLE").startswith("T BAD ")
    client.say("SELECT INBOX")
    assert " MODSEQ (" in client.say(r"STORE 1 +FLAGS (\Seen)")


def test_answers_go_out_in_parts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "LINES", 4)
    worker = world.worker()
    for _ in range(10):
        worker.deliver()
    client, other = worker.session("SELECT INBOX"), world.worker().session("SELECT INBOX")
    assert client.say("STORE 1:* FLAGS (new)").count(" FETCH (FLAGS (new))\r\n") == 10
    assert other.say("NOOP").count("FLAGS (new))\r\n") == 10


def test_condstore_says_modseq_where_it_was_asked_for(pair: tuple[Client, Client]) -> None:
    one, two = pair
    assert "CONDSTORE" in one.say("CAPABILITY").split()
    one.say("ENABLE CONDSTORE")
    two.say(r"STORE 2 +FLAGS (\Seen)")
    said = one.say("NOOP")
    modseq = int(said.split("MODSEQ (")[1].split(")")[0])
    assert said.startswith(f"* 2 FETCH (UID 2 FLAGS (\\Seen) MODSEQ ({modseq}))\r\n")
    assert f"HIGHESTMODSEQ {modseq}" in one.say("STATUS INBOX (HIGHESTMODSEQ)")
    assert one.say(f"FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq})") == "T OK FETCH completed\r\n"
    assert "* 2 FETCH" in one.say(f"FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq - 1})")
    assert "MODSEQ" not in two.say(r"STORE 2 -FLAGS (\Seen)")
    assert one.say("STORE 1 (UNCHANGEDSINCE x) FLAGS ()").endswith("T BAD modification sequence expected\r\n")
