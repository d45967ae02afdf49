"""Fields of a header block and the addresses in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.address_list import AddressProblem, addresses
from gateway.mail.header import MAX_FIELD, MAX_FIELDS, HeaderProblem, scan, scan_pieces

MESSAGE = b"Return-Path: <x@y>\nReceived: a\n\tb\nFROM : Jane\n <jane@example.com>\nfrom: b@c\n\nFrom: body@x\n"


def test_fields_and_removal() -> None:
    header = scan(MESSAGE)
    assert [field.name for field in header.fields] == [b"return-path", b"received", b"from", b"from"]
    assert header.unfolded(header.all(b"from")[0]) == b"Jane <jane@example.com>"
    assert b"".join(header.without(b"return-path")) == MESSAGE.removeprefix(b"Return-Path: <x@y>\n")
    assert MESSAGE[header.end :] == b"\nFrom: body@x\n"


def test_messages_without_header_or_body() -> None:
    assert scan(b"\nbody").fields == ()
    assert scan(b"").fields == ()
    assert scan(b"A: b\n").has(b"a")
    assert scan(b"A: b").has(b"a")
    assert scan(b"A: b\nnonsense\nB: c\n\n").has(b"b")


def test_limits() -> None:
    with pytest.raises(HeaderProblem):
        scan(b"A: " + b"x" * MAX_FIELD + b"\n\n")
    with pytest.raises(HeaderProblem):
        scan(b"A: b\n" * (MAX_FIELDS + 1) + b"\n")
    with pytest.raises(HeaderProblem):
        scan(b"A: b\n", whole=False)


@given(st.lists(st.sampled_from([b"A", b":", b" ", b"\n", b"From", b"x", b"\xff"]), max_size=60))
def test_pieces_always_make_the_message(parts: list[bytes]) -> None:
    content = b"".join(parts)
    header = scan(content)
    assert header.end <= len(content)
    kept = b"".join(header.without(b"from"))
    assert len(kept) == len(content) - sum(field.end - field.start for field in header.all(b"from"))
    assert not scan(content[: header.end]).fields or scan(content[: header.end]).fields == header.fields


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("jane@example.com", ["jane@example.com"]),
        ("Jane Q. Doe <jane@example.com>", ["jane@example.com"]),
        ('"evil@x" <jane@example.com>', ["jane@example.com"]),
        ('"Doe, Jane" <jane@example.com>, b@c (x (y@z))', ["jane@example.com", "b@c"]),
        ("jane@example.com (Jane <other@x>)", ["jane@example.com"]),
        ("Team: a@b, C <c@d>;, e@f", ["a@b", "c@d", "e@f"]),
        ("undisclosed:;", []),
        ("<@relay.example:jane@example.com>", ["jane@example.com"]),
        ('"jane doe"@example.com', ['"jane doe"@example.com']),
        ("=?utf-8?q?J=C3=A4n?= <j@x>", ["j@x"]),
        ("王伟 <王伟@例子.example>", ["王伟@例子.example"]),
        ("jane @ example . com", ["jane@example.com"]),
        ("", []),
    ],
)
def test_addresses(value: str, found: list[str]) -> None:
    assert addresses(value.encode()) == found


@pytest.mark.parametrize(
    "value",
    [
        "jane",
        "a@b c@d",
        "a@b <c@d>",
        "<a@b> <c@d>",
        "<a@b",
        "a@",
        "@b",
        "x (y",
        "x) <a@b>",
        "a@b@c",
        "G: a@b",
        "a b@c",
        '"x <a@b>',
        "a@b;c@d",
        "<a b@c>",
    ],
)
def test_what_could_be_read_in_two_ways_is_a_problem(value: str) -> None:
    with pytest.raises(AddressProblem):
        addresses(value.encode())


@given(st.text(alphabet='a@<>,;:()"\\. []\u00e4', max_size=30))
def test_anything_is_read_or_a_problem(value: str) -> None:
    try:
        for address in addresses(value.encode()):
            assert "@" in address
    except AddressProblem:
        pass


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_no_more_pieces_are_taken_than_hold_the_fields(size: int) -> None:
    content = b"Subject: a\n b\nTo: c\n\nbody\n\nmore"
    pieces = iter([content[at : at + size] for at in range(0, len(content), size)])
    header = scan_pieces(pieces)
    assert [header.unfolded(field) for field in header.fields] == [b"a b", b"c"]
    assert header.content.count(b"\n\n") == (2 if size == 1000 else 1)
    assert header.content + b"".join(pieces) == content


def test_pieces_without_an_end() -> None:
    assert scan_pieces(iter([b"\n", b"body"])).content == b"\n"
    assert scan_pieces(iter([b"To: a\n"])).fields[0].name == b"to"
    assert scan_pieces(iter(())).fields == ()
    with pytest.raises(HeaderProblem):
        scan_pieces(iter([b"x" * 65536] * 5))
