"""DEFLATE on a connection: whole however it is split, bounded whatever comes."""

from __future__ import annotations

import os
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.service.deflate import BEGIN, PIECE, RATIO, BadStream, Deflate


def squeeze(data: bytes) -> bytes:
    made = zlib.compressobj(9, zlib.DEFLATED, -15)
    return made.compress(data) + made.flush(zlib.Z_SYNC_FLUSH)


def swell(deflate: Deflate, data: bytes) -> bytes:
    """All that can be had of it, each step bounded."""
    out, rest = b"", data
    while True:
        octets, rest = deflate.swollen(rest)
        assert len(octets) <= PIECE
        if not octets:
            assert rest == b""
            return out
        out += octets


@given(st.lists(st.binary(max_size=300).map(lambda piece: piece * 9), max_size=8), st.integers(1, 50))
@settings(max_examples=50, deadline=None)
def test_whole_however_it_is_split(pieces: list[bytes], size: int) -> None:
    stream = squeeze(b"".join(pieces))
    deflate = Deflate()
    assert b"".join(swell(deflate, stream[at : at + size]) for at in range(0, len(stream), size)) == b"".join(pieces)
    client, said = zlib.decompressobj(-15), b""
    for piece in pieces:
        said += client.decompress(deflate.squeezed(piece))
        assert said.endswith(piece), "each answer comes at once"
    assert said == b"".join(pieces)


@pytest.mark.parametrize("size", [PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
def test_pieces_of_any_size(size: int) -> None:
    for data in (b"x" * size, os.urandom(size)):
        deflate = Deflate()
        assert swell(deflate, squeeze(data)) == data
        assert swell(deflate, b"") == b""


def test_what_is_no_deflate_and_what_ends() -> None:
    with pytest.raises(BadStream, match="no DEFLATE"):
        swell(Deflate(), b"\xff" * 100)
    ended = zlib.compressobj(9, zlib.DEFLATED, -15)
    with pytest.raises(BadStream, match="ended"):
        swell(Deflate(), ended.compress(b"x") + ended.flush())


def test_a_bomb_is_refused_and_mail_is_not() -> None:
    bomb, deflate, grown = squeeze(b"\0" * (2 * BEGIN)), Deflate(), 0
    assert len(bomb) * RATIO < 2 * BEGIN
    with pytest.raises(BadStream, match="beyond"):
        while True:
            octets, bomb = deflate.swollen(bomb)
            grown += len(octets)
    assert grown <= BEGIN + PIECE
    line = b"Received: from mail.example.com by mx.example.net; Tue, 24 Nov 2026 19:59:35 +0000\r\n"
    mail = b"".join(line.replace(b"35", str(number).encode()) for number in range(210_000))
    assert swell(Deflate(), squeeze(mail)) == mail
