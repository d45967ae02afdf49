"""TLS towards other hosts: taken where offered, demanded by rule, DANE and MTA-STS, and never a password without."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme
from conftest import eventually
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from scripted_smtp import EHLO, ScriptedSmtp, scripted_smtp
from sending import BODY, Sending, parcel, send_one, sending, told

from directory.model import Refused
from gateway.deliver.dane import matches, usable
from gateway.deliver.mta_sts import StsPolicy, read_policy, record_id
from gateway.deliver.port import TlsWish
from gateway.deliver.resolve import Tlsa
from gateway.route import next_hop
from gateway.route.next_hop import NextHop
from gateway.service.network import ClientTls

TLS_EHLO = (*EHLO, "STARTTLS", "AUTH LOGIN PLAIN")
CA = trustme.CA()
NAMES = ("localhost", "one.far.example", "127.0.0.1")
PAST = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def context(*names: str, authority: trustme.CA = CA, **more: object) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or NAMES), **more).configure_cert(made)  # type: ignore[arg-type]
    return made


@pytest.fixture
def ca_file(tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    CA.cert_pem.write_to_path(str(path))
    return str(path)


def hop(host: ScriptedSmtp, **more: str) -> NextHop:
    return NextHop("smtp", "localhost", host.port, **more)  # type: ignore[arg-type]


def secure(host: ScriptedSmtp) -> bool:
    return any(line.startswith("TLS ") for line in host.lines)


def test_tls_is_taken_where_it_is_offered_and_sessions_are_resumed() -> None:
    with scripted_smtp(ehlo=TLS_EHLO, context=context(authority=trustme.CA())) as host:

        async def work(bench: Sending) -> None:
            for _ in range(2):
                assert told(await bench.send(hop(host), parcel())) == ["taken"]

        sending(work, messages_per_connection=1)
    assert host.verbs()[:5] == ["EHLO", "STARTTLS", "TLS", "EHLO", "MAIL"]
    made = [line for line in host.lines if line.startswith("TLS ")]
    assert made[0] in ("TLS TLSv1.3", "TLS TLSv1.2") and made[1] == f"{made[0]} resumed"


@pytest.mark.parametrize(
    ("replies", "tls", "expected"),
    [
        ({"STARTTLS": "454 4.7.0 not now"}, "may", ["taken"]),
        ({"STARTTLS": "454 4.7.0 not now"}, "must", ["deferred 4.7.4"]),
        ({"STARTTLS": "CUT-NEXT 220 go"}, "may", ["taken"]),
        ({"STARTTLS": "CUT-NEXT 220 go"}, "must", ["deferred 4.7.5"]),
        ({"STARTTLS": "220 go\r\n250 injected"}, "may", ["taken"]),
        ({"STARTTLS": "220 go\r\n250 injected"}, "must", ["deferred 4.7.5"]),
        ({"STARTTLS": "DROP"}, "may", ["taken"]),
    ],
)
def test_starttls_that_fails(replies: dict[str, str], tls: str, expected: list[str]) -> None:
    with scripted_smtp(ehlo=TLS_EHLO, context=context(), replies=replies) as host:
        assert told(send_one(hop(host, tls=tls), parcel())) == expected
    assert len(host.messages) == (expected == ["taken"])


def test_rules() -> None:
    with scripted_smtp() as host:
        assert told(send_one(hop(host, tls="must"), parcel())) == ["deferred 4.7.4"]
    with scripted_smtp(ehlo=TLS_EHLO, context=context()) as host:
        assert told(send_one(hop(host, tls="never"), parcel())) == ["taken"] and not secure(host)
        assert told(send_one(hop(host, tls="must"), parcel())) == ["taken"] and secure(host)


def test_verified(ca_file: str) -> None:
    with scripted_smtp(ehlo=TLS_EHLO, context=context()) as host:
        assert told(send_one(hop(host, tls="verify"), parcel(), ca_file=ca_file)) == ["taken"]
        assert told(send_one(hop(host, tls="verify"), parcel())) == ["deferred 4.7.5"]  # an unknown authority
        by_address = NextHop("smtp", "127.0.0.1", host.port, tls="verify")
        assert told(send_one(by_address, parcel(), ca_file=ca_file)) == ["taken"]
    for wrong in (context("other.example"), context(not_after=PAST, not_before=PAST - dt.timedelta(days=9))):
        with scripted_smtp(ehlo=TLS_EHLO, context=wrong) as host:
            assert told(send_one(hop(host, tls="verify"), parcel(), ca_file=ca_file)) == ["deferred 4.7.5"]
            assert host.messages == []
            assert told(send_one(hop(host), parcel(), ca_file=ca_file)) == ["taken"] and secure(host), "nobody asked"


def test_a_login_is_sent_under_verified_tls_only(ca_file: str) -> None:
    login = ("me", "secret")
    with scripted_smtp(ehlo=TLS_EHLO, context=context(), replies={"AUTH": "235 2.7.0 hello"}) as host:
        there = hop(host, login="name", tls="verify")
        assert told(send_one(there, parcel(), ca_file=ca_file, login=login)) == ["taken"]
        assert "AUTH PLAIN AG1lAHNlY3JldA==" in host.lines[host.lines.index("TLS TLSv1.3") :]
        host.lines.clear()
        assert told(send_one(there, parcel(), login=login)) == ["deferred 4.7.5"] and "AUTH" not in host.verbs()
    with scripted_smtp(ehlo=(*EHLO, "AUTH PLAIN")) as host:
        assert told(send_one(hop(host, login="name", tls="verify"), parcel(), login=login)) == ["deferred 4.7.4"]
        assert "AUTH" not in host.verbs()
    with scripted_smtp(ehlo=TLS_EHLO, context=context(), replies={"AUTH": "535 5.7.8 no"}) as host:
        outcomes = send_one(hop(host, login="name", tls="verify"), parcel(), ca_file=ca_file, login=login)
        assert told(outcomes) == ["deferred 4.4.0"] and "secret" not in str(outcomes[0])


def test_tls_from_the_first_octet(ca_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_smtp(implicit=True, context=context()) as host:
        monkeypatch.setattr(next_hop, "SUBMISSIONS_PORT", host.port)
        assert told(send_one(hop(host, tls="verify"), parcel(), ca_file=ca_file)) == ["taken"]
        assert told(send_one(hop(host), parcel())) == ["taken"]
    with scripted_smtp() as host:
        monkeypatch.setattr(next_hop, "SUBMISSIONS_PORT", host.port)
        assert told(send_one(hop(host), parcel())) == ["deferred 4.7.5"] and "MAIL" not in host.verbs()


# DANE


def digest(certificate: x509.Certificate) -> str:
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()


def certificate_of(leaf: trustme.LeafCert) -> x509.Certificate:
    return x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes())


def dane_zone(port: int, *records: str) -> dict[str, list[str]]:
    zone = {"far.example MX": ["10 one.far.example."], "one.far.example A": ["127.0.0.1"]}
    return zone | ({f"_{port}._tcp.one.far.example TLSA": list(records)} if records else {})


@pytest.mark.parametrize(
    ("usage", "right", "ad", "expected"),
    [
        (3, True, True, "taken"),
        (3, False, True, "deferred 4.7.5"),
        (3, False, False, "taken"),  # without DNSSEC it says nothing
        (2, True, True, "taken"),
        (2, False, True, "deferred 4.7.5"),
        (1, True, True, "taken"),  # means nothing for SMTP: TLS that is not verified
    ],
)
def test_dane(usage: int, right: bool, ad: bool, expected: str) -> None:
    leaf = CA.issue_cert("one.far.example")
    authority = x509.load_pem_x509_certificate(CA.cert_pem.bytes())
    named = digest(authority if usage == 2 else certificate_of(leaf)) if right else "ab" * 32
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(made)
    with scripted_smtp(ehlo=TLS_EHLO, context=made) as host:
        if usage == 2:  # the host must show the authority too
            pem = leaf.private_key_and_cert_chain_pem.bytes() + CA.cert_pem.bytes()
            with trustme.Blob(pem).tempfile() as path:
                made.load_cert_chain(path)
        zone = dane_zone(host.port, f"{usage} 1 1 {named}")
        there = NextHop("mx", "far.example", host.port)

        async def work(bench: Sending) -> None:
            assert told(await bench.send(there, parcel())) == [expected]
            kind = "tlsa" if ad else "no-policy-found"
            result = "success" if expected == "taken" else "validation-failure"
            assert [(each[1], each[4]) for each in bench.counted] == [(kind, result)]

        sending(work, zone, ad=ad)
    assert len(host.messages) == (expected == "taken")


def test_dane_forbids_to_go_in_the_clear() -> None:
    with scripted_smtp() as host:
        there = NextHop("mx", "far.example", host.port)
        zone = dane_zone(host.port, "3 1 1 " + "ab" * 32)
        assert told(send_one(there, parcel(), zone, ad=True)) == ["deferred 4.7.4"]
        assert told(send_one(there, parcel(), zone, ad=True, dane=False)) == ["deferred 4.7.4"]
        assert told(send_one(there, parcel(), dane_zone(host.port), ad=True)) == ["taken"]


def test_records_that_cannot_be_matched_are_left_out() -> None:
    good = Tlsa(3, 1, 1, b"x" * 32)
    bad = [Tlsa(0, 1, 1, b"x" * 32), Tlsa(3, 9, 1, b"x" * 32), Tlsa(3, 1, 1, b"short"), Tlsa(3, 1, 7, b"x" * 32)]
    assert usable([*bad, good]) == (good,)
    assert len(usable([good] * 100)) == 20


def test_an_authority_in_the_record_itself_and_the_name_that_it_vouches_for() -> None:
    leaf, authority = CA.issue_cert("one.far.example"), x509.load_pem_x509_certificate(CA.cert_pem.bytes())
    chain = [certificate_of(leaf).public_bytes(Encoding.DER)]
    record = Tlsa(2, 0, 0, authority.public_bytes(Encoding.DER))
    assert matches([record], chain, "one.far.example")
    assert not matches([record], chain, "two.far.example")
    assert not matches([record], [], "one.far.example") and not matches([record], [b"junk"], "one.far.example")
    late = CA.issue_cert("one.far.example", not_after=PAST, not_before=PAST - dt.timedelta(days=9))
    old = [certificate_of(late).public_bytes(Encoding.DER)]
    assert not matches([record], old, "one.far.example")
    assert matches([Tlsa(3, 0, 2, hashlib.sha512(old[0]).digest())], old, "two.far.example")


# MTA-STS

ENFORCE = b"version: STSv1\r\nmode: enforce\r\nmx: one.far.example\r\nmx: *.wild.example\r\nmax_age: 86400\r\n"


@contextmanager
def policy_host(
    text: bytes, *, status: int = 200, kind: str = "text/plain", name: str = "mta-sts.far.example"
) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            good = self.path == "/.well-known/mta-sts.txt" and self.headers["Host"] == "mta-sts.far.example"
            self.send_response(status if good else 404)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.socket = context(name).wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join(5)


def sts_zone(policy: str = "a1") -> dict[str, list[str]]:
    zone = dane_zone(0) | {"mta-sts.far.example A": ["127.0.0.1"]}
    return zone | ({"_mta-sts.far.example TXT": [f'"v=STSv1; id={policy};"']} if policy else {})


@pytest.mark.parametrize(
    ("text", "names", "expected", "results"),
    [
        (ENFORCE, NAMES, "taken", ["sts success"]),
        (ENFORCE, ("other.example",), "deferred 4.7.5", ["sts certificate-host-mismatch"]),
        (ENFORCE.replace(b"mx: one", b"mx: two"), NAMES, "deferred 4.7.4", []),
        (ENFORCE.replace(b"enforce", b"testing"), ("other.example",), "taken",
         ["sts certificate-host-mismatch", "sts success"]),
        (ENFORCE.replace(b"enforce", b"none"), ("other.example",), "taken", ["no-policy-found success"]),
        (b"nonsense", ("other.example",), "taken", ["no-policy-found success"]),
    ],
)  # fmt: skip
def test_mta_sts(text: bytes, names: tuple[str, ...], expected: str, results: list[str], ca_file: str) -> None:
    with policy_host(text) as https, scripted_smtp(ehlo=TLS_EHLO, context=context(*names)) as host:

        async def work(bench: Sending) -> None:
            assert told(await bench.send(NextHop("mx", "far.example", host.port), parcel())) == [expected]
            assert [f"{each[1]} {each[4]}" for each in bench.counted] == results

        sending(work, sts_zone(), https=https, ca_file=ca_file)


@pytest.mark.parametrize("fault", [{"status": 302}, {"kind": "text/html"}, {"name": "other.example"}])
def test_a_policy_that_cannot_be_fetched_properly_is_none(fault: dict[str, str], ca_file: str) -> None:
    with policy_host(ENFORCE, **fault) as https, scripted_smtp() as host:  # type: ignore[arg-type]
        there = NextHop("mx", "far.example", host.port)
        assert told(send_one(there, parcel(), sts_zone(), https=https, ca_file=ca_file)) == ["taken"]


def test_a_policy_outlives_its_record_and_its_web_server() -> None:
    with scripted_smtp() as host:
        there = NextHop("mx", "far.example", host.port)

        async def work(bench: Sending) -> None:
            bench.policies["far.example"] = StsPolicy("a1", "enforce", ("one.far.example",), 86400, time.time() - 100)
            assert told(await bench.send(there, parcel())) == ["deferred 4.7.4"]
            bench.policies["far.example"] = StsPolicy("a1", "enforce", ("one.far.example",), 86400, time.time() - 90000)
            assert told(await bench.send(there, parcel())) == ["taken"]

        for record in ("", "b2"):
            sending(work, sts_zone(record))


def test_policies_are_read_strictly() -> None:
    policy = read_policy(ENFORCE + b"later: field\n", "x", 5.0)
    assert policy == StsPolicy("x", "enforce", ("one.far.example", "*.wild.example"), 86400, 5.0)
    assert [policy.allows(name) for name in ("a.wild.example", "a.b.wild.example", "wild.example")] == [
        True,
        False,
        False,
    ]
    for bad in (ENFORCE.replace(b"STSv1", b"STSv2"), ENFORCE.replace(b"86400", b"-1"), ENFORCE.replace(b"enforce", b"x"),
                b"version: STSv1\nmode: enforce\nmax_age: 1\n", b"\xff", b"", ENFORCE.replace(b"mx: one", b"mx one")):  # fmt: skip
        with pytest.raises(ValueError):
            read_policy(bad, "x", 5.0)
    assert record_id((b"v=spf1 -all", b"v=STSv1; id=20260101Z;")) == "20260101Z"
    assert record_id((b"v=STSv1; id=a", b"v=STSv1; id=b")) == "" == record_id((b"v=STSv1; id=a b;",))


# REQUIRETLS


def test_requiretls_goes_to_proven_hosts_only(ca_file: str) -> None:
    message = parcel(REQUIRETLS="")
    with scripted_smtp(ehlo=(*TLS_EHLO, "REQUIRETLS"), context=context()) as host:
        assert told(send_one(hop(host, tls="verify"), message, ca_file=ca_file)) == ["taken"]
        assert host.messages[0][0].endswith(" REQUIRETLS")
        assert told(send_one(hop(host), message)) == ["refused 5.7.30"] and len(host.messages) == 1
    with scripted_smtp(ehlo=TLS_EHLO, context=context()) as host:
        outcomes = send_one(hop(host, tls="verify"), message, ca_file=ca_file)
        assert told(outcomes) == ["refused 5.7.30"] and isinstance(outcomes[0], Refused)
        assert "MAIL" not in host.verbs()


def test_a_kept_connection_is_not_proof_enough() -> None:
    with scripted_smtp(ehlo=(*EHLO, "REQUIRETLS")) as host:

        async def work(bench: Sending) -> None:
            assert told(await bench.send(hop(host), parcel())) == ["taken"]
            assert told(await bench.send(hop(host), parcel(REQUIRETLS=""))) == ["refused 5.7.30"]
            await asyncio.sleep(0)

        sending(work)
    assert len(host.messages) == 1


# TLS-Required: No

WAIVED = b"TLS-Required: No\n" + BODY


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"TLS-Required: No\n", "taken"),
        (b"tls-required:\n no \n", "taken"),
        (b"", "deferred 4.7.5"),
        (b"TLS-Required: Yes\n", "deferred 4.7.5"),
        (b"TLS-Required: No\nTLS-Required: No\n", "deferred 4.7.5"),
        (b"X-TLS-Required: No\n", "deferred 4.7.5"),
        (b"Subject: hello\n\nTLS-Required: No\n", "deferred 4.7.5"),
    ],
)
def test_tls_required_no_waives_dane(head: bytes, expected: str) -> None:
    with scripted_smtp(ehlo=TLS_EHLO, context=context()) as host:
        there = NextHop("mx", "far.example", host.port)
        zone = dane_zone(host.port, "3 1 1 " + "ab" * 32)
        assert told(send_one(there, parcel(body=head + BODY), zone, ad=True)) == [expected]
        assert len(host.messages) == (expected == "taken")
        # under TLS all the same: it is offered
        eventually(lambda: host.verbs().count("TLS") == (2 if expected == "taken" else 1), 10)


@pytest.mark.parametrize("policy", [ENFORCE, ENFORCE.replace(b"mx: one", b"mx: two")])
@pytest.mark.parametrize("offers_tls", [True, False])
def test_tls_required_no_waives_mta_sts(policy: bytes, offers_tls: bool, ca_file: str) -> None:
    ehlo = TLS_EHLO if offers_tls else EHLO
    with policy_host(policy) as https, scripted_smtp(ehlo=ehlo, context=context("other.example")) as host:
        there = NextHop("mx", "far.example", host.port)
        assert told(send_one(there, parcel(), sts_zone(), https=https, ca_file=ca_file))[0].startswith("deferred")
        assert told(send_one(there, parcel(body=WAIVED), sts_zone(), https=https, ca_file=ca_file)) == ["taken"]
    assert secure(host) == offers_tls and [octets.partition(b"\r\n")[0] for *_, octets in host.messages] == [
        b"TLS-Required: No"
    ]


def test_tls_required_no_waives_records_that_cannot_be_had() -> None:
    with scripted_smtp() as host:
        there = NextHop("mx", "far.example", host.port)
        dead = {f"_{host.port}._tcp.one.far.example"}
        assert told(send_one(there, parcel(), dane_zone(0), ad=True, dead=dead))[0].startswith("deferred")
        assert told(send_one(there, parcel(body=WAIVED), dane_zone(0), ad=True, dead=dead)) == ["taken"]


def test_tls_required_no_waives_neither_the_rule_of_the_administrator_nor_requiretls() -> None:
    for rule in ("must", "verify"):
        with scripted_smtp() as host:
            there = NextHop("mx", "far.example", host.port, tls=rule)  # type: ignore[arg-type]
            assert told(send_one(there, parcel(body=WAIVED), dane_zone(0))) == ["deferred 4.7.4"]
    with scripted_smtp(ehlo=(*TLS_EHLO, "REQUIRETLS"), context=context()) as host:
        there = NextHop("mx", "far.example", host.port)
        zone = dane_zone(host.port, "3 1 1 " + "ab" * 32)
        assert told(send_one(there, parcel(body=WAIVED, REQUIRETLS=""), zone, ad=True)) == ["deferred 4.7.5"]
        assert host.messages == []


def test_a_connection_below_what_is_demanded_is_not_kept_for_others() -> None:
    leaf = CA.issue_cert("one.far.example")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(made)
    with scripted_smtp(ehlo=TLS_EHLO, context=made) as host:
        there = NextHop("mx", "far.example", host.port)

        async def below(bench: Sending) -> None:
            assert told(await bench.send(there, parcel(body=WAIVED))) == ["taken"]
            assert len(bench.connections) == 0
            assert told(await bench.send(there, parcel())) == ["deferred 4.7.5"]

        async def met(bench: Sending) -> None:
            assert told(await bench.send(there, parcel(body=WAIVED))) == ["taken"]
            assert len(bench.connections) == 1
            assert told(await bench.send(there, parcel())) == ["taken"]

        sending(below, dane_zone(host.port, "3 1 1 " + "ab" * 32), ad=True)
        assert len(host.messages) == 1
        sending(met, dane_zone(host.port, f"3 1 1 {digest(certificate_of(leaf))}"), ad=True)
        assert len(host.messages) == 3


def test_an_authority_between_and_one_that_is_none() -> None:
    root = trustme.CA()
    between = root.create_child_ca()
    leaf = between.issue_cert("one.far.example")
    chain = [x509.load_pem_x509_certificate(pem.bytes()).public_bytes(Encoding.DER) for pem in leaf.cert_chain_pems]
    anchor = x509.load_pem_x509_certificate(root.cert_pem.bytes())
    assert matches([Tlsa(2, 0, 0, anchor.public_bytes(Encoding.DER))], chain, "one.far.example")
    assert not matches([Tlsa(2, 0, 0, anchor.public_bytes(Encoding.DER))], chain[:1], "one.far.example")
    # a host's certificate is no authority, whatever the record says
    other = certificate_of(root.issue_cert("one.far.example")).public_bytes(Encoding.DER)
    assert not matches([Tlsa(2, 0, 0, other)], chain, "one.far.example")
    assert not matches([Tlsa(2, 0, 1, hashlib.sha256(chain[0]).digest())], chain, "one.far.example")


@pytest.mark.parametrize("name", ["", ".far.example", "a..b", "x" * 70 + ".example"])
def test_a_name_that_tls_cannot_carry_is_trouble_with_the_connection(name: str) -> None:
    tls = ClientTls()
    try:
        tls.wrap(TlsWish(name), ssl.MemoryBIO(), ssl.MemoryBIO())
    except OSError as error:
        assert "no name for TLS" in str(error)
    else:
        assert name  # some versions of OpenSSL take what others do not


def test_a_strange_name_in_the_dns_is_an_outcome_not_a_bug() -> None:
    label = "x" * 60 + chr(92) + "000"
    zone = {"far.example MX": [f"10 {label}.far.example."], f"{label}.far.example A": ["127.0.0.1"]}
    with scripted_smtp(ehlo=TLS_EHLO, context=context()) as host:
        (outcome,) = told(send_one(NextHop("mx", "far.example", host.port), parcel(), zone))
    assert outcome in ("taken", "deferred 4.4.1", "deferred 4.4.4")
