"""SORT and THREAD over a real store; what `$` stands for; threads of any shape hold each message once."""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime, parsedate_tz

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imap_bench import Bench, Client

from gateway.imap import sort_keys, threads
from gateway.imap.base_subject import base_subject
from gateway.imap.settings import ImapSettings
from gateway.imap.threads import Threaded
from gateway.mime import scan
from gateway.mime.limits import MAX_REFERENCES

MESSAGES = [
    b"From: Zoe <zoe@a.example>\nTo: b@x\nCc: k@x\nDate: Thu, 1 Jan 2026 10:00:00 +0000\nSubject: Plan\nMessage-ID: <1@x>\n\n1\n",
    b"From: =?utf-8?q?=C3=89mile?= <e@a.example>\nTo: c@x\nDate: Thu, 1 Jan 2026 09:00:00 -0500\nSubject: Re: Plan\n"
    b"Message-ID: <2@x>\nReferences: <1@x>\n\n22\n",
    b"From: adam@a.example\nTo: Anna <a@x>\nDate: Thu, 1 Jan 2026 11:00:00\nSubject: [list] Fwd: plan (fwd)\nMessage-ID: <3@x>\n"
    b"In-Reply-To: mail of Monday <2@x>\n\n333\n",
    b"From: Frank <zz@a.example>\nDate: nonsense\nSubject: Other\nMessage-ID: <4@x>\nReferences: <gone@x>\n\n4444\n",
    b"From: Frank <zz@a.example>\nDate: Fri, 2 Jan 2026 00:00:00 +0000\nSubject: Else\nMessage-ID: <5@x>\n"
    b"References: <gone@x>\n\n55555\n",
]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    bench = Bench(tmp_path_factory.mktemp("sort"), ImapSettings(max_sorted=50))
    for number, stored in enumerate(MESSAGES):
        bench.append(stored, date=1000.0 - 10 * number)
    yield bench.client(b"SELECT INBOX")
    bench.close()


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        (b"SORT (ARRIVAL) UTF-8 ALL", b"* SORT 5 4 3 2 1\r\na OK SORT completed\r\n"),
        (b"SORT (DATE) UTF-8 ALL", b"* SORT 4 1 3 2 5\r\n"),  # 4 by when it came; 3 without a zone is UTC
        (b"SORT (REVERSE DATE) UTF-8 ALL", b"* SORT 5 2 3 1 4\r\n"),
        (b"SORT (SIZE) UTF-8 4:5", b"* SORT 4 5\r\n"),
        (b"SORT (FROM) UTF-8 ALL", b"* SORT 3 2 1 4 5\r\n"),
        (b"SORT (DISPLAYFROM) UTF-8 ALL", b"* SORT 3 2 4 5 1\r\n"),  # adam@, E with an accent, Frank, Zoe
        (b"SORT (REVERSE FROM) UTF-8 4:5", b"* SORT 4 5\r\n"),  # alike: by number, REVERSE or not
        (b"SORT (CC) UTF-8 ALL", b"* SORT 2 3 4 5 1\r\n"),
        (b"SORT (DISPLAYTO) UTF-8 ALL", b"* SORT 4 5 3 1 2\r\n"),
        (b"SORT (SUBJECT) UTF-8 ALL", b"* SORT 5 4 1 2 3\r\n"),
        (b"SORT (SUBJECT REVERSE ARRIVAL) UTF-8 ALL", b"* SORT 5 4 1 2 3\r\n"),
        (b"SORT (SUBJECT ARRIVAL) UTF-8 ALL", b"* SORT 5 4 3 2 1\r\n"),
        (b"UID SORT (SUBJECT) US-ASCII SUBJECT plan", b"* SORT 1 2 3\r\na OK UID SORT"),
        (b"SORT (DATE) UTF-8 SUBJECT nothing", b"* SORT\r\n"),
        (b"SORT RETURN (MIN MAX COUNT) (DATE) UTF-8 ALL", b'* ESEARCH (TAG "a") MIN 4 MAX 5 COUNT 5\r\n'),
        (b"SORT RETURN () (DATE) UTF-8 ALL", b'* ESEARCH (TAG "a") ALL 4,1,3,2,5\r\n'),
        (b"UID SORT RETURN (PARTIAL 2:3) (DATE) UTF-8 ALL", b'* ESEARCH (TAG "a") UID PARTIAL (2:3 1,3)\r\n'),
        (b"SORT (DATE) UTF-8 MODSEQ 1", b"* SORT 4 1 3 2 5 (MODSEQ "),
        (b"SORT (DATE) klingon ALL", b"a NO [BADCHARSET "),
        (b"SORT (COLOUR) UTF-8 ALL", b"a BAD unknown sort key"),
        (b"SORT () UTF-8 ALL", b"a BAD "),
        (b"SORT (REVERSE) UTF-8 ALL", b"a BAD "),
        (b"SORT (" + b" ".join([b"DATE"] * 17) + b") UTF-8 ALL", b"a BAD too many sort keys"),
        (b"SORT DATE UTF-8 ALL", b"a BAD "),
        (b"UID FETCH 1:* (UID) (PARTIAL -1:-2)", b"* 4 FETCH (UID 4)\r\n* 5 FETCH (UID 5)\r\na OK"),
        (b"UID FETCH 2:* (UID) (PARTIAL 1:1 CHANGEDSINCE 1)", b"* 2 FETCH (UID 2 MODSEQ ("),
        (b"UID FETCH 1:* (UID) (PARTIAL 7:9)", b"a OK UID FETCH completed\r\n"),
        (b"FETCH 1:* (UID) (PARTIAL 1:2)", b"a BAD "),
        (b"UID FETCH 1:* (UID) (PARTIAL 1:2 PARTIAL 1:2)", b"a BAD "),
        (b"UID FETCH 1:* (UID) ()", b"a BAD "),
        (b"THREAD REFERENCES UTF-8 ALL", b"* THREAD ((4)(5))(1 2 3)\r\na OK THREAD completed\r\n"),
        (b"UID THREAD REFS UTF-8 ALL", b"* THREAD ((4)(5))(1 2 3)\r\na OK UID THREAD"),
        (b"THREAD ORDEREDSUBJECT UTF-8 ALL", b"* THREAD (4)(1 (3)(2))(5)\r\n"),
        (b"THREAD REFERENCES UTF-8 2:4", b"* THREAD (4)(2 3)\r\n"),
        (b"THREAD REFERENCES UTF-8 SUBJECT nothing", b"* THREAD\r\n"),
        (b"THREAD JWZ UTF-8 ALL", b"a BAD unknown threading algorithm"),
        (b"THREAD REFS klingon ALL", b"a NO [BADCHARSET "),
    ],
)
def test_answers(client: Client, said: bytes, answered: bytes) -> None:
    assert answered in client.say(said)
    client.session.errors = 0


def test_what_a_search_kept(client: Client) -> None:
    assert client.say(b"UID SEARCH RETURN (SAVE) SUBJECT plan") == b"a OK UID SEARCH completed\r\n"
    assert client.say(b"FETCH $ UID").count(b"FETCH (") == 3
    assert b"* SORT 3 2 1\r\n" in client.say(b"SORT (ARRIVAL) UTF-8 $")
    client.say(b"SORT RETURN (SAVE MIN) (ARRIVAL) UTF-8 ALL")
    assert b"* SEARCH 5\r\n" in client.say(b"SEARCH $")
    assert b"a BAD" in client.say(b"SEARCH RETURN (SAVE) FOO")
    assert b"* SEARCH 5\r\n" in client.say(b"SEARCH UID $")  # what is wrong changes nothing
    assert b"a NO" in client.say(b"SEARCH RETURN (SAVE) CHARSET klingon ALL")
    assert b"* SEARCH\r\n" in client.say(b"SEARCH $")
    assert client.say(b"FETCH $ UID") == b"a OK FETCH completed\r\n"
    client.say(b"SEARCH RETURN (SAVE) ALL")
    assert b"a NO" in client.say(b"SORT RETURN (SAVE) (DATE) klingon ALL")
    assert b"* SEARCH\r\n" in client.say(b"SEARCH $")
    client.say(b"SEARCH RETURN (SAVE) ALL")
    client.say(b"SELECT INBOX")
    assert b"* SEARCH\r\n" in client.say(b"SEARCH $")
    client.session.errors = 0


def test_the_modseq_of_the_messages_that_are_named(client: Client) -> None:
    modseqs = re.findall(rb"MODSEQ \((\d+)\)", client.say(b"FETCH 1:5 MODSEQ"))
    assert b" MIN 4 MODSEQ " + modseqs[3] + b"\r\n" in client.say(b"SORT RETURN (MIN) (DATE) UTF-8 MODSEQ 1")
    assert b" MIN 1 MODSEQ " + modseqs[0] + b"\r\n" in client.say(b"SEARCH RETURN (MIN) MODSEQ 1")


def test_what_was_kept_and_is_gone(tmp_path_factory: pytest.TempPathFactory) -> None:
    bench = Bench(tmp_path_factory.mktemp("kept"), ImapSettings(max_sorted=2))
    bench.append(*MESSAGES)
    client = bench.client(b"SELECT INBOX")
    client.say(b"SEARCH RETURN (SAVE) 2:4")
    client.say(b"STORE 3 +FLAGS (\\Deleted)")
    client.say(b"EXPUNGE")
    assert b"* SEARCH 2 3\r\n" in client.say(b"SEARCH $")
    assert client.say(b"STORE $ +FLAGS (\\Seen)").count(b"\\Seen") == 2
    assert b"COPYUID" in client.say(b"COPY $ Archive")
    assert b"a NO [LIMIT] 4 messages are more than 2" in client.say(b"SORT (DATE) UTF-8 ALL")
    assert b"a NO [LIMIT] " in client.say(b"THREAD REFS UTF-8 ALL")
    bench.close()


@pytest.mark.parametrize(
    ("subject", "base", "is_reply"),
    [
        ("Plan", "Plan", False), ("Re: plan", "plan", True), ("RE[2]: plan", "plan", True), ("fw:  plan \t", "plan", True),
        ("[list] Re: [list] plan", "plan", True), ("[only]", "[only]", False), ("Re: [only]", "[only]", True),
        ("plan (fwd) (FWD)", "plan", True), ("[Fwd: Re: plan]", "plan", True), ("Re:", "", True), ("", "", False),
        ("Research: a", "Research: a", False), ("[a][b] c", "c", False), ("re : x", "x", True),
    ],
)  # fmt: skip
def test_base_subjects(subject: str, base: str, is_reply: bool) -> None:
    assert base_subject(subject) == (base, is_reply)


def test_hostile_subjects_cost_what_their_length_costs() -> None:
    begin = time.process_time()
    for hostile in ("[a]" * 40_000, "re:" * 40_000, "[" * 100_000, "(fwd)" * 20_000, "[fwd:" * 20_000 + "]" * 20_000):
        base_subject(hostile)
    assert time.process_time() - begin < 10


def message(number: int, references: tuple[int, ...] = (), subject: str = "", *, is_reply: bool = False) -> Threaded:
    ids = [b"%d@x" % each for each in references]
    return Threaded(number, float(number), float(number), subject, is_reply, b"%d@x" % number, ids)


@pytest.mark.parametrize(
    ("messages", "shown"),
    [
        ([message(1), message(2, (1,)), message(3, (1,))], b"(1 (2)(3))"),
        ([message(3, (1, 2)), message(1)], b"(1 3)"),
        ([message(1, (2,)), message(2, (1,))], b"(2 1)"),
        ([message(1, (1,))], b"(1)"),
        ([message(1, (7,)), message(2, (7,)), message(3, (7, 8))], b"((1)(2)(3))"),
        ([message(1), message(2, (1,)), message(3, (1, 2)), message(4, (1, 2))], b"(1 2 (3)(4))"),
        ([message(1, (), "a"), message(2, (), "a", is_reply=True)], b"(1 2)"),
        ([message(1, (), "a"), message(2, (), "a")], b"((1)(2))"),
        ([message(1, (), "a", is_reply=True), message(2, (), "a")], b"(2 1)"),
        ([message(1, (9,), "a"), message(2, (9,), "a"), message(3, (), "a")], b"((1)(2)(3))"),
        ([message(1), Threaded(2, 2.0, 2.0, "", False, b"1@x", [])], b"(1)(2)"),
    ],
)
def test_shapes(messages: list[Threaded], shown: bytes) -> None:
    assert threads.shown(threads.by_references(messages)) == shown


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 12), max_size=4), st.sampled_from(["", "a", "b"]), st.booleans(), st.integers(0, 12)
        ),
        max_size=14,
    )
)
def test_each_message_once(facts: list[tuple[list[int], str, bool, int]]) -> None:
    for algorithm in (threads.by_references, threads.by_refs, threads.by_subject):
        messages = [
            Threaded(
                number, float(-number), float(number), subject, is_reply, b"%d@x" % own, [b"%d@x" % r for r in refs]
            )
            for number, (refs, subject, is_reply, own) in enumerate(facts, 1)
        ]
        said = threads.shown(algorithm(messages))
        assert sorted(map(int, re.findall(rb"\d+", said))) == list(range(1, len(facts) + 1))
        assert said.count(b"(") == said.count(b")")
        assert b"()" not in said
        assert b"( " not in said


@pytest.mark.parametrize("order", [1, -1])
def test_a_thread_as_deep_as_the_mailbox(order: int) -> None:
    begin = time.process_time()
    messages = [message(number, (number - 1,)) for number in range(1, 50_001)][::order]
    said = threads.shown(threads.by_references(messages))
    assert said.startswith(b"(1 2 3 4")
    assert time.process_time() - begin < 30


@given(st.datetimes(datetime(1902, 1, 1), datetime(2200, 1, 1)), st.integers(-1439, 1439), st.booleans())
def test_a_usual_date_is_read_as_any_other(date: datetime, zone: int, named: bool) -> None:
    text = format_datetime(date.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=zone))))
    shown = text.encode() + b" (CET)" * named
    parsed = parsedate_tz(text)
    assert parsed is not None
    assert sort_keys._usual_date(shown) == calendar.timegm(parsed[:9]) - (parsed[9] or 0)
    for other in (shown + b"x", shown.replace(b":", b".", 1), shown.replace(b" ", b"  ", 2), b"99" + shown[2:]):
        assert sort_keys._usual_date(other) is None


def test_threads_are_made_of_what_is_kept(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    before = client.say(b"THREAD REFERENCES UTF-8 ALL")
    monkeypatch.setattr(client.executor.host.stores, "open_file", lambda *_: pytest.fail("no file has to be read"))
    assert client.say(b"THREAD REFERENCES UTF-8 ALL") == before
    assert b"SERVERBUG" not in client.say(b"SORT (DATE SUBJECT) UTF-8 ALL")


def test_of_long_references_the_end_is_kept() -> None:
    assert scan(b"References: <a@x>\n\t<b@x>\n\n").references == b"<a@x>\t<b@x>"
    assert scan(b"Subject: x\n\nReferences: <a@x>\n").references == b""
    many = b" ".join(b"<%d@x>" % number for number in range(5000))
    kept = scan(b"References: " + many + b"\n\n").references
    assert len(kept) == MAX_REFERENCES
    found = threads.references_of(kept, b"")
    assert found == [b"%d@x" % number for number in range(5000 - len(found), 5000)]
