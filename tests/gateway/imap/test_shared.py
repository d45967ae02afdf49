"""Shared mailboxes and other people's: who sees and changes what, and that a right taken away ends at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from imap_bench import Bench, entry

from directory.model import MailboxHolder
from directory.view import View

INFO = {"gatepostAddress": "info@example.com", "gatepostQuota": "2048000"}
TEAM = entry("team", "groupOfNames", member="uid=jane,dc=example")
OUTER = entry("outer", "groupOfNames", member="uid=team,dc=example")


def info(**attributes: str | list[str]) -> object:
    return entry("info", "gatepostSharedMailbox", **{**INFO, **attributes})


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    for raw in (
        TEAM,
        OUTER,
        info(gatepostFullAccess="uid=outer,dc=example", gatepostReadAccess="uid=ann,dc=example"),
        entry("bob", "gatepostAccount", gatepostAddress="bob@example.com", gatepostReadAccess="uid=jane,dc=example"),
        entry("closed", "gatepostSharedMailbox", gatepostAddress="closed@example.com", gatepostStatus="closed",
              gatepostFullAccess="uid=jane,dc=example"),
        entry("away", "gatepostSharedMailbox", gatepostAddress="away@example.com", gatepostMailHost="other.example",
              gatepostFullAccess="uid=jane,dc=example"),
        entry("old", "gatepostSharedMailbox", gatepostAddress="old@example.com", gatepostExpires="20200101000000Z",
              gatepostFullAccess="uid=jane,dc=example"),
        entry("secret", "gatepostSharedMailbox", gatepostAddress="secret@example.com"),
    ):  # fmt: skip
        made.source.put(raw)  # type: ignore[arg-type]
    directory = made.host.directory
    assert isinstance(directory, View)
    for name in ("info", "bob"):
        holder = directory.by_id(f"t:{name}")
        assert isinstance(holder, MailboxHolder)
        made.stores.append(holder, "INBOX", [b"Subject: for %b\n\nhello\n" % name.encode()])
    yield made
    made.close()


def test_what_is_shared_is_listed_for_those_it_is_shared_with(bench: Bench) -> None:
    jane, ann = bench.client(), bench.client(login=b"ann")
    listed = jane.say(b'LIST "" "*@*"')
    assert b'* LIST (\\HasChildren) "/" "Shared/info@example.com"\r\n' in listed
    assert b'* LIST (\\HasNoChildren) "/" "Shared/info@example.com/Sent"\r\n' in listed
    assert b'* LIST (\\HasChildren) "/" "Other Users/bob@example.com"\r\n' in listed
    for hidden in (b"closed", b"away", b"old", b"secret"):
        assert hidden not in listed
    assert b'* LIST (\\Noselect \\HasChildren) "/" "Shared"\r\n' in jane.say(b'LIST "" %')
    listed = ann.say(b"LIST Shared/ %")
    assert listed.splitlines()[:-1] == [b'* LIST (\\HasChildren) "/" "Shared/info@example.com"']
    assert ann.say(b'LIST "Other Users/" *') == b"a OK LIST completed\r\n"


def test_a_shared_mailbox_is_worked_on_together(bench: Bench) -> None:
    first = bench.client(b"SELECT Shared/info@example.com")
    second = bench.client(b"SELECT Shared/info@example.com")
    assert b"Subject: for info" in first.say(b"FETCH 1 BODY[HEADER]")
    assert b"* 1 FETCH (UID 1 FLAGS (\\Seen))" in second.say(b"NOOP")
    assert first.say(b"SEARCH BODY hello").startswith(b"* SEARCH 1\r\n")
    assert first.say(b"COPY 1 INBOX").startswith(b"a OK [COPYUID ")
    assert first.say(b"COPY 1 Shared/info@example.com/Drafts").startswith(b"a OK [COPYUID ")
    assert first.say(b"CREATE Shared/info@example.com/Cases/2026").startswith(b"a OK ")
    assert first.say(b"RENAME Shared/info@example.com/Cases Shared/info@example.com/Done").startswith(b"a OK ")
    assert first.say(b"APPEND Shared/info@example.com {9+}\r\nX: y\r\n\r\nz").endswith(b"appended\r\n")
    assert b"* 2 EXISTS" in second.say(b"NOOP")
    assert b"* OK [COPYUID " in first.say(b"UID MOVE 1 Shared/info@example.com/Done/2026")
    assert b"* 1 EXPUNGE" in second.say(b"NOOP")
    own = bench.client(b"SELECT INBOX")
    assert b"Subject: for info" in own.say(b"FETCH 1 BODY.PEEK[HEADER]")
    assert own.say(b"MOVE 1 Shared/info@example.com").startswith(b"* OK [COPYUID ")
    assert b"* 2 EXISTS" in second.say(b"NOOP")
    assert first.say(b"STATUS Shared/info@example.com/Done/2026 (MESSAGES)").startswith(
        b'* STATUS "Shared/info@example.com/Done/2026" (MESSAGES 1)'
    )
    assert first.say(b"GETQUOTAROOT Shared/info@example.com/Sent").startswith(
        b'* QUOTAROOT "Shared/info@example.com/Sent" "Shared/info@example.com"\r\n'
        b'* QUOTA "Shared/info@example.com" (STORAGE 1 2000)\r\n'
    )
    assert first.say(b"GETQUOTA Shared/info@example.com").startswith(
        b'* QUOTA "Shared/info@example.com" (STORAGE 1 2000)'
    )


def test_who_may_only_read_changes_nothing(bench: Bench) -> None:
    ann = bench.client(login=b"ann")
    assert b"[PERMANENTFLAGS (\\Seen)]" in ann.say(b"SELECT Shared/info@example.com")  # which is ann's own
    assert b"hello" in ann.say(b"FETCH 1 BODY[TEXT]")
    assert b"FLAGS (\\Seen)" in ann.say(b"FETCH 1 FLAGS")
    for refused in (
        b"STORE 1 +FLAGS (\\Deleted)", b"EXPUNGE", b"MOVE 1 INBOX", b"COPY 1 Shared/info@example.com/Sent",
        b"CREATE Shared/info@example.com/x", b"DELETE Shared/info@example.com/Sent",
        b"RENAME Shared/info@example.com/Sent Shared/info@example.com/x", b"APPEND Shared/info@example.com {3+}\r\nx: ",
    ):  # fmt: skip
        assert ann.say(refused).startswith(b"a NO "), refused
        ann.session.errors = 0
    assert ann.say(b"COPY 1 INBOX").startswith(b"a OK [COPYUID ")


@pytest.mark.parametrize(
    "said",
    [
        b"SELECT Shared/secret@example.com", b"SELECT Shared/closed@example.com", b"SELECT Shared/away@example.com", b"SELECT Shared/old@example.com",
        b"SELECT Shared", b"SELECT Shared/nobody@example.com", b"SELECT Shared/jane@example.com",
        b'SELECT "Other Users/info@example.com"', b'SELECT "Other Users/ann@example.com"', b"SELECT Shared/x",
        b"STATUS Shared/secret@example.com (MESSAGES)", b"GETQUOTAROOT Shared/secret@example.com",
        b"GETQUOTA Shared/secret@example.com", b"GETQUOTA Shared/info@example.com/Sent", b"CREATE Shared/new",
        b"DELETE Shared/info@example.com", b"RENAME Sent Shared/info@example.com/Mine",
        b"APPEND Shared/secret@example.com {3+}\r\nx: ",
    ],
)  # fmt: skip
def test_what_is_not_shared_is_not_there(bench: Bench, said: bytes) -> None:
    assert bench.client().say(said).startswith(b"a NO ")


def test_a_right_that_is_taken_away_ends_at_once(bench: Bench) -> None:
    jane = bench.client(b"SELECT Shared/info@example.com")
    assert b"OK" in jane.say(b"FETCH 1 BODY.PEEK[]")
    bench.source.put(info(gatepostReadAccess="uid=ann,dc=example"))  # type: ignore[arg-type]
    for said in (b"FETCH 1 BODY.PEEK[]", b"STORE 1 +FLAGS (\\Flagged)", b"EXPUNGE"):
        assert jane.say(said).startswith(b"a NO [AUTHORIZATIONFAILED] ")
    assert jane.say(b"NOOP").startswith(b"* BYE ")


def test_subscriptions_to_shared_mailboxes_are_ones_own(bench: Bench) -> None:
    jane, ann = bench.client(), bench.client(login=b"ann")
    assert jane.say(b"SUBSCRIBE Shared/info@example.com/Sent").startswith(b"a OK ")
    assert b'"Shared/info@example.com/Sent"' in jane.say(b'LSUB "" *')
    assert b'"Shared/info@example.com/Sent"' not in ann.say(b'LSUB "" *')
    assert b'(\\HasNoChildren \\Subscribed) "/" "Shared/info@example.com/Sent"' in jane.say(b'LIST (SUBSCRIBED) "" *')
    assert jane.say(b"UNSUBSCRIBE Shared/info@example.com/Sent").startswith(b"a OK ")
    assert b"Shared/" not in jane.say(b'LSUB "" *')
