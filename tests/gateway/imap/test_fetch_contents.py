"""FETCH of content over a real store: small and large messages, parts, partials, what vanishes, the cache."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imap_bench import JANE, Bench

from directory.model import Condition, Deferred
from gateway.imap.content import CountLines
from gateway.imap.fetch_items import parse_items
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.settings import ImapSettings
from gateway.mime import PARSER_VERSION
from gateway.mime.line_ends import after_octets, crlf_length
from gateway.service import imap_contents, imap_executor

PLAIN = b"From: Jane <jane@example.com>\nSubject: one\n\nfirst\nsecond\n"
LINES = b"".join(b"line %d\n" % number for number in range(2000))
NESTED = (
    b"Subject: outer\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nshort\n--x\n"
    b"Content-Type: message/rfc822\n\nSubject: inner\nX-A: 1\n\n" + LINES + b"--x--\n"
)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, ImapSettings(piece=4096))
    yield made
    made.close()


def literal(answer: bytes, label: bytes) -> bytes:
    """The value of the literal after `label`; the answer is well formed behind it."""
    start = answer.index(label + b" {") + len(label) + 2
    end = answer.index(b"}\r\n", start)
    size = int(answer[start:end])
    value = answer[end + 3 : end + 3 + size]
    assert len(value) == size
    assert answer[end + 3 + size : end + 4 + size] in (b")", b" ")
    return value


def test_envelope_and_structure_are_cached_and_need_no_file(bench: Bench) -> None:
    bench.append(PLAIN)
    client = bench.client(b"SELECT INBOX")
    told = client.say(b"FETCH 1 (ENVELOPE BODYSTRUCTURE BODY UID)")
    jane = b'(("Jane" NIL "jane" "example.com"))'
    assert told == (
        b'* 1 FETCH (UID 1 ENVELOPE (NIL "one" ' + b" ".join([jane] * 3) + b" NIL NIL NIL NIL NIL) "
        b'BODYSTRUCTURE ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 15 2 NIL NIL NIL NIL) '
        b'BODY ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 15 2))\r\na OK FETCH completed\r\n'
    )
    assert set(bench.repository.parsed(JANE.id, 1, [1], PARSER_VERSION)) == {1}
    bench.files()[0].unlink()
    assert client.say(b"FETCH 1 (ENVELOPE BODYSTRUCTURE BODY UID)") == told


@pytest.mark.parametrize("stored", [PLAIN, NESTED], ids=["small", "larger than a piece"])
def test_whole_messages(bench: Bench, stored: bytes) -> None:
    bench.append(stored)
    client = bench.client(b"SELECT INBOX")
    whole = stored.replace(b"\n", b"\r\n")
    head, _, text = whole.partition(b"\r\n\r\n")
    for item, value in (
        (b"BODY[]", whole),
        (b"RFC822", whole),
        (b"BODY[HEADER]", head + b"\r\n\r\n"),
        (b"RFC822.HEADER", head + b"\r\n\r\n"),
        (b"BODY[TEXT]", text),
        (b"RFC822.TEXT", text),
    ):
        assert literal(client.say(b"FETCH 1 " + item), item) == value
    assert b"RFC822.SIZE %d)" % len(whole) in client.say(b"FETCH 1 RFC822.SIZE")


def test_a_large_message_is_never_held_whole(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.append(b"Subject: large\n\n" + LINES * 30)
    client = bench.client(b"SELECT INBOX")
    pieces: list[int] = []
    monkeypatch.setattr("imap_bench._Out.write", lambda _, data: bool(pieces.append(len(data))))
    for item in (b"BODY.PEEK[]", b"BODY.PEEK[TEXT]<100000.300000>", b"BODY.PEEK[]<100.300000>"):
        pieces.clear()
        client.say(b"FETCH 1 " + item)
        assert sum(pieces) > 300_000
        assert max(pieces) <= 2 * bench.settings.piece


def test_parts_of_a_large_message(bench: Bench) -> None:
    bench.append(NESTED)
    client = bench.client(b"SELECT INBOX")
    answer = client.say(
        b"FETCH 1 (BODY.PEEK[1] BODY.PEEK[2.TEXT] BODY.PEEK[2.HEADER.FIELDS (X-A Y)] BODY.PEEK[2.MIME])"
    )
    assert literal(answer, b"BODY[1]") == b"short"
    assert literal(answer, b"BODY[2.TEXT]") == LINES.replace(b"\n", b"\r\n").removesuffix(b"\r\n")
    assert literal(answer, b"BODY[2.HEADER.FIELDS (X-A Y)]") == b"X-A: 1\r\n\r\n"
    assert literal(answer, b"BODY[2.MIME]") == b"Content-Type: message/rfc822\r\n\r\n"
    assert b"(BODY[3] NIL)" in client.say(b"FETCH 1 BODY.PEEK[3]")
    assert b"(BODY[1.HEADER] NIL BODY[1.1] NIL)" in client.say(b"FETCH 1 (BODY.PEEK[1.HEADER] BODY.PEEK[1.1])")


@pytest.mark.parametrize("step", [1, 7, 1000, 4096, 5001, 100_000])
def test_partials_put_together_are_the_whole(bench: Bench, step: int) -> None:
    stored = b"a: b\n\n" + (b"\n" * 50 + LINES[:300] if step < 100 else LINES)
    bench.append(stored)
    client = bench.client(b"SELECT INBOX")
    whole, at = b"", 0
    while True:
        piece = literal(client.say(b"FETCH 1 BODY.PEEK[]<%d.%d>" % (at, step)), b"BODY[]<%d>" % at)
        whole += piece
        at += step
        if len(piece) < step:
            break
    assert whole == stored.replace(b"\n", b"\r\n")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 40_000), st.integers(1, 40_000))
def test_any_partial_of_a_large_message(bench: Bench, start: int, length: int) -> None:
    if not bench.stores.open(JANE) or not bench.repository.counts(JANE.id, 1).messages:
        bench.append(NESTED)
        bench.kept = bench.client(b"SELECT INBOX")  # type: ignore[attr-defined]
    client = bench.kept  # type: ignore[attr-defined]
    whole = NESTED.replace(b"\n", b"\r\n")
    value = literal(client.say(b"FETCH 1 BODY.PEEK[]<%d.%d>" % (start, length)), b"BODY[]<%d>" % start)
    assert value == whole[start : start + length]


@given(st.text("a\n", max_size=60).map(str.encode), st.integers(0, 120))
def test_line_end_arithmetic(stored: bytes, octets: int) -> None:
    octets = min(octets, crlf_length(stored))
    at, half = after_octets(stored, octets)
    assert crlf_length(stored[:at]) + half == octets
    assert not half or stored[at : at + 1] == b"\n"


def test_those_that_are_gone_are_left_out_and_said(bench: Bench) -> None:
    bench.append(PLAIN, PLAIN.replace(b"one", b"two"), PLAIN.replace(b"one", b"three"))
    client = bench.client(b"SELECT INBOX")
    bench.files()[1].unlink()
    answer = client.say(b"FETCH 1:3 BODY.PEEK[HEADER.FIELDS (Subject)]")
    assert b"Subject: one" in answer
    assert b"Subject: two" not in answer
    assert b"Subject: three" in answer
    assert answer.endswith(b"a NO [EXPUNGEISSUED] some of the messages are gone\r\n")


def test_what_is_kept_of_another_file_is_not_believed(bench: Bench) -> None:
    bench.append(NESTED)
    client = bench.client(b"SELECT INBOX", b"FETCH 1 BODYSTRUCTURE")
    other = NESTED.replace(b"short", b"another text")
    bench.files()[0].write_bytes(other)
    assert literal(client.say(b"FETCH 1 BODY.PEEK[1]"), b"BODY[1]") == b"another text"
    assert b'"7bit" 12 ' in client.say(b"FETCH 1 BODYSTRUCTURE")


def test_a_header_longer_than_a_piece(bench: Bench) -> None:
    stored = b"".join(b"X-%d: y\n" % number for number in range(3000)) + b"\nbody\n"
    bench.append(stored)
    client = bench.client(b"SELECT INBOX")
    assert literal(client.say(b"FETCH 1 RFC822.HEADER"), b"RFC822.HEADER") == stored[:-5].replace(b"\n", b"\r\n")
    assert literal(client.say(b"FETCH 1 BODY[TEXT]"), b"BODY[TEXT]") == b"body\r\n"


def test_line_ends_of_another_program(bench: Bench) -> None:
    bench.append(PLAIN)
    bench.files()[0].write_bytes(NESTED.replace(b"\n", b"\r\n"))
    client = bench.client(b"SELECT INBOX")
    assert literal(client.say(b"FETCH 1 BODY[]"), b"BODY[]") == NESTED.replace(b"\n", b"\r\n")


def test_a_file_cut_while_it_is_sent_cuts_the_connection(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.append(NESTED)
    client = bench.client(b"SELECT INBOX")
    count = imap_contents._lines

    def count_then_cut(source: imap_contents._Source, request: CountLines) -> int:
        found = count(source, request)
        os.truncate(bench.files()[0], 5000)
        return found

    cutting = partial(imap_contents._in_file, count_then_cut)
    monkeypatch.setitem(imap_executor._EXECUTE, CountLines, cutting)
    answer = client.say(b"FETCH 1 BODY.PEEK[]")
    assert client.session.closing
    assert b"OK" not in answer
    assert len(answer) < crlf_length(NESTED)


@pytest.mark.parametrize(
    "item",
    [
        b"BODY[0]", b"BODY[1.]", b"BODY[1..2]", b"BODY[MIME]", b"BODY[TEXT.1]", b"BODY[FOO]", b"BODY[HEADER.FIELDS]",
        b"BODY[HEADER.FIELDS ()]", b"BODY[HEADER.FIELDS (a:b)]", b"BODY[]<0.0>", b"BODY[]<1>", b"BODY[1", b"BODY.PEEK",
        b"BODY[" + b".".join([b"1"] * 200) + b"]", b"(FLAGS", b"()", b"(ALL)", b"ENVELOP", b"FLAGS UID",
        b"(" + b" ".join(b"BODY[%d]" % number for number in range(1, 100)) + b")",
    ],
)  # fmt: skip
def test_no_such_item(item: bytes) -> None:
    arguments = Parser((item,))
    with pytest.raises(BadCommand):
        parse_items(arguments)
        arguments.end()


def test_macros(bench: Bench) -> None:
    bench.append(PLAIN, date=0.0)
    client = bench.client(b"SELECT INBOX")
    fast = b'* 1 FETCH (FLAGS () INTERNALDATE " 1-Jan-1970 00:00:00 +0000" RFC822.SIZE 62'
    assert client.say(b"FETCH 1 FAST").startswith(fast + b")\r\n")
    assert client.say(b"FETCH 1 ALL").startswith(fast + b" ENVELOPE (")
    assert b' BODY ("text" ' in client.say(b"FETCH 1 FULL")


def test_reading_sets_seen_and_tells_it(bench: Bench) -> None:
    bench.append(PLAIN, PLAIN)
    client, other = bench.client(b"SELECT INBOX"), bench.client(b"SELECT INBOX")
    assert b"* 1 FETCH (FLAGS () " not in client.say(b"FETCH 1 (BODY.PEEK[] RFC822.HEADER)")
    assert b"FLAGS ()" in client.say(b"FETCH 1 FLAGS")
    assert client.say(b"FETCH 1 BODY[TEXT]").startswith(b"* 1 FETCH (FLAGS (\\Seen) BODY[TEXT] {15}\r\n")
    assert client.say(b"FETCH 1 BODY[TEXT]").startswith(b"* 1 FETCH (BODY[TEXT] {15}\r\n")
    assert b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n" in other.say(b"NOOP")
    client.say(b"ENABLE CONDSTORE")
    assert b"* 2 FETCH (UID 2 FLAGS (\\Seen) MODSEQ (" in client.say(b"UID FETCH 2 (UID RFC822)")
    assert client.say(b"NOOP") == b"a OK NOOP completed\r\n"


def test_reading_leaves_an_examined_mailbox_as_it_is(bench: Bench) -> None:
    bench.append(PLAIN)
    client = bench.client(b"EXAMINE INBOX")
    assert client.say(b"FETCH 1 BODY[TEXT]").startswith(b"* 1 FETCH (BODY[TEXT] {15}\r\n")
    assert b"FLAGS ()" in client.say(b"FETCH 1 FLAGS")


def test_an_index_that_cannot_be_written_to_is_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise Deferred(Condition.STORE_UNAVAILABLE, "disk full")

    bench.append(PLAIN)
    client = bench.client(b"SELECT INBOX")
    monkeypatch.setattr(bench.repository, "store_flags", full)
    assert client.say(b"FETCH 1 BODY[TEXT]").startswith(b"* 1 FETCH (BODY[TEXT] {15}\r\n")


def test_changed_since(bench: Bench) -> None:
    bench.append(PLAIN, PLAIN, PLAIN)
    client, other = bench.client(b"SELECT INBOX"), bench.client(b"SELECT INBOX")
    before = int(client.say(b"FETCH 3 MODSEQ").partition(b"MODSEQ (")[2].partition(b")")[0])
    other.say(b"STORE 2 +FLAGS (\\Flagged)")
    client.say(b"NOOP")
    answer = client.say(b"FETCH 1:* (FLAGS) (CHANGEDSINCE %d)" % before)
    assert answer == b"* 2 FETCH (FLAGS (\\Flagged) MODSEQ (%d))\r\na OK FETCH completed\r\n" % (before + 1)
    assert client.say(b"UID FETCH 1:* FLAGS (CHANGEDSINCE %d)" % (before + 1)) == b"a OK UID FETCH completed\r\n"
    assert client.say(b"FETCH 1 FLAGS (CHANGEDSINCE)").startswith(b"a BAD ")
    assert client.say(b"FETCH 1 FLAGS (VANISHED)").startswith(b"a BAD ")
    assert client.say(b"SEARCH MODSEQ %d" % (before + 1)).startswith(b"* SEARCH 2 (MODSEQ %d)\r\n" % (before + 1))
    assert client.say(b'SEARCH RETURN (COUNT) MODSEQ "/flags/\\\\Seen" all 1').startswith(
        b'* ESEARCH (TAG "a") COUNT 3 MODSEQ %d\r\n' % (before + 1)
    )
    assert client.say(b"SEARCH MODSEQ x").startswith(b"a BAD ")


def test_a_partial_does_not_go_on_in_another_mailbox(bench: Bench) -> None:
    other = NESTED.replace(b"line", b"\n\n\n\n")
    bench.append(NESTED)
    bench.append(other, mailbox="Sent")
    client = bench.client(b"SELECT INBOX", b"FETCH 1 BODY[]<0.9000>", b"SELECT Sent")
    value = literal(client.say(b"FETCH 1 BODY[]<9000.100>"), b"BODY[]<9000>")
    assert value == other.replace(b"\n", b"\r\n")[9000:9100]
