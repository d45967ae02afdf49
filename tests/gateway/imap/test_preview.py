"""The first words of messages (RFC 8970)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imap_bench import Bench, Client

from gateway.imap.settings import ImapSettings
from gateway.mime import scan
from gateway.mime.preview import MAX_LENGTH, preview

HTML = (
    "Content-Type: text/html; charset=utf-8\n\n<html><head><title>T</title><style>p {color: red}</style></head>"
    "<body><p>Gr\u00fc\u00dfe&nbsp;aus <b>Bonn</b></p><div>heute &amp; morgen</div><script>x()</script></body>\n"
)
MESSAGES = [
    b"Subject: a\n\n  Hello,\n\n\tsee you   at noon.\n> quoted\n> more\n",
    HTML.encode(),
    b"Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/html\n\n<p>rich</p>\n--b\n"
    b"Content-Type: text/plain\n\nplain\n--b--\n",
    b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: application/pdf\nContent-Transfer-Encoding: base64\n\n"
    + b"QUJD" * 4000 + b"\n--b\nContent-Type: text/plain; charset=gb2312\nContent-Transfer-Encoding: base64\n\nxOO6ww==\n--b--\n",
    b"Content-Type: image/png\n\nxyz\n",
    b"Subject: q\n\n> only quoted\n",
    b"Subject: q\n\nAnn:\n> old\nnew \"words\"\n",
]  # fmt: skip


@pytest.fixture(scope="module", params=[4096, 262_144], ids=["in pieces", "at once"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    bench = Bench(tmp_path_factory.mktemp("preview"), ImapSettings(piece=request.param))
    bench.append(*MESSAGES)
    yield bench.client(b"SELECT INBOX")
    bench.close()


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (1, b'"Hello, see you at noon."'), (2, "Gr\u00fc\u00dfe aus Bonn heute & morgen".encode()), (3, b'"plain"'),
        (4, "\u4f60\u597d".encode()), (5, b'""'), (6, b'"> only quoted"'), (7, b'"Ann: new \\"words\\""'),
    ],
)  # fmt: skip
def test_what_is_shown(client: Client, number: int, shown: bytes) -> None:
    said = client.say(b"FETCH %d (PREVIEW UID)" % number)
    assert said.startswith(b"* %d FETCH (UID %d PREVIEW " % (number, number))
    assert said.endswith(shown + b")\r\na OK FETCH completed\r\n")
    lazy = client.say(b"FETCH %d (PREVIEW (LAZY) BODY.PEEK[TEXT]<0.1>)" % number)
    assert lazy.startswith(b"* %d FETCH (PREVIEW " % number)
    assert shown in lazy
    assert b"FLAGS ()" in client.say(b"FETCH %d FLAGS" % number)


def test_wrong_ones(client: Client) -> None:
    assert client.say(b"FETCH 1 PREVIEW").startswith(b"* 1 FETCH (PREVIEW ")
    for wrong in (b"(PREVIEW (EAGER))", b"(PREVIEW[])", b"(PREVIEW ())"):
        assert client.say(b"FETCH 1 " + wrong).startswith(b"a BAD "), wrong
    client.session.errors = 0


def shown_of(stored: bytes) -> str:
    return preview(lambda start, end: stored[start:end], scan(stored))


@given(st.binary(max_size=600))
def test_anything_makes_one_bounded_line(octets: bytes) -> None:
    for head in (b"\n", b"Content-Type: text/html\n\n"):
        shown = shown_of(head + octets)
        assert len(shown) <= MAX_LENGTH
        assert not re.search(r"[\x00-\x1f\x7f]", shown)


@pytest.mark.parametrize("hostile", [b"<" * 20_000, b"<p " * 7_000, b"&" * 20_000, b"<!--" * 5_000, b"> " * 9_000])
def test_hostile_text_costs_little(hostile: bytes) -> None:
    begin = time.process_time()
    for head in (b"\n", b"Content-Type: text/html\n\n"):
        shown_of(head + hostile)
    assert time.process_time() - begin < 5
