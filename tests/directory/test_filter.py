"""The filter evaluator (RFC 4515)."""

from __future__ import annotations

import pytest

from directory.filter import InvalidFilter, compile_filter
from directory.raw import RawEntry

JANE = RawEntry(
    "x:1", "uid=jane,o=x",
    {"objectclass": [b"top", b"inetOrgPerson"], "uid": [b"jane"], "cn": ["Jäne  Doe".encode()], "size": [b"9"], "note": [b"a(b)*c"]},
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(uid=JANE)", True),
        ("uid=jane", True),
        ("(uid=bob)", False),
        ("(uid=*)", True),
        ("(mail=*)", False),
        ("(cn=jäne doe)", True),
        ("(cn=j*d*e)", True),
        ("(cn=*x*)", False),
        ("(size>=10)", False),
        ("(size<=10)", True),
        ("(&(uid=jane)(objectClass=inetorgperson))", True),
        ("(|(uid=bob)(uid=jane))", True),
        ("(!(uid=jane))", False),
        ("(&)", True),
        (r"(note=a\28b\29\2ac)", True),
        (r"(cn=j\c3\a4ne doe)", True),
    ],
)
def test_matches(text: str, expected: bool) -> None:
    assert compile_filter(text)(JANE) is expected


@pytest.mark.parametrize("text", ["", "(", "(uid=jane", "(uid=jane))", "(uid:dn:=x)", "(!)", "(&(uid=a)x)", "(" * 100])
def test_bad_filters_say_where(text: str) -> None:
    with pytest.raises(InvalidFilter):
        compile_filter(text)
