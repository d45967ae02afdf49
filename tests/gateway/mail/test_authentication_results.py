"""Authentication-Results: whose a field is, and ours written out (RFC 8601)."""

from __future__ import annotations

import pytest

from gateway.mail.authentication_results import authserv_id, claims, field, result, value_of


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"mx.example.com; spf=pass", "mx.example.com"),
        (b" (a (nested\\) one)) MX.Example.com 1; none", "mx.example.com"),
        (b'"mx.example.com" 1; none', "mx.example.com"),
        (b'"mx\\.example.com"; none', "mx.example.com"),
        (b"mx.example.com(comment); none", "mx.example.com"),
        (b"", None),
        (b"(never ends; mx.example.com", None),
        (b'"never ends', None),
        (b"(" * 50, None),
    ],
)
def test_whose_it_is(value: bytes, expected: str | None) -> None:
    assert authserv_id(value) == expected


def test_what_claims_to_be_ours() -> None:
    assert claims(b"MX.example.com; dkim=pass", "mx.example.com")
    assert claims(b"mx.example.com.; dkim=pass", "mx.example.com")
    assert claims(b"(", "mx.example.com"), "what cannot be read"
    assert not claims(b"other.example; dkim=pass header.d=mx.example.com", "mx.example.com")


def test_ours() -> None:
    results = [result("spf", "pass", "", {"smtp.mailfrom": value_of("jane@example.com")}), "dkim=none"]
    assert field("mx.example.com", results) == (
        b"Authentication-Results: mx.example.com;\n\tspf=pass smtp.mailfrom=jane@example.com;\n\tdkim=none\n"
    )
    assert field("here", []) == b"Authentication-Results: here;\n\tnone\n"
    told = result("dkim", "fail", 'a "bad"\n\x00\\ key', {"header.d": "a.example"})
    assert told == 'dkim=fail reason="a \\"bad\\"\\\\ key" header.d=a.example'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a@b", "a@b"),
        ("ü@b", "ü@b"),
        ("a\r\nEvil: x@b", '"aEvil:x@b"'),
        ("a\x85b@c", "ab@c"),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("a;b", '"a;b"'),
        ("", '""'),
        ("x" * 1000, "x" * 320),
    ],
)
def test_a_value_cannot_end_the_field(text: str, expected: str) -> None:
    assert value_of(text) == expected
