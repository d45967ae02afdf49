"""Rights that owners give (RFC 4314): who gets them sees and does just that, and nobody else anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from imap_bench import JANE, Bench, Client, entry

from gateway.imap.settings import ImapSettings
from gateway.store import markers
from gateway.store.acl import MAX_ENTRIES, read_acl

TEAM = entry("team", "groupOfNames", member="uid=bob,dc=example")
BOSS = entry("boss", "gatepostAccount", gatepostAddress="boss@example.com")
WORK = b'"Other Users/jane@example.com/Work"'


def info(**attributes: str) -> object:
    return entry("info", "gatepostSharedMailbox", gatepostAddress="info@example.com", **attributes)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    bob = entry("bob", "gatepostAccount", gatepostAddress="bob@example.com")
    for raw in (
        TEAM,
        BOSS,
        bob,
        info(gatepostFullAccess="uid=boss,dc=example", gatepostReadAccess="uid=ann,dc=example"),
    ):
        made.source.put(raw)  # type: ignore[arg-type]
    made.stores.create_mailbox(JANE, "Work")
    made.append(b"Subject: plan\n\nhello\n", b"Subject: other\n\nworld\n", mailbox="Work")
    yield made
    made.close()


def give(bench: Bench, rights: bytes, whom: bytes = b"ann@example.com") -> Client:
    jane = bench.client()
    assert jane.say(b"SETACL Work %b %b" % (whom, rights)) == b"a OK SETACL completed\r\n"
    return jane


def test_what_is_given_is_seen_and_what_is_taken_ends_at_once(bench: Bench) -> None:
    ann = bench.client(login=b"ann")
    assert b"jane" not in ann.say(b'LIST "" *')
    assert ann.say(b"SELECT " + WORK).startswith(b"a NO ")
    jane = give(bench, b"lr")
    assert b'* LIST (\\HasNoChildren) "/" ' + WORK in ann.say(b'LIST "" *')
    selected = ann.say(b"SELECT " + WORK)
    assert b"[PERMANENTFLAGS ()]" in selected
    assert selected.endswith(b"a OK [READ-ONLY] examined\r\n")
    assert b"hello" in ann.say(b"FETCH 1 BODY.PEEK[TEXT]")
    assert ann.say(b"STORE 1 +FLAGS (\\Flagged)").startswith(b"a NO ")
    assert ann.say(b"COPY 1 INBOX").startswith(b"a OK [COPYUID ")
    assert jane.say(b"DELETEACL Work ann@example.com") == b"a OK DELETEACL completed\r\n"
    assert ann.say(b"FETCH 1 BODY.PEEK[TEXT]").startswith(b"a NO [AUTHORIZATIONFAILED] ")
    assert ann.say(b"NOOP").startswith(b"* BYE ")
    assert bench.client(login=b"ann").say(b"STATUS %b (MESSAGES)" % WORK).startswith(b"a NO [NONEXISTENT] ")


def test_the_commands_show_what_was_set(bench: Bench) -> None:
    jane = give(bench, b"lr")
    assert jane.say(b"SETACL Work ann +ct").startswith(b"a OK ")
    assert jane.say(b"SETACL Work ann@example.com -r").startswith(b"a OK ")
    assert jane.say(b"SETACL Work group:uid=team,dc=example lrs").startswith(b"a OK ")
    assert jane.say(b"GETACL Work") == (
        b'* ACL "Work" "jane@example.com" lrswipkxteacd "ann@example.com" lkxtcd "group:uid=team,dc=example" lrs\r\n'
        b"a OK GETACL completed\r\n"
    )
    assert jane.say(b"MYRIGHTS Work").startswith(b'* MYRIGHTS "Work" lrswipkxteacd\r\n')
    ann = bench.client(login=b"ann")
    assert ann.say(b"MYRIGHTS " + WORK).startswith(b"* MYRIGHTS %b lkxtcd\r\n" % WORK)
    assert ann.say(b"SELECT " + WORK) == b"a NO [NOPERM] this mailbox may not be read\r\n"
    assert b"* MYRIGHTS %b lkxtcd\r\n" % WORK in ann.say(b'LIST "" "Other*" RETURN (MYRIGHTS)')
    assert jane.say(b"LISTRIGHTS Work ann").startswith(b'* LISTRIGHTS "Work" "ann" "" l r s w i p k x t e a c d\r\n')
    assert jane.say(b"LISTRIGHTS Work jane").startswith(b'* LISTRIGHTS "Work" "jane" lrswipkxteacd\r\n')
    assert b" ACL " in jane.say(b"CAPABILITY")
    assert b"RIGHTS=kxte" in jane.say(b"CAPABILITY")


@pytest.mark.parametrize(
    ("rights", "said"),
    [
        (b"lrs", b"STORE 1 +FLAGS (\\Seen)"), (b"lrt", b"STORE 1 +FLAGS (\\Deleted)"), (b"lrw", b"STORE 1 +FLAGS (\\Flagged $Work)"),
        (b"lre", b"EXPUNGE"), (b"lrte", b"MOVE 1 INBOX"), (b"lri", b"COPY 1 %b" % WORK), (b"lri", b"APPEND %b {9+}\r\nX: y\r\n\r\nz" % WORK),
        (b"lrk", b"CREATE " + WORK[:-1] + b'/New"'), (b"lrx", b"DELETE " + WORK), (b"lr", b"STATUS %b (MESSAGES)" % WORK),
        (b"lrx", b"RENAME %b " % WORK + WORK[:-1] + b'x"'), (b"lra", b"GETACL " + WORK), (b"lr", b"GETQUOTAROOT " + WORK),
        (b"lra", b"SETACL %b bob lr" % WORK), (b"lra", b"LISTRIGHTS %b bob" % WORK), (b"l", b"SUBSCRIBE " + WORK),
    ],
)  # fmt: skip
def test_each_command_needs_its_right(bench: Bench, rights: bytes, said: bytes) -> None:
    """With the rights it is done, with all the others but one of them it is not."""
    if said.startswith(b"RENAME"):  # to the top level of the store, which INBOX stands for
        bench.client().say(b"SETACL INBOX ann k")
    key = rights.decode()[2:] or rights.decode()[-1]
    jane = give(bench, bytes(right for right in b"lrswipkxtea" if chr(right) != key[0]))
    refused = bench.client(b"SELECT " + WORK, login=b"ann")
    assert refused.say(said).startswith(b"a NO ")
    assert jane.say(b"SETACL Work ann " + rights).startswith(b"a OK ")
    ann = bench.client(b"SELECT " + WORK, login=b"ann")
    assert b"a OK " in ann.say(said)


def test_flags_without_a_right_stay_as_they_are(bench: Bench) -> None:
    jane = give(bench, b"lrti")
    jane.say(b"SELECT Work")
    jane.say(b"STORE 1 FLAGS (\\Seen $Work)")
    ann = bench.client(b"SELECT " + WORK, login=b"ann")
    assert ann.say(b"STORE 1 FLAGS (\\Deleted \\Flagged)").startswith(
        b"* 1 FETCH (FLAGS (\\Deleted \\Seen $Work))\r\na OK "
    )
    assert b"* 1 FETCH (UID 1 FLAGS (\\Deleted \\Seen $Work))" in jane.say(b"NOOP")
    ann.say(b"COPY 1 " + WORK)
    ann.say(b"APPEND %b (\\Seen \\Deleted Word) {9+}\r\nX: y\r\n\r\nz" % WORK)
    assert b"* 3 FETCH (FLAGS (\\Deleted))\r\n* 4 FETCH (FLAGS (\\Deleted))\r\n" in ann.say(b"FETCH 3:4 FLAGS")
    ann.say(b"CLOSE")
    assert b"* 4 EXISTS" in jane.say(b"NOOP")
    assert b"[PERMANENTFLAGS (\\Deleted)]" in bench.client(login=b"ann").say(b"SELECT " + WORK)


def test_what_is_made_below_has_the_rights_above(bench: Bench) -> None:
    jane = give(bench, b"lrk")
    ann = bench.client(login=b"ann")
    assert ann.say(b"CREATE " + WORK[:-1] + b'/2026/May"').startswith(b"a OK ")
    assert WORK[:-1] + b'/2026/May"' in ann.say(b'LIST "" *')
    assert b'"ann@example.com" lrk' in jane.say(b"GETACL Work/2026")
    assert jane.say(b"CREATE Private").startswith(b"a OK ")
    assert b"ann" not in jane.say(b"GETACL Private")
    assert ann.say(b'CREATE "Other Users/jane@example.com/Private/x"').startswith(b"a NO [NOPERM] ")


def test_the_directorys_rights_are_shown_and_not_taken_away(bench: Bench) -> None:
    boss = bench.client(login=b"boss")
    granted = boss.say(b"GETACL Shared/info@example.com")
    assert b'"boss@example.com" lrswipkxteacd' in granted
    assert b'"ann@example.com" lrs' in granted
    assert boss.say(b"SETACL Shared/info@example.com ann l").startswith(b"a NO [CANNOT] ")
    assert boss.say(b"SETACL Shared/info@example.com ann +w").startswith(b"a OK ")
    assert b'"ann@example.com" lrsw\r\n' in boss.say(b"GETACL Shared/info@example.com")
    assert boss.say(b"DELETEACL Shared/info@example.com ann").startswith(b"a OK ")
    assert boss.say(b"DELETEACL Shared/info@example.com ann").startswith(b"a NO [CANNOT] ")
    assert boss.say(b"SETACL Shared/info@example.com bob lrs").startswith(b"a OK ")
    bob = bench.client(login=b"bob")
    assert b'"Shared/info@example.com"' in bob.say(b'LIST "" *')
    assert b"Shared/info@example.com/Sent" not in bob.say(b'LIST "" *')


@pytest.mark.parametrize(
    "said",
    [
        b"SETACL Work jane lr", b"DELETEACL Work jane", b"SETACL Work nobody lr", b"SETACL Work nobody@example.com lr",
        b"SETACL Work group:uid=none,dc=example lr", b"SETACL Work -ann lr", b"SETACL Work anyone lr", b"GETACL Nothing",
        b"SETACL Shared/info@example.com jane lr", b"MYRIGHTS Shared/info@example.com", b"LISTRIGHTS Work nobody",
        b'GETACL "Other Users/ann@example.com"', b'MYRIGHTS "Other Users/ann@example.com/Sent"',
    ],
)  # fmt: skip
def test_refusals(bench: Bench, said: bytes) -> None:
    jane = bench.client()
    assert jane.say(said).startswith(b"a NO ")
    assert jane.say(b"GETACL Work").startswith(b'* ACL "Work" "jane@example.com" lrswipkxteacd\r\n')


@pytest.mark.parametrize("said", [b"SETACL Work ann lq", b"SETACL Work ann", b'GETACL "Work" x', b'SETACL Work "" l'])
def test_what_is_no_command(bench: Bench, said: bytes) -> None:
    assert bench.client().say(said).startswith(b"a BAD ")


def test_rights_for_anyone_where_they_are_allowed(bench: Bench) -> None:
    bench.host.settings.imap = ImapSettings(acl_anyone=True)  # type: ignore[misc]
    give(bench, b"lr", b"anyone")
    assert b"hello" in bench.client(b"SELECT " + WORK, login=b"bob").say(b"FETCH 1 BODY.PEEK[TEXT]")
    bench.host.settings.imap = ImapSettings()  # type: ignore[misc]
    assert bench.client(login=b"bob").say(b"SELECT " + WORK).startswith(b"a NO ")


def test_rights_outlive_the_index_and_an_address_does_not_inherit_them(bench: Bench) -> None:
    give(bench, b"lrs")
    give(bench, b"lr", b"bob")
    bench.source.remove("t:bob")
    bench.source.put(entry("bob2", "gatepostAccount", gatepostAddress="bob@example.com"))
    assert bench.client(login=b"bob2").say(b"SELECT " + WORK).startswith(b"a NO ")
    assert b'"t:bob" lr' in bench.client().say(b"GETACL Work")
    assert bench.client().say(b"DELETEACL Work t:bob").startswith(b"a OK ")
    path = bench.stores.open(JANE).path
    bench.repository.delete_account(JANE.id)
    bench.stores._known.clear()
    assert bench.stores.open(JANE).path == path
    row = bench.repository.mailbox(JANE.id, "Work")
    assert row is not None
    assert dict(read_acl(row.acl)) == {"t:ann": "lrs"}
    facts = markers.read_mailbox(str(Path(path, ".Work")))
    assert facts is not None
    assert facts["version"] == markers.ANNOTATED
    assert b"hello" in bench.client(b"SELECT " + WORK, login=b"ann").say(b"FETCH 1 BODY.PEEK[TEXT]")


def test_there_are_so_many_entries_and_no_more(bench: Bench) -> None:
    for number in range(MAX_ENTRIES + 1):
        bench.source.put(entry(f"p{number}", "gatepostAccount", gatepostAddress=f"p{number}@example.com"))
    jane = bench.client()
    answers = [jane.say(b"SETACL Work p%d l" % number) for number in range(MAX_ENTRIES + 1)]
    assert all(answer.startswith(b"a OK ") for answer in answers[:-1])
    assert answers[-1].startswith(b"a NO [LIMIT] ")
    assert jane.say(b"DELETEACL Work p0").startswith(b"a OK ")
    assert jane.say(b"SETACL Work p%d l" % MAX_ENTRIES).startswith(b"a OK ")


def test_the_sweep_does_not_write_old_rights_over_new_ones(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    row, maildir = bench.repository.mailbox(JANE.id, "Work"), bench.stores.open(JANE).path
    assert row is not None
    folder, jane, append = str(Path(maildir, ".Work")), bench.client(), markers.append_mailbox
    jane.say(b"SELECT Work")
    assert jane.say(b"STORE 1 +FLAGS (\\Flagged)").endswith(b"a OK STORE completed\r\n")  # something to be noted

    def slow(*arguments: object) -> None:
        monkeypatch.setattr(markers, "append_mailbox", append)
        assert jane.say(b"SETACL Work ann lr").startswith(b"a OK ")
        append(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(markers, "append_mailbox", slow)
    bench.stores.tend(JANE.id, maildir)
    facts = markers.read_mailbox(folder)
    assert facts is not None
    assert dict(read_acl(facts["acl"])) == {"t:ann": "lr"}


def test_parts_of_messages_come_from_mailboxes_that_may_be_read(bench: Bench) -> None:
    put = b'APPEND INBOX CATENATE (URL "/Other%20Users/jane@example.com/Work/;UID=1/;SECTION=TEXT")'
    give(bench, b"l")
    ann = bench.client(login=b"ann")
    assert ann.say(put).startswith(b"a NO [BADURL ")
    give(bench, b"lr")
    assert ann.say(put).startswith(b"a OK [APPENDUID ")
    give(bench, b"lrit")
    ann.say(b"SELECT " + WORK)
    assert ann.say(b"REPLACE 1 INBOX {1+}\r\na").startswith(b"a NO [NOPERM] ")
    assert b"* 1 EXISTS" in ann.say(b"STATUS INBOX (MESSAGES)") + ann.say(b"EXAMINE INBOX")
    give(bench, b"lrte")
    ann.say(b"SELECT " + WORK)
    assert b"* 1 EXPUNGE" in ann.say(b"REPLACE 1 INBOX {1+}\r\na")
