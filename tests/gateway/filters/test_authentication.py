"""The check of SPF and DKIM as a whole, its questions answered by a name server on loopback: what is told of a message."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from dkim_signing import signed
from scripted_dns import ScriptedDns, scripted_dns

from directory.model import Condition, Deferred
from gateway.deliver.settings import DnsSettings
from gateway.files.spool import Joined, Spool
from gateway.filters.authentication import AuthenticationCheck
from gateway.filters.port import ACCEPT, Facts, Verdict
from gateway.filters.settings import AuthenticationSettings
from gateway.mail.dkim import Algorithm
from gateway.mail.envelope import Envelope
from gateway.mail.header import scan
from gateway.service.resolver import Resolver
from gateway.service.signing import txt

T = TypeVar("T")
TEXT = b"From: Jane <jane@mail.far.test>\nTo: a@b.test\nDate: x\nSubject: y\n\nHello\n"
FACTS = Facts(Envelope("jane@mail.far.test"), scan(b"\n"), "192.0.2.1", "mx", "here.test", "id1", "host.far.test")
ON = AuthenticationSettings(spf=True, dkim=True, timeout=5)


def sign(
    folder: Path, text: bytes, zone: dict[str, list[str]], domain: str, algorithm: Algorithm = "ed25519-sha256"
) -> bytes:
    """`text` with a signature more, whose key is in `zone`."""
    octets, name, record = signed(text, folder, domain, selector=f"s{len(zone)}", algorithm=algorithm)
    zone[f"{name} TXT"] = [txt(record)]
    return octets


class Bench:
    """The check with a real resolver; counts what it did on a thread."""

    def __init__(self, settings: AuthenticationSettings = ON) -> None:
        self.settings, self.away, self.has_no_thread = settings, 0, False

    async def _away(self, work: Callable[[], T]) -> T:
        self.away += 1
        if self.has_no_thread:
            raise Deferred(Condition.STORE_UNAVAILABLE, "no thread")
        return await asyncio.to_thread(work)

    def ask(
        self, script: ScriptedDns, text: bytes, facts: Facts = FACTS, body: Sequence[bytes] = (), left: float = 10
    ) -> Verdict:
        async def main() -> Verdict:
            resolver = Resolver(DnsSettings(servers=(script.server,), timeout=0.3, lifetime=1))
            check = AuthenticationCheck(self.settings, resolver, time.monotonic, time.time, self._away)
            given = replace(facts, header=scan(text, whole=not body))
            return await check.check(given, body or [text], time.monotonic() + left)

        return asyncio.run(main())


def test_what_is_told_of_a_message(tmp_path: Path) -> None:
    zone = {"mail.far.test TXT": ['"v=spf1 ip4:192.0.2.1 -all"']}
    one = sign(tmp_path, TEXT, zone, "far.test")
    two = sign(tmp_path, one, zone, "other.test", "rsa-sha256")
    with scripted_dns(zone) as script:
        found = Bench().ask(script, two)
    spf, second, first = found.results
    assert spf == "spf=pass smtp.mailfrom=jane@mail.far.test"
    assert second.startswith("dkim=pass header.d=other.test header.s=s2 header.a=rsa-sha256 header.b=")
    assert first.startswith("dkim=pass header.d=far.test header.s=s1 header.a=ed25519-sha256 header.b=")
    assert found.vouched


@pytest.mark.parametrize(
    ("client", "signer", "return_path", "vouched"),
    [
        ("192.0.2.1", "", "jane@mail.far.test", True),
        ("192.0.2.2", "", "jane@mail.far.test", False),
        ("192.0.2.2", "mail.far.test", "jane@mail.far.test", True),
        ("192.0.2.2", "far.test", "jane@mail.far.test", True),
        ("192.0.2.2", "deep.mail.far.test", "jane@mail.far.test", False),
        ("192.0.2.2", "other.test", "jane@mail.far.test", False),
        ("192.0.2.1", "mail.far.test", "", False),
    ],
)
def test_who_vouches_for_the_return_path(
    tmp_path: Path, client: str, signer: str, return_path: str, vouched: bool
) -> None:
    zone = {"mail.far.test TXT": ['"v=spf1 ip4:192.0.2.1 -all"']}
    text = sign(tmp_path, TEXT, zone, signer) if signer else TEXT
    with scripted_dns(zone) as script:
        facts = replace(FACTS, client=client, envelope=Envelope(return_path), helo="mail.far.test")
        found = Bench().ask(script, text, facts)
    assert found.vouched is vouched, found
    assert found.results[0].endswith("smtp.mailfrom=jane@mail.far.test" if return_path else "smtp.helo=mail.far.test")


def test_nothing_is_told_of_what_did_not_come_from_outside() -> None:
    with scripted_dns({}) as script:
        for facts in (
            replace(FACTS, by_relay=True),
            *(replace(FACTS, service=one) for one in ("submission", "lmtp", "local")),
        ):
            assert Bench().ask(script, TEXT, facts) is ACCEPT
        assert script.questions == []


def test_each_alone() -> None:
    with scripted_dns({"b.test TXT": ["x"]}) as script:
        assert Bench(AuthenticationSettings(dkim=True)).ask(script, TEXT).results == ("dkim=none",)
        assert Bench(AuthenticationSettings(spf=True)).ask(script, TEXT).results == (
            "spf=none smtp.mailfrom=jane@mail.far.test",
        )


@pytest.mark.parametrize("fault", ["servfail", "silent"])
def test_a_dead_dns_is_a_result_and_never_a_refusal(tmp_path: Path, fault: str) -> None:
    text = sign(tmp_path, TEXT, {}, "far.test")
    with scripted_dns({}, faults={fault}) as script:
        found = Bench().ask(script, text, left=1.5)
    assert [one.partition(" ")[0] for one in found.results] == ["spf=temperror", "dkim=temperror"]
    assert not found.vouched and not found.header_lines


def test_a_signature_that_cannot_be_read() -> None:
    with scripted_dns({}) as script:
        found = Bench(AuthenticationSettings(dkim=True)).ask(script, b"DKIM-Signature: x\n" + TEXT)
    assert found.results == ("""dkim=neutral reason="'x' is not a tag\"""",)


def test_what_the_message_says_cannot_end_the_field() -> None:
    facts = replace(FACTS, envelope=Envelope('"a; dkim=pass"@far.test'))
    with scripted_dns({"b.test TXT": ["x"]}) as script:
        (found,) = Bench(AuthenticationSettings(spf=True)).ask(script, TEXT, facts).results
    assert found == 'spf=none smtp.mailfrom="\\"a;dkim=pass\\"@far.test"'


def test_a_large_message_is_hashed_from_its_spool_on_a_thread(tmp_path: Path) -> None:
    zone: dict[str, list[str]] = {}
    text = sign(tmp_path, TEXT + b"0123456789abcde\n" * 65536, zone, "far.test")
    spool = Spool(str(tmp_path))
    spool.append([text[2000:]])
    bench = Bench(AuthenticationSettings(dkim=True))
    with scripted_dns(zone) as script:
        # a field is gone from what is stored, not from what is verified
        found = bench.ask(script, text[:2000], body=Joined([text[500:2000]], spool))
        assert found.results[0].startswith("dkim=pass") and bench.away == 1
        spool.append([b"more\n"])
        found = bench.ask(script, text[:2000], body=Joined([text[500:2000]], spool))
    assert found.results[0].startswith('dkim=fail reason="the body has changed"')


def test_trouble_of_this_host_puts_the_message_off(tmp_path: Path) -> None:
    zone: dict[str, list[str]] = {}
    text = sign(tmp_path, TEXT + b"0123456789abcde\n" * 65536, zone, "far.test")
    spool = Spool(str(tmp_path))
    spool.append([text[2000:]])
    bench = Bench(AuthenticationSettings(dkim=True))
    with scripted_dns(zone) as script:
        body = Joined([text[:2000]], spool)
        bench.has_no_thread = True
        with pytest.raises(Deferred) as caught:
            bench.ask(script, text[:2000], body=body)
        assert caught.value.condition is Condition.STORE_UNAVAILABLE
        bench.has_no_thread = False
        spool.size += 1  # a file that is shorter than it should be
        with pytest.raises(Deferred) as caught:
            bench.ask(script, text[:2000], body=body)
        assert caught.value.condition is Condition.STORE_UNAVAILABLE and caught.value.detail.startswith("spool: ")
