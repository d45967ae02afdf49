"""SEARCH over a real store: every key finds what it should and nothing else; results in both forms; refusals."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from imap_bench import Bench, Client

from gateway.imap.search_subject import folded
from gateway.imap.settings import ImapSettings

DAY = 86400.0
MESSAGES = [
    # 1
    ("S", 0.0, b"From: Jane Doe <jane@example.com>\nTo: team@example.com\nDate: Thu, 1 Jan 1970 23:00:00 -0500\n"
     b"Subject: Budget\nMessage-ID: <1@x>\n\nnumbers\n"),
    # 2
    ("", 2 * DAY, "From: =?utf-8?q?J=C3=BCrgen?= <j@example.net>\nTo: Jane <jane@example.com>\nCc: boss@example.org\n"
     "Subject: =?gb2312?B?xOO6ww==?=\nX-Flag: blue\n\nÜBERSICHT\n".encode()),
    # 3
    ("FS", 3 * DAY, b"From: x@y\nDate: 5 Feb 2001 00:00:00 +0000\nContent-Type: multipart/mixed; boundary=b\n\n--b\n"
     b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\nw7xiZXJzaWNodA==\n--b\n"
     b"Content-Type: application/octet-stream\nContent-Disposition: attachment; filename=secret.bin\n\nneedle\n--b--\n"),
    # 4
    ("DRT", 4 * DAY, b"Subject: Re: budget of\n the year\nBcc: hidden@example.com\n\n" + b"filler line\n" * 900
     + b"last words\n"),
]  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    bench = Bench(tmp_path_factory.mktemp("search"), ImapSettings(piece=4096))
    for flags, date, stored in MESSAGES:
        bench.append(stored, flags=flags, date=date)
    bench.repository.store_flags("t:jane", 1, [2], "add", "", "Work")
    yield bench.client(b"SELECT INBOX")
    bench.close()


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        (b"ALL", b"1 2 3 4"), (b"SEEN", b"1 3"), (b"UNSEEN", b"2 4"), (b"FLAGGED", b"3"), (b"UNFLAGGED", b"1 2 4"),
        (b"ANSWERED", b"4"), (b"UNANSWERED", b"1 2 3"), (b"DELETED", b"4"), (b"UNDELETED", b"1 2 3"), (b"DRAFT", b"4"),
        (b"UNDRAFT", b"1 2 3"), (b"KEYWORD work", b"2"), (b"UNKEYWORD WORK", b"1 3 4"), (b"NEW", b""), (b"RECENT", b""),
        (b"OLD", b"1 2 3 4"), (b"2", b"2"), (b"2:*", b"2 3 4"), (b"*", b"4"), (b"1,3", b"1 3"), (b"9:7", b""), (b"1 UNSEEN", b""),
        (b"2:3 UID 1:2", b"2"), (b"NOT 2:3", b"1 4"), (b"OR 1 3 SEEN", b"1 3"), (b"(3:4) UNDELETED 1:3", b"3"),
        (b"UID 2:3", b"2 3"), (b"UID 100", b""), (b"LARGER 10000", b"4"), (b"SMALLER 10000", b"1 2 3"),
        (b"BEFORE 3-Jan-1970", b"1"), (b"ON 3-Jan-1970", b"2"), (b'SINCE "4-Jan-1970"', b"3 4"),
        (b"SENTON 1-Jan-1970", b"1"), (b"SENTSINCE 1-Jan-2000", b"3"), (b"SENTBEFORE 6-feb-2001", b"1 2 3 4"),
        (b"FROM jane", b"1"), (b"FROM JANE@example.com", b"1"), (b"FROM {7+}\r\nj\xc3\xbcrgen", b"2"),
        (b"TO jane@", b"2"), (b"CC boss", b"2"), (b"BCC hidden", b"4"), (b"SUBJECT budget", b"1 4"),
        (b'SUBJECT "of the year"', b"4"), (b"SUBJECT {6+}\r\n\xe4\xbd\xa0\xe5\xa5\xbd", b"2"),
        (b"CHARSET gb2312 SUBJECT {4+}\r\n\xc4\xe3\xba\xc3", b"2"),
        (b"CHARSET UTF-8 BODY {10+}\r\n\xc3\x9cbersicht", b"2 3"), (b"BODY numbers", b"1"), (b"BODY needle", b""),
        (b"BODY budget", b""), (b"TEXT budget", b"1 4"), (b"TEXT secret.bin", b"3"), (b"BODY LAST", b"4"),
        (b"HEADER X-Flag blue", b"2"), (b'HEADER X-Flag ""', b"2"), (b"HEADER Message-ID <1@x>", b"1"),
        (b'HEADER bcc ""', b"4"), (b"HEADER X-Flag red", b""), (b"NOT SEEN", b"2 4"), (b"OR FROM jane TO jane", b"1 2"),
        (b"OR (SEEN FLAGGED) (BODY last NOT DRAFT)", b"3"), (b"SEEN NOT (FLAGGED)", b"1"), (b"OLDER 1000", b"1 2 3 4"),
        (b"YOUNGER 1000", b""), (b"OR SUBJECT nothing BODY numbers", b"1"), (b"NOT BODY numbers", b"2 3 4"),
        (b"SEEN BODY numbers HEADER Subject budget", b"1"), (b"OR NOT HEADER X-Flag blue FROM x@", b"1 3 4"),
    ],
)  # fmt: skip
def test_keys(client: Client, keys: bytes, found: bytes) -> None:
    for _ in range(2):  # the second time from the cache
        answer = client.say(b"SEARCH " + keys)
        assert answer == (b"* SEARCH " + found).rstrip() + b"\r\na OK SEARCH completed\r\n"


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        (b"UID SEARCH UNSEEN", b"* SEARCH 2 4\r\na OK UID SEARCH"),
        (b"SEARCH RETURN () 1:3", b'* ESEARCH (TAG "a") ALL 1:3\r\na OK '),
        (b"SEARCH RETURN (MIN MAX COUNT) NOT 2", b'* ESEARCH (TAG "a") MIN 1 MAX 4 COUNT 3\r\n'),
        (b"UID SEARCH RETURN (ALL COUNT) OR 1 3:4", b'* ESEARCH (TAG "a") UID ALL 1,3:4 COUNT 3\r\n'),
        (b"SEARCH RETURN (ALL MIN COUNT) FROM nobody", b'* ESEARCH (TAG "a") COUNT 0\r\n'),
        (b"SEARCH RETURN (MIN) SEEN", b'* ESEARCH (TAG "a") MIN 1\r\n'),
        (b"SEARCH CHARSET klingon ALL", b"a NO [BADCHARSET (US-ASCII UTF-8)] "),
        (b"SEARCH CHARSET utf-8 FROM {1+}\r\n\xff", b"a BAD "),
        (b"SEARCH RETURN (SAVE) 2:3", b"a OK SEARCH completed\r\n"),
        (b"SEARCH RETURN (PARTIAL 2:3) ALL", b'* ESEARCH (TAG "a") PARTIAL (2:3 2:3)\r\n'),
        (b"SEARCH RETURN (PARTIAL -1:-2 COUNT) ALL", b'* ESEARCH (TAG "a") PARTIAL (-1:-2 3:4) COUNT 4\r\n'),
        (b"SEARCH RETURN (PARTIAL 9:12) ALL", b'* ESEARCH (TAG "a") PARTIAL (9:12 NIL)\r\n'),
        (b"SEARCH RETURN (PARTIAL 1:2 ALL) ALL", b"a BAD "),
        (b"SEARCH RETURN (PARTIAL 1:-2) ALL", b"a BAD "),
        (b"SEARCH RETURN (PARTIAL 0:2) ALL", b"a BAD "),
        (b"SEARCH", b"a BAD "),
        (b"SEARCH FOO", b"a BAD "),
        (b"SEARCH OR SEEN", b"a BAD "),
        (b"SEARCH (SEEN", b"a BAD "),
        (b"SEARCH ON 32-Jan-2020", b"a BAD "),
        (b"SEARCH ON 2020-01-01", b"a BAD "),
        (b"SEARCH OLDER 0", b"a BAD "),
        (b"SEARCH " + b"NOT " * 60 + b"SEEN", b"a BAD the search is too large"),
        (b"SEARCH " + b"(" * 60 + b"SEEN" + b")" * 60, b"a BAD the search is too large"),
        (b"SEARCH " + b" ".join([b"SEEN"] * 1100), b"a BAD the search is too large"),
        (b"SEARCH BODY " + b"x" * 5000, b"a BAD the text to look for is too long"),
    ],
)
def test_results_and_refusals(client: Client, said: bytes, answered: bytes) -> None:
    assert answered in client.say(said)
    client.session.errors = 0


def test_a_vanished_message_is_not_found(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.append(*[b"Subject: %d\n\nword\n" % number for number in range(3)])
    client = bench.client(b"SELECT INBOX")
    bench.files()[1].unlink()
    assert client.say(b"SEARCH BODY word").startswith(b"* SEARCH 1 3\r\n")
    assert client.say(b"SEARCH ALL").startswith(b"* SEARCH 1 2 3\r\n")
    bench.close()


def test_combining_marks_cost_what_their_number_costs() -> None:
    hostile = "a" + "\u0301" * 100_000 + "\u0316" * 100_000  # minutes when normalized in one piece
    begin = time.process_time()
    assert len(folded(hostile)) > 190_000
    assert time.process_time() - begin < 5
    assert folded("Gr\u00dc\u00dfE \uff21") == folded("gru\u0308sse a")


def test_an_empty_mailbox(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    client = bench.client(b"SELECT INBOX")
    for keys in (b"ALL", b"1:*", b"UID 1:*", b"BODY x"):
        assert re.match(rb"\* SEARCH\r\na OK ", client.say(b"SEARCH " + keys))
    bench.close()
