"""LDIF content (RFC 2849): what the tools write is read, everything else says its line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directory.ldif import InvalidLdif, records

GOOD = b"""\xef\xbb\xbfversion: 1
# a comment
# that is folded
  and goes on

dn: uid=jane,
 o=x
objectClass: top
objectclass: person
cn:: SsOkbmU=
cn;lang-de:Jane
description:  two spaces
empty:
userPassword: {SSHA}a:b

dn:: dWlkPcO8LG89eA==\r
uid: u\r
\r
"""


def test_content_is_read() -> None:
    first, second = records(GOOD)
    assert first[0] == "uid=jane,o=x" and first[2] == 6
    assert first[1] == {
        "objectclass": [b"top", b"person"], "cn": ["Jäne".encode()], "cn;lang-de": [b"Jane"],
        "description": [b"two spaces"], "empty": [b""], "userpassword": [b"{SSHA}a:b"],
    }  # fmt: skip
    assert second == ("uid=ü,o=x", {"uid": [b"u"]}, 16)
    assert list(records(b"")) == list(records(b"\n# nothing\n\n")) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"uid: x\n", "1: an entry begins with 'dn:', not with 'uid:'"),
        (b"dn: o=x\nfoo\n", "2: 'attribute: value' is expected, not 'foo'"),
        (b"dn: o=x\n\xff: 1\n", "2: 'attribute: value' is expected"),
        (b"dn: o=x\ncn:: %%%\n", "2: cn: not base64 behind ::"),
        (b"dn: o=x\ncn:< file:///etc/passwd\n", "2: cn: values in other files are not read"),
        (b"dn: o=x\nchangetype: delete\n", "2: changetype: this is a file of changes"),
        (b"dn: o=x\no: x\ndn: o=y\n", "3: an empty line is missing"),
        (b"version: 2\n", "1: only version 1"),
        (b"dn:: /w==\n", "1: the name of the entry is not UTF-8"),
    ],
)
def test_everything_else_says_its_line(text: bytes, said: str) -> None:
    with pytest.raises(InvalidLdif) as caught:
        list(records(text))
    assert str(caught.value).startswith(said)


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"dn: o=x", b"\n", b" ", b"\r\n", b"cn: a", b"cn:: YQ==", b":", b"#", b"\0", b"\xff", b"version: 1"]
        )
    )
)
def test_garbage_gives_entries_or_an_error(pieces: list[bytes]) -> None:
    try:
        for dn, attributes, line in records(b"".join(pieces)):
            assert (
                isinstance(dn, str) and line > 0 and all(isinstance(v, bytes) for vs in attributes.values() for v in vs)
            )
    except InvalidLdif as error:
        assert error.line > 0
