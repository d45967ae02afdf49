"""Each reader of a shared mailbox has an own \\Seen there; all other flags are everybody's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from imap_bench import Bench, entry

from directory.model import SharedMailbox
from gateway.imap.settings import ImapSettings

INFO = b"Shared/info@example.com"


def make(folder: Path, settings: ImapSettings | None = None) -> Bench:
    bench = Bench(folder, settings)
    for name, kind, given in (
        ("info", "gatepostSharedMailbox", ["uid=jane,dc=example", "uid=ann,dc=example"]),
        ("bob", "gatepostAccount", ["uid=jane,dc=example"]),
    ):
        bench.source.put(entry(name, kind, gatepostAddress=f"{name}@example.com", gatepostFullAccess=given))
        holder = bench.host.directory.by_id(f"t:{name}")
        for number in range(3):
            bench.stores.append(holder, "INBOX", [b"Subject: %d\n\nhello\n" % number])  # type: ignore[arg-type]
    return bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make(tmp_path)
    yield made
    made.close()


def test_what_one_has_read_the_other_has_not(bench: Bench) -> None:
    jane, ann = bench.client(b"SELECT " + INFO), bench.client(b"SELECT " + INFO, login=b"ann")
    again = bench.client(b"SELECT " + INFO)
    assert b"* 1 FETCH (FLAGS (\\Seen) BODY[TEXT] " in jane.say(b"FETCH 1 BODY[TEXT]")
    assert jane.say(b"STORE 2 +FLAGS (\\Seen \\Flagged $Work)").startswith(
        b"* 2 FETCH (FLAGS (\\Flagged \\Seen $Work))"
    )
    assert ann.say(b"NOOP") == b"* 2 FETCH (UID 2 FLAGS (\\Flagged $Work))\r\na OK NOOP completed\r\n"
    assert again.say(b"NOOP") == (
        b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n* 2 FETCH (UID 2 FLAGS (\\Flagged \\Seen $Work))\r\na OK NOOP completed\r\n"
    )
    assert ann.say(b"SEARCH UNSEEN").startswith(b"* SEARCH 1 2 3\r\n")
    assert jane.say(b"SEARCH UNSEEN").startswith(b"* SEARCH 3\r\n")
    assert b"UNSEEN 1" in jane.say(b"STATUS %b (UNSEEN)" % INFO)
    assert b"UNSEEN 3" in ann.say(b"STATUS %b (UNSEEN)" % INFO)
    assert b"[UNSEEN 3]" in jane.say(b"SELECT " + INFO)
    assert jane.say(b"STORE 1:2 -FLAGS (\\Seen)").count(b" FETCH ") == 2
    assert b"* 2 FETCH (UID 2 FLAGS (\\Flagged $Work))" in again.say(b"NOOP")
    assert b"UNSEEN 3" in jane.say(b"STATUS %b (UNSEEN)" % INFO)


def test_changes_are_told_by_modseq(bench: Bench) -> None:
    jane, ann = (
        bench.client(b"SELECT %b (CONDSTORE)" % INFO),
        bench.client(b"SELECT %b (CONDSTORE)" % INFO, login=b"ann"),
    )
    told = jane.say(b"STORE 3 (UNCHANGEDSINCE 100) +FLAGS (\\Seen)")
    modseq = int(told.partition(b"MODSEQ (")[2].partition(b")")[0])
    assert b"* 3 FETCH (UID 3 MODSEQ (%d)" % modseq not in ann.say(
        b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d)" % (modseq - 1)
    )
    assert b"* 3 FETCH (UID 3 FLAGS (\\Seen) MODSEQ (%d))" % modseq in jane.say(
        b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d)" % (modseq - 1)
    )
    assert b"[MODIFIED 3]" in jane.say(b"STORE 3 (UNCHANGEDSINCE %d) -FLAGS (\\Seen)" % (modseq - 1))
    assert b"MODIFIED" not in ann.say(b"STORE 3 (UNCHANGEDSINCE %d) +FLAGS (\\Seen)" % (modseq - 1))


def test_who_may_only_read_has_an_own_seen_too_and_no_other_flag(bench: Bench) -> None:
    access = {"gatepostFullAccess": "uid=jane,dc=example", "gatepostReadAccess": "uid=ann,dc=example"}
    bench.source.put(entry("info", "gatepostSharedMailbox", gatepostAddress="info@example.com", **access))
    ann = bench.client(login=b"ann")
    selected = ann.say(b"SELECT " + INFO)
    assert b"[PERMANENTFLAGS (\\Seen)]" in selected
    assert b"FLAGS (\\Seen)" in ann.say(b"FETCH 1 BODY[TEXT]")
    assert ann.say(b"STORE 1 +FLAGS (\\Flagged)") == b"a NO [NOPERM] there is no right to change these flags\r\n"
    assert b"FLAGS ()" in bench.client(b"SELECT " + INFO).say(b"FETCH 1 FLAGS")


def test_copies_are_seen_by_those_who_had_seen_them(bench: Bench) -> None:
    jane, ann = bench.client(b"SELECT " + INFO), bench.client(b"SELECT " + INFO, login=b"ann")
    jane.say(b"STORE 1 +FLAGS (\\Seen)")
    ann.say(b"STORE 2 +FLAGS (\\Seen)")
    assert jane.say(b"COPY 1:2 INBOX").startswith(b"a OK [COPYUID ")
    assert b"* 1 FETCH (FLAGS (\\Seen))\r\n* 2 FETCH (FLAGS ())\r\n" in bench.client(b"SELECT INBOX").say(
        b"FETCH 1:2 FLAGS"
    )
    assert b"OK [COPYUID " in jane.say(b"MOVE 1:2 %b/Archive" % INFO)
    for login, flags in (
        (b"jane", b"FLAGS (\\Seen))\r\n* 2 FETCH (FLAGS ("),
        (b"ann", b"FLAGS ())\r\n* 2 FETCH (FLAGS (\\Seen)"),
    ):
        client = bench.client(b"SELECT %b/Archive" % INFO, login=login)
        assert flags in client.say(b"FETCH 1:2 FLAGS")
    own = bench.client(b"SELECT INBOX")
    own.say(b"MOVE 1:2 " + INFO)
    assert own.say(b"APPEND %b (\\Seen) {9+}\r\nX: y\r\n\r\nz" % INFO).endswith(b"appended\r\n")
    fetched = bench.client(b"SELECT " + INFO).say(b"FETCH 2:4 FLAGS")
    assert [b"Seen" in line for line in fetched.splitlines()[:-1]] == [True, False, True]
    assert b"Seen" not in bench.client(b"SELECT " + INFO, login=b"ann").say(b"FETCH 2:4 FLAGS")


def test_anothers_store_has_the_owners_seen(bench: Bench) -> None:
    jane = bench.client(b'SELECT "Other Users/bob@example.com"')
    jane.say(b"STORE 1 +FLAGS (\\Seen)")
    assert b"FLAGS (\\Seen)" in bench.client(b"SELECT INBOX", login=b"bob").say(b"FETCH 1 FLAGS")


def test_in_idle_only_those_are_told_who_see_it(bench: Bench) -> None:
    jane, ann = bench.client(b"SELECT " + INFO), bench.client(b"SELECT " + INFO, login=b"ann")
    info = bench.host.directory.by_id("t:info")
    assert isinstance(info, SharedMailbox)
    mailboxes = bench.host.open_mailboxes
    woken: list[str] = []
    for name, client in (("jane", jane), ("ann", ann)):
        contents, _ = client.executor.selected()
        mailboxes.watch(contents, lambda name=name: woken.append(name))  # type: ignore[misc]
    mailboxes.hint(info.id, 1, 1_000)
    assert sorted(woken) == ["ann", "jane"]


def test_who_has_seen_what_outlives_the_index(bench: Bench) -> None:
    jane = bench.client(b"SELECT " + INFO)
    jane.say(b"STORE 1,3 +FLAGS (\\Seen)")
    jane.say(b"STORE 3 +FLAGS (\\Flagged)")
    info = bench.host.directory.by_id("t:info")
    assert isinstance(info, SharedMailbox)
    path = bench.stores.open(info).path
    bench.stores.tend(info.id, path)
    jane.say(b"STORE 1 -FLAGS (\\Seen)")
    bench.stores.tend(info.id, path)  # appended behind the first note
    bench.repository.delete_account(info.id)
    bench.stores._known.clear()
    bench.stores._looks.clear()
    assert [row.uid for row in bench.repository.messages(info.id, 1)] == []
    for login, seen in ((b"jane", [False, False, True]), (b"ann", [False, False, False])):
        fetched = bench.client(b"SELECT " + INFO, login=login).say(b"UID FETCH 1:3 FLAGS")
        assert [b"Seen" in line for line in fetched.splitlines()[:-1]] == seen


def test_it_may_be_common_to_all(tmp_path: Path) -> None:
    bench = make(tmp_path, ImapSettings(own_seen=False))
    jane, ann = bench.client(b"SELECT " + INFO), bench.client(b"SELECT " + INFO, login=b"ann")
    jane.say(b"STORE 1 +FLAGS (\\Seen)")
    assert b"* 1 FETCH (UID 1 FLAGS (\\Seen))" in ann.say(b"NOOP")
    bench.close()
