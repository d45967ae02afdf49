"""A DKIM-Signature field and a key record, read: what is taken, and what each mistake is called."""

from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.dkim_signature import (
    Signature,
    Unacceptable,
    is_for,
    read_key,
    read_signature,
    signed_octets,
    tags,
)
from gateway.mail.header import scan

GOOD = {
    "v": "1", "a": "rsa-sha256", "d": "Example.com", "s": "Sel", "h": "From : to", "bh": base64.b64encode(b"d" * 32).decode(),
    "b": "YW\n\t Jj",
}  # fmt: skip


def read(now: float = 1000.0, **changes: str | None) -> Signature:
    given = {**GOOD, **changes}
    text = "; ".join(f"{tag}={value}" for tag, value in given.items() if value is not None)
    header = scan(f"DKIM-Signature: {text}\nFrom: a@example.com\n\n".encode())
    return read_signature(header, header.fields[0], now)


def test_one_that_is_good() -> None:
    found = read()
    assert (found.domain, found.selector, found.query) == ("example.com", "sel", "sel._domainkey.example.com")
    assert (found.header_form, found.body_form) == ("simple", "simple")
    assert found.names == (b"from", b"to") and found.octets == b"abc" and found.body_digest == b"d" * 32
    assert (read(c="relaxed").header_form, read(c="relaxed").body_form) == ("relaxed", "simple")
    assert read(i="x@mail.example.com").is_of_subdomain and not read(i="@EXAMPLE.com").is_of_subdomain
    assert read(d="büro.example").domain == "xn--bro-hoa.example"  # RFC 8616
    assert read(q="x/y : dns/txt", l="5", t="1", x="1001").length == 5


@pytest.mark.parametrize(
    ("outcome", "changes"),
    [
        ("neutral", {"v": "2"}),
        ("neutral", {"v": None}),
        ("neutral", {"b": ""}),
        ("neutral", {"b": "%%"}),
        ("neutral", {"bh": "YQ"}),
        ("neutral", {"a": "rsa-md5"}),
        ("neutral", {"c": "strict/relaxed"}),
        ("neutral", {"q": "http"}),
        ("neutral", {"l": "-1"}),
        ("neutral", {"x": "soon"}),
        ("neutral", {"s": "a b"}),
        ("neutral", {"s": "x" * 250}),
        ("neutral", {"d": "exa mple..com"}),
        ("neutral", {"d": "ü" * 40_000 + ".example"}),
        ("neutral", {"d": "example.com; d=other.example"}),
        ("neutral", {"1": "x"}),
        ("neutral", {"h": ":".join(["from"] * 401)}),
        ("policy", {"a": "rsa-sha1"}),
        ("permerror", {"h": "to:subject"}),
        ("permerror", {"i": "a@other.example"}),
        ("permerror", {"i": "a@notexample.com"}),
        ("permerror", {"x": "999"}),
        ("permerror", {"x": "2000", "t": "2001"}),
    ],
)
def test_one_that_proves_nothing(outcome: str, changes: dict[str, str | None]) -> None:
    with pytest.raises(Unacceptable) as caught:
        read(**changes)
    assert caught.value.outcome == outcome


def test_octets_that_are_none() -> None:
    header = scan(b"DKIM-Signature: v=1; \xff\n\n")
    with pytest.raises(Unacceptable, match="decode"):
        read_signature(header, header.fields[0], 0)


def test_tags() -> None:
    assert tags(" a = 1 ;b=x y\n z; ") == {"a": "1", "b": "x y\n z"}
    for wrong in ("a", "a=1;;b=2", "=1", "a=1; a=2"):
        with pytest.raises(ValueError, match=r"tag|twice"):
            tags(wrong)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"v=DKIM1; p=", "revoked"),
        (b"v=DKIM2; p=YWJj", "not a key"),
        (b"v=DKIM1; h=sha1; p=YWJj", "sha256"),
        (b"v=DKIM1; s=tlsrpt; p=YWJj", "mail"),
        (b"v=DKIM1; k=dsa; p=YWJj", "kind"),
        (b"v=DKIM1", "no key"),
        (b"p=%%", "base64|padding|discovered"),
        (b"\xff", "decode"),
        (b"nonsense", "tag"),
    ],
)
def test_a_record_without_a_key(record: bytes, reason: str) -> None:
    with pytest.raises(Unacceptable, match=reason) as caught:
        read_key([record])
    assert caught.value.outcome == "permerror"


def test_records_with_a_key() -> None:
    found = read_key([b"v=spf1 -all", b" v=DKIM1 ; k=ed25519; h=sha1:sha256; s=email : x; t=y:s; p=YW Jj;"])
    assert (found.kind, found.octets, found.is_on_trial, found.is_strict) == ("ed25519", b"abc", True, True)
    assert read_key([b"p=YWJj"]).kind == "rsa"
    with pytest.raises(Unacceptable, match="no key"):
        read_key([])


def test_what_is_signed_is_taken_from_below_and_once() -> None:
    content = b"To: a\nDKIM-Signature: other\nDKIM-Signature: bh=x ;\n b=sig\n nature; s=b\nTo: b\n\n"
    header = scan(content)
    one = Signature(
        header.fields[2], "d", "s", "rsa-sha256", "simple", "simple", b"", (b"to", b"to", b"to", b"dkim-signature"), b""
    )
    assert signed_octets(one, header) == (
        b"To: b\r\nTo: a\r\nDKIM-Signature: other\r\nDKIM-Signature: bh=x ;\r\n b=; s=b"
    )


def test_for_whom_a_signature_speaks() -> None:
    assert is_for("example.com", "example.com") and is_for("mail.example.com", "example.com")
    assert not is_for("example.com", "mail.example.com") and not is_for("notexample.com", "example.com")


@given(
    st.lists(st.sampled_from([*"vabdhsclqtxi=;: \n\t", "bh=", "v=1;", "YWJj", "from", "\xff", "d=a.example;"])).map(
        "".join
    )
)
def test_whatever_a_field_or_a_record_says_is_read_or_called_unacceptable(text: str) -> None:
    octets = b"DKIM-Signature: " + text.replace("\n", "\n ").encode("latin-1")
    header = scan(octets + b"\n\n")
    try:
        signed_octets(read_signature(header, header.fields[0], 0), header)
    except Unacceptable as problem:
        assert str(problem)
    with contextlib.suppress(Unacceptable):
        read_key([text.encode("latin-1")])
