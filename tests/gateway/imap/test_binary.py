"""Parts without their transfer encoding (RFC 3516), small ones at once and large ones in pieces."""

from __future__ import annotations

import base64
import quopri
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imap_bench import Bench, Client

from gateway.imap.settings import ImapSettings
from gateway.mime.transfer import decoder

PICTURE = bytes(range(256)) * 40
LETTER = (
    "Grüße,\nein langer Satz, der umbrochen wird, weil er so lang ist, daß er nicht in eine Zeile paßt. = Ende\n" * 60
)
MIXED = (
    b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; charset=utf-8\n"
    b"Content-Transfer-Encoding: quoted-printable\n\n" + quopri.encodestring(LETTER.encode()) + b"\n--b\n"
    b"Content-Type: image/png\nContent-Transfer-Encoding: BASE64\n\n" + base64.encodebytes(PICTURE) + b"\n--b\n"
    b"Content-Type: text/plain\n\nplain\n--b\nContent-Transfer-Encoding: rot13\n\nuryyb\n--b--\n"
)
SMALL = b"Content-Transfer-Encoding: base64\n\naGVs\nbG8=\nrest that stands behind\n"


@pytest.fixture(scope="module", params=[4096, 262_144], ids=["in pieces", "at once"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    bench = Bench(tmp_path_factory.mktemp("binary"), ImapSettings(piece=request.param))
    bench.append(MIXED, SMALL)
    yield bench.client(b"SELECT INBOX")
    bench.close()


def literal(said: bytes) -> bytes:
    head = re.search(rb"~?\{(\d+)\}\r\n", said)
    assert head is not None, said[:200]
    return said[head.end() : head.end() + int(head[1])]


def test_parts(client: Client) -> None:
    said = client.say(b"FETCH 1 BINARY.PEEK[1]")
    letter = LETTER.encode().replace(b"\n", b"\r\n")
    assert literal(said).startswith(letter.removesuffix(b"\r\n"))
    assert said.startswith(b"* 1 FETCH (BINARY[1] {%d}\r\n" % len(literal(said)))
    said = client.say(b"FETCH 1 (UID BINARY.PEEK[2] BINARY.SIZE[2] BINARY.SIZE[9] BINARY.PEEK[9])")
    assert literal(said) == PICTURE
    assert said.startswith(b"* 1 FETCH (UID 1 BINARY[2] ~{%d}\r\n" % len(PICTURE))
    assert said.endswith(
        b" BINARY.SIZE[2] %d BINARY.SIZE[9] 0 BINARY[9] NIL)\r\na OK FETCH completed\r\n" % len(PICTURE)
    )
    assert b"BINARY[2]<100> ~{156}\r\n" + PICTURE[100:256] in client.say(b"FETCH 1 BINARY.PEEK[2]<100.156>")
    assert literal(client.say(b"FETCH 1 BINARY.PEEK[2]<10000.5000>")) == PICTURE[10000:]
    assert b"BINARY[2]<99999> ~{0}\r\n)" in client.say(b"FETCH 1 BINARY.PEEK[2]<99999.5>")
    assert literal(client.say(b"FETCH 1 BINARY.PEEK[]")) == MIXED.replace(b"\n", b"\r\n")
    assert literal(client.say(b"FETCH 2 BINARY.PEEK[1]")) == b"hello"
    assert b"BINARY[3] {5}\r\nplain)" in client.say(b"FETCH 1 BINARY.PEEK[3]")
    assert b"FLAGS ()" in client.say(b"FETCH 1 FLAGS")
    assert b"FLAGS (\\Seen)" in client.say(b"FETCH 1 (BINARY[3])")
    client.say(b"STORE 1 -FLAGS.SILENT (\\Seen)")


def test_refusals(client: Client) -> None:
    said = client.say(b"FETCH 1:2 (UID BINARY.PEEK[4])")
    assert said.startswith(b"* 2 FETCH (UID 2 BINARY[4] NIL)\r\na NO [UNKNOWN-CTE] ")
    assert client.say(b"FETCH 1 BINARY.SIZE[4]").startswith(b"a NO [UNKNOWN-CTE] ")
    for wrong in (
        b"BINARY[TEXT]",
        b"BINARY[1.MIME]",
        b"BINARY.SIZE[1]<0.5>",
        b"BINARY[1]<0.0>",
        b"BINARY[0]",
        b"BINARY",
    ):
        assert client.say(b"FETCH 1 " + wrong).startswith(b"a BAD "), wrong
    client.session.errors = 0


def test_append_of_a_literal8(client: Client) -> None:
    assert b"a OK [APPENDUID " in client.say(b"APPEND Drafts ~{14+}\r\nSubject: x\r\n\r\n")
    said = client.say(b"APPEND Drafts ~{15+}\r\nSubject: x\r\n\r\n\0")
    assert b"a NO [UNKNOWN-CTE] " in said
    assert b"a BAD NUL" in client.say(b"APPEND Drafts {15+}\r\nSubject: x\r\n\r\n\0")
    client.session.errors = 0


def in_pieces(encoding: bytes, octets: bytes, size: int) -> bytes:
    undo = decoder(encoding)
    pieces = [undo.feed(octets[at : at + size]) for at in range(0, len(octets), size)]
    return b"".join([*pieces, undo.end()])


@given(st.binary(max_size=300), st.integers(1, 20))
def test_what_was_encoded_comes_back(octets: bytes, size: int) -> None:
    assert in_pieces(b"base64", base64.encodebytes(octets), size) == octets
    text = octets.replace(b"\r", b"").replace(b"\n", b"")
    assert in_pieces(b"quoted-printable", quopri.encodestring(text), size) == text
    stored = octets.replace(b"\r", b"")
    assert in_pieces(b"8bit", stored, size) == stored.replace(b"\n", b"\r\n")


@given(st.sampled_from([b"base64", b"quoted-printable"]), st.binary(max_size=200), st.integers(1, 20))
def test_pieces_make_no_difference(encoding: bytes, octets: bytes, size: int) -> None:
    assert in_pieces(encoding, octets, size) == in_pieces(encoding, octets, 10_000)


def test_a_line_without_end_is_not_kept() -> None:
    long = b"a=41" * 60_000
    undo = decoder(b"quoted-printable")
    out = b"".join([undo.feed(long[at : at + 7]) for at in range(0, len(long), 7)])
    assert len(out) > len(long) // 2 - 70_000
    assert out + undo.end() == b"aA" * 60_000
