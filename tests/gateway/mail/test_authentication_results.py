"""Authentication-Results: whose a field is, and ours written out (RFC 8601)."""

from __future__ import annotations

import pytest

from gateway.mail.authentication_results import authserv_id, claims


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
