"""Mailboxes made, renamed, removed and subscribed to: what a second session sees, and what is refused."""

from __future__ import annotations

import os

import pytest
from two_sessions import Client, World

pytest_plugins = ["session_fixtures"]


def names(client: Client, command: str = 'LIST "" *') -> list[str]:
    return [line.split(' "/" ')[1].strip('"') for line in client.say(command).splitlines() if line.startswith("* L")]


DEFAULT = ["INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"]


def test_a_second_session_sees_what_is_arranged(pair: tuple[Client, Client]) -> None:
    one, two = pair
    assert names(two) == DEFAULT
    assert one.say("CREATE Work/2026/").startswith("T OK ")
    assert names(two) == [*DEFAULT, "Work", "Work/2026"]
    assert one.say("RENAME Work Play").startswith("T OK ")
    assert sorted(names(two)) == sorted([*DEFAULT, "Play", "Play/2026"])
    assert one.say("DELETE Play/2026").startswith("T OK ")
    assert sorted(names(two)) == sorted([*DEFAULT, "Play"])
    assert one.say("CREATE &ZeVnLIqe-").startswith("T OK ")
    assert "&ZeVnLIqe-" in names(two)


@pytest.mark.parametrize(
    ("command", "answered"),
    [
        ("CREATE INBOX", "T NO [ALREADYEXISTS] "),
        ("CREATE inbox", "T NO [ALREADYEXISTS] "),
        ("CREATE Sent", "T NO [ALREADYEXISTS] "),
        ("CREATE ../x", "T NO [CANNOT] "),
        ("CREATE a/../b", "T NO [CANNOT] "),
        ("CREATE a//b", "T NO [CANNOT] "),
        ("CREATE /a", "T NO [CANNOT] "),
        ("CREATE &AGE-", "T NO [CANNOT] "),
        ("CREATE &AC8-etc", "T NO [CANNOT] "),
        ("CREATE &AAA-", "T NO [CANNOT] "),
        ("CREATE &2AA-", "T NO [CANNOT] "),
        ("CREATE &", "T NO [CANNOT] "),
        ('CREATE ""', "T NO [CANNOT] "),
        ('CREATE "a%b"', "T NO [CANNOT] "),
        ("CREATE " + "x" * 300, "T NO [CANNOT] "),
        ("CREATE " + "a/" * 300 + "b", "T NO [CANNOT] "),
        ("CREATE Shared/x", "T NO [NOPERM] "),
        ("CREATE", "T BAD "),
        ("CREATE x y", "T BAD "),
        ("DELETE INBOX", "T NO [CANNOT] "),
        ("DELETE Gone", "T NO [NONEXISTENT] "),
        ("DELETE ../INBOX", "T NO [CANNOT] "),
        ("RENAME Gone x", "T NO [NONEXISTENT] "),
        ("RENAME Sent INBOX", "T NO [ALREADYEXISTS] "),
        ("RENAME Sent Sent/x", "T NO [CANNOT] "),
        ("RENAME Sent ../x", "T NO [CANNOT] "),
        ("RENAME Sent", "T BAD "),
        ("SUBSCRIBE ../x", "T NO [CANNOT] "),
        ("UNSUBSCRIBE", "T BAD "),
    ],
)
def test_refusals_lose_nothing(world: World, command: str, answered: str) -> None:
    worker = world.worker()
    worker.deliver()
    client = worker.session()
    before = sorted(os.listdir(world.folder))
    assert client.say(command).startswith(answered)
    assert names(client) == DEFAULT
    assert sorted(os.listdir(world.folder)) == before
    assert "* 1 EXISTS" in client.say("SELECT INBOX")


def test_octets_that_are_no_name(world: World) -> None:
    client = world.worker().session()
    assert client.send(b"T CREATE {3+}\r\na\0b\r\n").startswith("T NO [CANNOT] ")
    assert client.send(b"T CREATE {3+}\r\na\r\n\r\n").startswith("T NO [CANNOT] ")
    assert client.send(b'T CREATE "a\xffb"\r\n').startswith(("T NO [CANNOT] ", "T BAD "))
    assert client.send(b'T CREATE "a\0b"\r\n').startswith("T BAD ")
    assert names(client) == DEFAULT


def test_special_use(world: World) -> None:
    client = world.worker().session()
    client.say("DELETE Archive")
    assert client.say(r"CREATE Old (USE (\Archive))").startswith("T OK ")
    assert client.say(r"CREATE Older (USE (\Archive))").startswith("T NO [USEATTR] ")
    assert client.say(r"CREATE All (USE (\All))").startswith("T NO [USEATTR] ")
    assert client.say(r"CREATE Two (USE (\Sent \Junk))").startswith("T NO [USEATTR] ")
    assert client.say(r"CREATE Two (USE \Sent)").startswith("T BAD ")
    rows = client.executor.host.stores.mailboxes(world.account)
    assert [row.name for row in rows if row.special_use == "\\Archive"] == ["Old"]
    assert sorted(names(client)) == sorted([*DEFAULT[2:], "INBOX", "Old"])


def test_inbox_gives_its_messages_when_renamed(pair: tuple[Client, Client]) -> None:
    one, two = pair
    assert one.say("RENAME INBOX Old").startswith("* 3 EXPUNGE\r\n* 2 EXPUNGE\r\n* 1 EXPUNGE\r\nT OK ")
    assert "* 3 EXISTS" in two.say("SELECT Old")
    assert "* 0 EXISTS" in two.say("SELECT INBOX")


def test_the_selected_mailbox_is_renamed_by_another(pair: tuple[Client, Client]) -> None:
    one, two = pair
    one.say("CREATE Work")
    one.say("COPY 1 Work")
    two.say("SELECT Work")
    one.say("RENAME Work Play")
    assert two.say(r"STORE 1 +FLAGS (\Deleted)").endswith("T OK STORE completed\r\n")
    assert two.say("COPY 1 INBOX").startswith("T OK [COPYUID ")
    assert "* 1 EXPUNGE" in two.say("EXPUNGE")
    assert "* 4 EXISTS" in one.say("NOOP")


def test_the_selected_mailbox_is_deleted(pair: tuple[Client, Client]) -> None:
    one, two = pair
    one.say("CREATE Work")
    one.say("SELECT Work")
    two.say("SELECT Work")
    assert one.say("DELETE Work") == "* OK [CLOSED] the mailbox is deleted\r\nT OK DELETE completed\r\n"
    assert one.say("CHECK").startswith("T BAD ")
    assert two.say("NOOP").startswith("* BYE the selected mailbox is gone\r\n")
    assert two.core.closing


def test_subscriptions(pair: tuple[Client, Client]) -> None:
    one, two = pair
    stores = two.executor.host.stores
    account = one.executor.holder()
    assert one.say("SUBSCRIBE Nowhere").startswith("T OK ")
    assert "Nowhere" in stores.subscriptions(account)
    assert one.say("UNSUBSCRIBE Nowhere").startswith("T OK ")
    assert one.say("UNSUBSCRIBE Nowhere").startswith("T OK ")
    assert "Nowhere" not in stores.subscriptions(account)
