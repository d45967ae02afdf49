"""Distinguished names in the form under which they are compared (RFC 4514)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ldap3.utils.dn import parse_dn

from directory.raw import canonical_dn, is_below, parent_dn


@pytest.mark.parametrize(
    ("given_dn", "expected"),
    [
        ("UID=Jane, OU=People,DC=Example,DC=com", "uid=jane,ou=people,dc=example,dc=com"),
        ("uid=jane ,  ou=people", "uid=jane,ou=people"),
        (r"cn=Doe\, Jane,o=x", r"cn=doe\, jane,o=x"),
        (r"cn=Doe\2C Jane\2b\3d,o=x", r"cn=doe\, jane\+\=,o=x"),
        (r"cn=J\C3\84ne\2C,o=x", r"cn=jäne\,,o=x"),
        (r"cn=a\5C,o=x", "cn=a\\\\,o=x"),
        ("cn=a+uid=b,o=x", "cn=a+uid=b,o=x"),
        ("cn=Jäne DOE,o=x", "cn=jäne doe,o=x"),
        ("no dn at all", "no dn at all"),
        ("", ""),
    ],
)
def test_equal_names_give_equal_text(given_dn: str, expected: str) -> None:
    assert canonical_dn(given_dn) == expected


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["cn", "OU", "dc"]), st.text("abZ ü0.-_@/", min_size=1)), min_size=1, max_size=5)
)
def test_the_short_way_gives_what_the_parser_gives(parts: list[tuple[str, str]]) -> None:
    if any(not value.strip() for _, value in parts):
        return
    dn = ",".join(f"{name}={value.strip()}" for name, value in parts)
    parsed = "".join(f"{n.lower()}={v.strip().lower()}{s}" for n, v, s in parse_dn(dn, escape=False, strip=True))
    assert canonical_dn(dn) == parsed


def test_above_and_below() -> None:
    assert is_below("uid=a,ou=p,o=x", "o=x") and not is_below("uid=a,ou=xo=x", "o=x")
    assert parent_dn(r"cn=doe\, jane,o=x") == "o=x" and parent_dn("o=x") == ""
    assert parent_dn("cn=back\\\\,o=x") == "o=x"
    assert parent_dn("cn=ends in a backslash\\\\,o=x") == "o=x"
