"""DKIM: canonical forms against the examples of the RFCs, independent of how the body is cut; what is signed."""

from __future__ import annotations

import base64
import hashlib
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.dkim import BodyHash, Signer, record, relaxed_field, signature, signed_fields
from gateway.mail.header import scan


def body_hash(*pieces: bytes) -> str:
    found = BodyHash()
    for piece in pieces:
        found.update(piece)
    return base64.b64encode(found.digest()).decode()


def test_the_example_of_rfc_8463() -> None:
    body = b"Hi.\n\nWe lost the game.  Are you hungry yet?\n\nJoe.\n"
    assert body_hash(body) == "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="


@pytest.mark.parametrize("body", [b"", b"\n", b"\n\n \n\t\n"])
def test_an_empty_body(body: bytes) -> None:
    assert body_hash(body) == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="  # RFC 6376 3.4.4


def test_the_example_of_rfc_6376() -> None:
    expected = base64.b64encode(hashlib.sha256(b" C\r\nD E\r\n").digest()).decode()
    assert body_hash(b" C \nD \t E\n\n\n") == expected
    assert relaxed_field(b"A", b" X\n") == b"a:X\r\n"
    assert relaxed_field(b"B", b" Y\t\n\tZ  \n") == b"b:Y Z\r\n"


@given(st.text(alphabet="a \t\n", max_size=60).map(str.encode), st.lists(st.integers(0, 60), max_size=6))
def test_where_the_body_is_cut_does_not_matter(body: bytes, cuts: list[int]) -> None:
    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    pieces = [body[start:end] for start, end in pairwise(edges)]
    lines = [re.sub(rb"[ \t]+", b" ", line.rstrip(b" \t")) for line in body.split(b"\n")]
    while lines and not lines[-1]:
        lines.pop()
    canonical = b"".join(line + b"\r\n" for line in lines)
    expected = base64.b64encode(hashlib.sha256(canonical).digest()).decode()
    assert body_hash(*pieces) == body_hash(body) == expected


def test_what_is_signed() -> None:
    header = scan(b"From: a@b\nX-Other: 1\nSubject: x\n y\nReceived: z\nSubject: second\n\n")
    names, octets = signed_fields([header])
    assert names[:3] == [b"from", b"subject", b"subject"] and names.count(b"from") == 2 and names.count(b"subject") == 3
    assert octets == b"from:a@b\r\nsubject:second\r\nsubject:x y\r\n", "from the last one up"
    seen: list[bytes] = []

    def sign(data: bytes) -> bytes:
        seen.append(data)
        return b"s" * 256

    field = signature(Signer("b.example", "sel", "rsa-sha256", sign), [header], b"d" * 32, 5.9)
    assert b"l=" not in field and b"t=5;" in field and max(map(len, field.split(b"\n"))) < 120
    assert seen[0].startswith(octets) and seen[0].endswith(b"; b=")


def test_records() -> None:
    assert record("rsa-sha256", b"abc") == "v=DKIM1; k=rsa; p=YWJj"
    assert record("ed25519-sha256", b"abc") == "v=DKIM1; k=ed25519; p=YWJj"
