"""The quota of a domain on a running system: its edge over SMTP, LMTP and IMAP; a change in the directory is live."""

from __future__ import annotations

import imaplib
import json
import smtplib
from collections.abc import Iterator

import ldap3
import pytest
from conftest import RunningDemo, eventually
from in_process import run

MESSAGE = b"Subject: x\r\n\r\n" + (b"x" * 62 + b"\r\n") * 64


@pytest.fixture
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    running = RunningDemo(tmp_path_factory.mktemp("domainquota"))
    yield running
    running.stop()


def said(client: smtplib.SMTP, address: str) -> str:
    """What RCPT is answered, or the message where RCPT is taken."""
    with client:
        client.ehlo("far.example")
        client.mail("me@far.example")
        code, text = client.rcpt(address)
        if code == 250:
            code, text = client.data(MESSAGE)
        return f"{code} {text.decode()}"


def by_smtp(demo: RunningDemo, address: str) -> str:
    return said(smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20), address)


def by_lmtp(demo: RunningDemo, address: str) -> str:
    return said(smtplib.LMTP("127.0.0.1", demo.port("lmtp")), address)


def by_imap(demo: RunningDemo, login: str) -> bytes:
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as client:
        client.login(login, f"{login}-demo-password")
        _, (answer, *_) = client.append("INBOX", "", "", MESSAGE)
        assert isinstance(answer, bytes)
        return answer


def copied(demo: RunningDemo, login: str) -> bytes:
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as client:
        client.login(login, f"{login}-demo-password")
        client.select("INBOX")
        _, (answer, *_) = client.copy("1", "INBOX")
        assert isinstance(answer, bytes)
        return answer


def limit(demo: RunningDemo, octets: int | None) -> None:
    """By an LDAP tool."""
    with demo.administrator() as admin:
        values = [] if octets is None else [str(octets)]
        dn = f"cn=example.com,ou=domains,{demo.facts['directory']['base']}"
        admin.modify(dn, {"gatepostDomainQuota": [(ldap3.MODIFY_REPLACE, values)]})
        assert admin.result["result"] == 0, admin.result


def test_a_domain_is_full_for_all_its_mailboxes_until_there_is_room(strict: RunningDemo) -> None:
    assert by_smtp(strict, "jane@example.com").startswith("250")
    limit(strict, 20_000)
    eventually(lambda: "domain_used" in json.loads(run(strict, "domain", "show", "example.com", "--json")[1]))
    shown = json.loads(run(strict, "domain", "show", "example.com", "--json")[1])
    assert shown["domain_quota"] == 20_000
    assert 4000 < shown["domain_used"] < 20_000
    # the worker that took them counts at once; another one sees it with the next sum
    eventually(lambda: by_smtp(strict, "oliver@example.com").startswith("452 4.2.2"), 20)
    eventually(lambda: by_lmtp(strict, "jane@example.com").startswith("452 4.2.2"), 20)
    eventually(lambda: by_imap(strict, "emma").startswith(b"[OVERQUOTA]"), 20)
    eventually(lambda: copied(strict, "jane").startswith(b"[OVERQUOTA]"), 20)
    assert by_smtp(strict, "lukas@example.org").startswith("250"), "another domain has its own"

    limit(strict, 8_000)
    eventually(lambda: run(strict, "doctor", "address", "oliver@example.com")[0] == 4, 10)
    assert "gatepostDomainQuota" in run(strict, "doctor", "address", "oliver@example.com")[1]
    # with the next sum
    eventually(lambda: "of 8000 octets" in run(strict, "doctor", "address", "oliver@example.com")[1], 20)
    eventually(lambda: "example.com is full" in run(strict, "status")[1], 20)
    assert run(strict, "status")[0] == 0

    limit(strict, 1_000_000)
    eventually(lambda: by_smtp(strict, "oliver@example.com").startswith("250"), 10)
    assert not by_imap(strict, "emma").startswith(b"[OVERQUOTA]")
    limit(strict, None)
    eventually(lambda: "domain_used" not in run(strict, "domain", "show", "example.com", "--json")[1], 20)
