"""EMAILID and MAILBOXID stay what they are, wherever message and mailbox go (RFC 8474)."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from two_sessions import Client, World

from gateway.store.objectid import email_id_in
from gateway.store.sqlite import SqliteRepository

pytest_plugins = ["session_fixtures"]

_EMAILID = re.compile(r"EMAILID \((m[a-z2-7]{24})\)")
_MAILBOXID = re.compile(r"MAILBOXID \((f[a-z2-7]{24})\)")


def emails(client: Client, mailbox: str = "INBOX") -> list[str]:
    client.say(f"EXAMINE {mailbox}")
    return _EMAILID.findall(client.say("FETCH 1:* (EMAILID)"))


def mailbox_id(client: Client, mailbox: str) -> str:
    (found,) = _MAILBOXID.findall(client.say(f"STATUS {mailbox} (MAILBOXID)"))
    return str(found)


def test_an_emailid_follows_copies_and_moves(pair: tuple[Client, Client]) -> None:
    one, two = pair
    first, second, third = emails(two)
    assert len({first, second, third}) == 3
    one.say("CREATE Work")
    one.say("UID COPY 1:2 Work")
    one.say("SELECT Work")
    one.say("UID MOVE 1 Trash")
    assert emails(two, "Trash") == [first]
    assert emails(two, "Work") == [second]
    one.say("UID COPY 2 INBOX")
    assert emails(two) == [first, second, third, second]
    said = two.say("FETCH 2 (UID THREADID EMAILID FLAGS)")
    assert said.startswith(f"* 2 FETCH (UID 2 FLAGS () THREADID NIL EMAILID ({second}))\r\n")
    assert two.say(f"UID SEARCH EMAILID {second}") == "* SEARCH 2 4\r\nT OK UID SEARCH completed\r\n"
    assert two.say(f"SEARCH NOT EMAILID {second} SUBJECT x") == "* SEARCH 1 3\r\nT OK SEARCH completed\r\n"
    assert two.say(f"SEARCH OR EMAILID {first} BODY nowhere") == "* SEARCH 1\r\nT OK SEARCH completed\r\n"
    assert two.say("SEARCH THREADID t1") == "* SEARCH\r\nT OK SEARCH completed\r\n"
    assert two.say("SEARCH EMAILID").startswith("T BAD ")
    assert two.say('SEARCH EMAILID "x"').startswith("T BAD ")


def test_messages_that_vanish_meanwhile(pair: tuple[Client, Client]) -> None:
    one, two = pair
    one.executor.host.stores.repository.expunge("t:1", 1, [2])  # type: ignore[attr-defined]
    said = two.say("FETCH 1:3 (EMAILID)")
    assert len(_EMAILID.findall(said)) == 2
    assert "T NO [EXPUNGEISSUED]" in said


def test_a_lost_index_changes_nothing(world: World, tmp_path: Path) -> None:
    worker = world.worker()
    for _ in range(2):
        worker.deliver()
    client = worker.session("CREATE Work", "SELECT INBOX", "UID COPY 1 Work", "UID MOVE 2 Work")
    before = emails(client, "Work"), mailbox_id(client, "Work"), mailbox_id(client, "INBOX")
    copies = Path(worker.stores.open(world.account).path, ".Work/cur").iterdir()
    assert all(email_id_in(path.name.partition(":")[0]) for path in copies)
    world.close()
    shutil.rmtree(tmp_path / "index")
    world.workers.clear()
    again = world.worker().session()
    assert isinstance(again.executor.host.stores.repository, SqliteRepository)
    assert (emails(again, "Work"), mailbox_id(again, "Work"), mailbox_id(again, "INBOX")) == before


def test_another_program_moves_the_file(world: World) -> None:
    worker = world.worker()
    worker.deliver()
    client = worker.session("CREATE Work", "CREATE Play", "SELECT INBOX", "UID COPY 1 Work")
    before = emails(client, "Work")
    maildir = Path(worker.stores.open(world.account).path)
    (copied,) = (maildir / ".Work" / "cur").iterdir()
    copied.rename(maildir / ".Play" / "new" / copied.name.partition(":")[0])
    assert emails(client, "Play") == before


def test_a_mailboxid_belongs_to_the_mailbox_and_not_to_its_name(pair: tuple[Client, Client]) -> None:
    one, two = pair
    (made,) = _MAILBOXID.findall(one.say("CREATE Work"))
    assert f"* OK [MAILBOXID ({made})]" in two.say("SELECT Work")
    one.say("RENAME Work Play")
    assert mailbox_id(two, "Play") == made
    (other,) = _MAILBOXID.findall(one.say("CREATE Work"))
    one.say("DELETE Work")
    (third,) = _MAILBOXID.findall(one.say("CREATE Work"))
    inbox = mailbox_id(two, "INBOX")
    assert len({made, other, third, inbox}) == 4
    said = two.say('LIST "" (Play Work) RETURN (STATUS (MAILBOXID))')
    assert _MAILBOXID.findall(said) == [made, third]
    one.say("RENAME INBOX Old")
    assert mailbox_id(two, "INBOX") == inbox
    assert mailbox_id(two, "Old") not in {made, third, inbox}


def test_what_is_refused(world: World) -> None:
    client = world.worker().session("SELECT INBOX")
    for wrong in ("FETCH 1 (EMAILID())", "STATUS INBOX (MAILBOXID MAILBOXID)", "STATUS INBOX (EMAILID)"):
        assert client.say(wrong).startswith("T BAD "), wrong
    assert client.say("CREATE INBOX").startswith("T NO [ALREADYEXISTS]")


@pytest.mark.parametrize("name", ["1.a.host,S=1,W=2,U=3", "1,E=short", "1,E=M" + "a" * 24, "1,E=m" + "a" * 25])
def test_names_without_one(name: str) -> None:
    assert not email_id_in(name)
