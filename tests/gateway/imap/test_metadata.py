"""Annotations (RFC 5464): shared ones are everybody's who may read the mailbox, private ones each one's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from imap_bench import JANE, Bench, entry

from gateway.store import markers
from gateway.store.metadata import MAX_ENTRIES

INFO = b"Shared/info@example.com"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    made.source.put(entry("info", "gatepostSharedMailbox", gatepostAddress="info@example.com",
                          gatepostFullAccess="uid=jane,dc=example", gatepostReadAccess="uid=ann,dc=example"))  # fmt: skip
    yield made
    made.close()


def test_what_one_sets_the_other_gets_unless_it_is_private(bench: Bench) -> None:
    jane, ann = bench.client(), bench.client(login=b"ann")
    assert (
        jane.say(b'SETMETADATA %b (/shared/comment "our desk" /private/Color "red")' % INFO)
        == b"a OK SETMETADATA completed\r\n"
    )
    assert ann.say(b"GETMETADATA %b (/shared/comment /PRIVATE/color)" % INFO) == (
        b'* METADATA "%b" ("/shared/comment" "our desk" "/private/color" NIL)\r\na OK GETMETADATA completed\r\n' % INFO
    )
    assert ann.say(b'SETMETADATA %b (/private/color "blue")' % INFO).startswith(b"a OK ")
    assert b'"/private/color" "red"' in jane.say(b"GETMETADATA %b /private/color" % INFO)
    assert b'"/private/color" "blue"' in ann.say(b"GETMETADATA %b /private/color" % INFO)
    assert (
        ann.say(b'SETMETADATA %b (/shared/comment "mine")' % INFO)
        == b"a NO [NOPERM] there is no right to do this here\r\n"
    )
    assert jane.say(b"SETMETADATA %b (/shared/comment NIL)" % INFO).startswith(b"a OK ")
    assert b'("/shared/comment" NIL)' in ann.say(b"GETMETADATA %b /shared/comment" % INFO)
    assert b" METADATA" in jane.say(b"CAPABILITY")


def test_levels_below_and_long_values(bench: Bench) -> None:
    jane = bench.client()
    jane.say(b'SETMETADATA INBOX (/private/a "1" /private/a/b "22" /private/a/b/c "333" /private/ab "x")')
    said = jane.say(b"GETMETADATA (DEPTH 1) INBOX /private/a")
    assert said.startswith(b'* METADATA "INBOX" ("/private/a" "1" "/private/a/b" "22")\r\n')
    said = jane.say(b"GETMETADATA INBOX (MAXSIZE 2 DEPTH infinity) (/private/a)")
    assert said == (
        b'* METADATA "INBOX" ("/private/a" "1" "/private/a/b" "22")\r\na OK [METADATA LONGENTRIES 3] some are longer\r\n'
    )
    assert jane.say(b"GETMETADATA (DEPTH infinity) INBOX /shared") == b"a OK GETMETADATA completed\r\n"
    assert b'"/private/ab" "x"' in jane.say(b"GETMETADATA (DEPTH infinity) INBOX /private")


def test_octets_come_back_as_they_were(bench: Bench) -> None:
    jane = bench.client()
    assert jane.say(
        b"SETMETADATA INBOX (/private/raw ~{4+}\r\n\x00\xff\r\n /private/text {3+}\r\nd\xc3\xa9)"
    ).startswith(b"a OK ")
    assert b'("/private/raw" ~{4}\r\n\x00\xff\r\n "/private/text" {3}\r\nd\xc3\xa9)' in jane.say(
        b"GETMETADATA INBOX (/private/raw /private/text)"
    )


def test_of_the_server(bench: Bench) -> None:
    jane, ann = bench.client(), bench.client(login=b"ann")
    assert jane.say(b'SETMETADATA "" (/private/vendor/webmail/theme "dark")').startswith(b"a OK ")
    assert jane.say(b'GETMETADATA "" (/shared/admin /private/vendor/webmail/theme)').startswith(
        b'* METADATA "" ("/shared/admin" "mailto:postmaster@example.com" "/private/vendor/webmail/theme" "dark")\r\n'
    )
    assert b"NIL" in ann.say(b'GETMETADATA "" /private/vendor/webmail/theme')
    assert b"webmail" not in jane.say(b"GETMETADATA (DEPTH infinity) INBOX /private")
    assert jane.say(b'SETMETADATA "" (/shared/comment "x")').startswith(b"a NO [NOPERM] ")


def test_list_tells_annotations(bench: Bench) -> None:
    jane = bench.client()
    jane.say(b'SETMETADATA Sent (/shared/comment "mine")')
    listed = jane.say(
        b'LIST "" (INBOX Sent %b) RETURN (METADATA ("/shared/comment") MYRIGHTS STATUS (MESSAGES))' % INFO
    )
    assert b'* METADATA "Sent" ("/shared/comment" "mine")\r\n' in listed
    assert b'* METADATA "INBOX" ("/shared/comment" NIL)\r\n' in listed
    assert b"LIST-METADATA" in jane.say(b"CAPABILITY")
    assert jane.say(b'LIST "" % RETURN (METADATA (comment))').startswith(b"a BAD ")


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        (b'SETMETADATA INBOX (/comment "x")', b"a BAD "), (b'SETMETADATA INBOX (/private/a* "x")', b"a BAD "),
        (b'SETMETADATA INBOX (/private//a "x")', b"a BAD "), (b'SETMETADATA INBOX (/private "x")', b"a BAD "),
        (b'SETMETADATA INBOX ()', b"a BAD "), (b"SETMETADATA INBOX (/private/a x)", b"a BAD "),
        (b"GETMETADATA (DEPTH 2) INBOX /private/a", b"a BAD "), (b"GETMETADATA INBOX /private/\xc3\xa9", b"a BAD "),
        (b"GETMETADATA INBOX (" + b" ".join(b"/private/%d" % n for n in range(65)) + b")", b"a BAD "),
        (b'SETMETADATA Nothing (/private/a "x")', b"a NO [NONEXISTENT] "), (b"GETMETADATA Nothing /private/a", b"a NO [NONEXISTENT] "),
        (b'GETMETADATA "Other Users/ann@example.com" /shared/comment', b"a NO [NONEXISTENT] "),
        (b"SETMETADATA INBOX (/private/a {4097+}\r\n" + b"x" * 4097 + b")", b"a NO [METADATA MAXSIZE 4096] "),
    ],
)  # fmt: skip
def test_refusals(bench: Bench, said: bytes, answered: bytes) -> None:
    assert bench.client().say(said).startswith(answered)


def test_there_is_room_for_so_many(bench: Bench) -> None:
    jane = bench.client()
    for number in range(MAX_ENTRIES):
        assert jane.say(b'SETMETADATA INBOX (/private/%d "x")' % number).startswith(b"a OK ")
    assert jane.say(b'SETMETADATA INBOX (/private/more "x")').startswith(b"a NO [METADATA TOOMANY] ")
    assert jane.say(b'SETMETADATA INBOX (/shared/more "x")').startswith(b"a OK ")
    assert jane.say(b"SETMETADATA INBOX (/private/0 NIL)").startswith(b"a OK ")
    for number in range(1, 4):
        jane.say(b"SETMETADATA INBOX (/private/%d {4096+}\r\n%b)" % (number, b"x" * 4096))
    assert jane.say(b"SETMETADATA INBOX (/private/4 {4096+}\r\n%b)" % (b"x" * 4096)).startswith(
        b"a NO [METADATA TOOMANY] "
    )


def test_annotations_outlive_the_index_and_the_mailboxs_rename(bench: Bench) -> None:
    jane = bench.client()
    jane.say(b"CREATE Work")
    jane.say(b'SETMETADATA Work (/shared/comment "c" /private/p "q")')
    jane.say(b'SETMETADATA INBOX (/private/p "in")')
    jane.say(b"RENAME Work Play")
    path = bench.stores.open(JANE).path
    bench.repository.delete_account(JANE.id)
    bench.stores._known.clear()
    bench.stores.open(JANE)
    again = bench.client()
    assert b'("/shared/comment" "c" "/private/p" "q")' in again.say(b"GETMETADATA Play (/shared/comment /private/p)")
    assert b'("/private/p" "in")' in again.say(b"GETMETADATA INBOX /private/p")
    facts = markers.read_mailbox(path)
    assert facts is not None
    assert facts["version"] == markers.ANNOTATED
