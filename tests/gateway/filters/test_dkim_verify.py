"""DKIM verified: examples of the RFCs, mail signed by Debian's OpenDKIM and by dkimpy, what was spoiled on the way."""

from __future__ import annotations

import asyncio
import base64
import re
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from opendkim_signer import signed

from directory.model import Condition, Deferred
from gateway.deliver.resolve import Kind, Records
from gateway.filters.dkim import Verified, verify
from gateway.mail.dkim import BodyHash, signature
from gateway.mail.header import scan
from gateway.service.signing import key_path, load_key, make_key

RFC_8463 = b"""\
DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
"""
RFC_KEYS = {
    "brisbane._domainkey.football.example.com": b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    "test._domainkey.football.example.com": (
        b"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J"
        b"16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTI"
        b"KT+l/K4w3QIDAQAB"
    ),
}
PLAIN = b"From: Jane <jane@example.com>\nTo: a@b.example\nSubject:  a  folded\n\tsubject\nX-Empty:\n\nHello  you \n\n \nEnd\n\n\n"


class Zone:
    """Implements `Resolve` for key records; a value of None cannot be had now."""

    def __init__(self, records: dict[str, bytes | None]) -> None:
        self.records, self.asked = records, list[str]()

    async def ask(self, name: str, kind: Kind) -> Records:
        assert kind == "TXT"
        self.asked.append(name)
        found = self.records.get(name, b"")
        if found is None:
            raise Deferred(Condition.DNS_UNAVAILABLE, name)
        return Records((found,) if found else (), name)

    async def addresses(self, name: str, families: tuple[str, ...] = ()) -> Records:
        raise AssertionError(name)


def verified(
    message: bytes, records: dict[str, bytes | None], *, cut: int = 7, most: int = 5, now: float = 1528640000.0
) -> list[Verified]:
    header = scan(message)
    reads = 0

    def body() -> Iterable[bytes]:
        nonlocal reads
        reads += 1
        rest = message[header.end + 1 :]
        return (rest[start : start + cut] for start in range(0, len(rest), cut))

    async def away(work: Callable[[], Sequence[Verified]]) -> Sequence[Verified]:
        return await asyncio.to_thread(work)

    found = asyncio.run(verify(header, body, Zone(records), most=most, now=now, seconds=5, away=away))
    assert reads <= 1
    return found


def outcomes(message: bytes, records: dict[str, bytes | None], **more: int) -> list[tuple[str, str]]:
    return [(one.outcome, one.reason) for one in verified(message, records, **more)]


def test_the_examples_of_rfc_8463() -> None:
    found = verified(RFC_8463, {**RFC_KEYS})
    assert [(one.outcome, one.signer, one.mark) for one in found] == [
        ("pass", "football.example.com", "/gCrinpc"),
        ("pass", "football.example.com", "F45dVWDf"),
    ]
    changed = RFC_8463.replace(b"lost the game", b"won the game")
    assert outcomes(changed, {**RFC_KEYS}) == [("fail", "the body has changed")] * 2
    changed = RFC_8463.replace(b"Is dinner", b"Was dinner")
    assert outcomes(changed, {**RFC_KEYS}) == [("fail", "the header has changed")] * 2
    second = RFC_8463.replace(b"From: Joe", b"From: Evil <evil@example.org>\nFrom: Joe")
    assert outcomes(second, {**RFC_KEYS}) == [("fail", "the header has changed")] * 2, "From is signed once more"
    assert verified(PLAIN, {}) == []


def test_what_the_dns_says() -> None:
    name, other = RFC_KEYS
    keys: dict[str, bytes | None] = {**RFC_KEYS}
    assert outcomes(RFC_8463, {**keys, name: None})[0][0] == "temperror"
    assert outcomes(RFC_8463, {**keys, name: b""})[0] == ("permerror", "no key")
    assert outcomes(RFC_8463, {**keys, name: keys[other]})[0] == (
        "permerror",
        "the key is not of the kind that a= says",
    )
    assert outcomes(RFC_8463, {**keys, name: b"k=ed25519; p=YWJj"})[0] == ("permerror", "the key cannot be read")
    assert outcomes(RFC_8463, {**keys, other: b"p=YWJj"})[1] == ("permerror", "the key cannot be read")
    strict = (keys[name] or b"") + b"; t=s"
    assert outcomes(RFC_8463, {**keys, name: strict})[0][0] == "pass"
    (trial, _) = verified(RFC_8463, {**keys, name: (keys[name] or b"") + b"; t=y"})
    assert (trial.outcome, trial.reason, trial.signer) == ("pass", "the key is on trial", "")


def test_no_more_are_looked_at_than_allowed() -> None:
    assert len(verified(RFC_8463, {**RFC_KEYS}, most=1)) == 1
    many = RFC_8463[: RFC_8463.index(b"From:")] * 100 + RFC_8463[RFC_8463.index(b"From:") :]
    assert [one.outcome for one in verified(many, {**RFC_KEYS}, most=5)] == ["pass"] * 5


def test_time_that_runs_out() -> None:
    class Silent(Zone):
        async def ask(self, name: str, kind: Kind) -> Records:
            await asyncio.sleep(30)
            raise AssertionError

    header = scan(RFC_8463)
    found = asyncio.run(verify(header, lambda: [b""], Silent({}), most=5, now=0, seconds=0.05))
    assert [one.outcome for one in found] == ["temperror", "temperror"]


def pem(folder: Path, bits: int = 2048) -> tuple[Path, bytes]:
    """A private key in a file, and its record."""
    key = rsa.generate_private_key(65537, bits)
    path = folder / f"{bits}.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return path, b"v=DKIM1; p=" + base64.b64encode(public)


@pytest.mark.parametrize("forms", ["simple/simple", "relaxed/relaxed"])
def test_mail_that_opendkim_signed(tmp_path: Path, forms: str) -> None:
    path, record = pem(tmp_path)
    message = signed(tmp_path, path, PLAIN, canonicalization=forms)
    keys: dict[str, bytes | None] = {"sel._domainkey.example.com": record}
    for cut in (1, 5, 10_000):
        (found,) = verified(message, keys, cut=cut, now=10**9)
        assert (found.outcome, found.reason, found.signer) == ("pass", "", "example.com"), message.decode()
    assert outcomes(message.replace(b"Hello", b"Hallo"), keys) == [("fail", "the body has changed")]
    assert outcomes(message.replace(b"jane@", b"june@"), keys) == [("fail", "the header has changed")]
    spaced = outcomes(message.replace(b"  a  folded", b" a folded"), keys)
    assert spaced == ([("fail", "the header has changed")] if forms.startswith("simple") else [("pass", "")])


def test_a_signature_of_rsa_sha1(tmp_path: Path) -> None:
    """What opendkim-testmsg makes: nobody may believe it (RFC 8301 3.1)."""
    path, record = pem(tmp_path)
    words = ["opendkim-testmsg", "-d", "example.com", "-s", "sel", "-k", str(path), "-t", str(tmp_path)]
    text = PLAIN.replace(b"To:", b"Date: Fri, 11 Jul 2003 21:00:37 -0700\nTo:")
    done = subprocess.run(words, input=text, capture_output=True, timeout=30)
    assert done.returncode == 0 and b"a=rsa-sha1" in done.stdout, done.stderr
    message = re.sub(rb"(==?)[^\n]*\nFrom:", rb"\1\nFrom:", done.stdout)  # it writes some of its buffer behind the end
    assert outcomes(message, {"sel._domainkey.example.com": record})[0][0] == "policy"


@pytest.mark.parametrize("header", [b"simple", b"relaxed"])
@pytest.mark.parametrize("body", [b"simple", b"relaxed"])
@pytest.mark.parametrize(
    "text", [PLAIN, PLAIN[: PLAIN.index(b"\n\n") + 2], PLAIN[: PLAIN.index(b"\n\n") + 2] + b"\n\n", PLAIN[:-3]]
)
def test_every_form_as_dkimpy_signs_it(tmp_path: Path, header: bytes, body: bytes, text: bytes) -> None:
    path, record = pem(tmp_path, 1024)
    field = dkimpy.sign(
        text.replace(b"\n", b"\r\n"), b"sel", b"example.com", path.read_bytes(), canonicalize=(header, body),
        include_headers=[b"from", b"subject", b"x-empty", b"from", b"to"], logger=None,
    ).replace(b"\r\n", b"\n")  # fmt: skip
    keys: dict[str, bytes | None] = {"sel._domainkey.example.com": record}
    assert outcomes(field + text, keys, now=4 * 10**9) == [("pass", "")]
    assert outcomes(field + text + b"more\n", keys, now=4 * 10**9) == [("fail", "the body has changed")]


def test_a_length_that_leaves_something_out(tmp_path: Path) -> None:
    path, record = pem(tmp_path, 1024)
    field = dkimpy.sign(PLAIN, b"sel", b"example.com", path.read_bytes(), length=True, linesep=b"\n")
    keys: dict[str, bytes | None] = {"sel._domainkey.example.com": record}
    assert outcomes(field + PLAIN, keys, now=4 * 10**9) == [("pass", "")], "the length is that of the body"
    longer = field + PLAIN.rstrip() + b"\n\n\nand a lie\n"
    assert outcomes(longer, keys, now=4 * 10**9) == [("policy", "only a part of the body is signed")]
    shorter = field + PLAIN.replace(b"Hello", b"")
    assert outcomes(shorter, keys, now=4 * 10**9) == [("fail", "the body has changed")]


def test_a_key_that_is_too_short_or_too_long(tmp_path: Path) -> None:
    # 512 bits can no longer be made; a public key of that length is only a number
    path, _ = pem(tmp_path, 1024)
    field = dkimpy.sign(PLAIN, b"sel", b"example.com", path.read_bytes(), linesep=b"\n")
    for bits in (768, 9000):
        public = (
            rsa.RSAPublicNumbers(65537, (1 << (bits - 1)) + 1)
            .public_key()
            .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        keys: dict[str, bytes | None] = {"sel._domainkey.example.com": b"p=" + base64.b64encode(public)}
        assert outcomes(field + PLAIN, keys, now=4 * 10**9) == [("policy", f"a key of {bits} bits")]


@pytest.mark.parametrize("algorithm", ["rsa-sha256", "ed25519-sha256"])
def test_what_this_host_signs_is_verified_by_another_and_by_itself(tmp_path: Path, algorithm: str) -> None:
    """OpenDKIM knows no Ed25519: dkimpy, with PyNaCl, is the independent verifier of both."""
    path = key_path(tmp_path, "example.com", "sel")
    make_key(path, algorithm)  # type: ignore[arg-type]
    signer, record = load_key(path, "example.com", "sel")
    header = scan(PLAIN)
    body = BodyHash()
    body.update(PLAIN[header.end + 1 :])
    message = signature(signer, (header,), body.digest(), 1000.0) + PLAIN
    keys: dict[str, bytes | None] = {"sel._domainkey.example.com": record.encode()}
    assert outcomes(message, keys) == [("pass", "")]
    for octets, expected in ((message, True), (message.replace(b"jane@", b"june@"), False)):
        assert (
            dkimpy.verify(octets.replace(b"\n", b"\r\n"), dnsfunc=lambda name, timeout=5: record.encode()) is expected
        )
