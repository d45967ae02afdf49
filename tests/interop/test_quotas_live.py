"""Quotas on a running system. A domain's: its edge over SMTP, LMTP and IMAP; a change in the directory is live. A soft one:
mail is taken during the grace, then the mailbox is full until there is room."""

from __future__ import annotations

import imaplib
import json
import smtplib
import time
from collections.abc import Iterator

import ldap3
import pytest
from conftest import RunningDemo, eventually
from in_process import run

SENDER = "me@elsewhere.example"
MESSAGE = b"Subject: x\r\n\r\n" + (b"x" * 62 + b"\r\n") * 64


@pytest.fixture(scope="module")
def quotas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """A demo of its own: quotas are changed in it."""
    running = RunningDemo(tmp_path_factory.mktemp("quotas"))
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


def test_a_domain_is_full_for_all_its_mailboxes_until_there_is_room(quotas: RunningDemo) -> None:
    assert by_smtp(quotas, "jane@example.com").startswith("250")
    limit(quotas, 20_000)
    eventually(lambda: "domain_used" in json.loads(run(quotas, "domain", "show", "example.com", "--json")[1]))
    shown = json.loads(run(quotas, "domain", "show", "example.com", "--json")[1])
    assert shown["domain_quota"] == 20_000
    assert 4000 < shown["domain_used"] < 20_000
    # the worker that took them counts at once; another one sees it with the next sum
    eventually(lambda: by_smtp(quotas, "oliver@example.com").startswith("452 4.2.2"), 20)
    eventually(lambda: by_lmtp(quotas, "jane@example.com").startswith("452 4.2.2"), 20)
    eventually(lambda: by_imap(quotas, "emma").startswith(b"[OVERQUOTA]"), 20)
    eventually(lambda: copied(quotas, "jane").startswith(b"[OVERQUOTA]"), 20)
    assert by_smtp(quotas, "lukas@example.org").startswith("250"), "another domain has its own"

    limit(quotas, 8_000)
    eventually(lambda: run(quotas, "doctor", "address", "oliver@example.com")[0] == 4, 10)
    assert "gatepostDomainQuota" in run(quotas, "doctor", "address", "oliver@example.com")[1]
    # with the next sum
    eventually(lambda: "of 8000 octets" in run(quotas, "doctor", "address", "oliver@example.com")[1], 20)
    eventually(lambda: "example.com is full" in run(quotas, "status")[1], 20)
    assert run(quotas, "status")[0] == 0

    limit(quotas, 1_000_000)
    eventually(lambda: by_smtp(quotas, "oliver@example.com").startswith("250"), 10)
    assert not by_imap(quotas, "emma").startswith(b"[OVERQUOTA]")
    limit(quotas, None)
    eventually(lambda: "domain_used" not in run(quotas, "domain", "show", "example.com", "--json")[1], 20)


def rcpt(demo: RunningDemo) -> str:
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
        client.ehlo()
        client.mail(SENDER)
        code, text = client.rcpt("anna@example.org")
        return f"{code} {text.decode()}"


def quota(demo: RunningDemo) -> bytes:
    """What GETQUOTAROOT says: the directory's change has arrived when it shows the new limit."""
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as client:
        client.login("anna", "anna-demo-password")
        return bytes(client.getquotaroot("INBOX")[1][1][0])


def send(demo: RunningDemo, octets: int) -> None:
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
        client.sendmail(SENDER, ["anna@example.org"], "Subject: x\n\n" + ("x" * 63 + "\n") * (octets // 64))


def test_the_grace_of_a_soft_quota(quotas: RunningDemo) -> None:
    code, text = run(quotas, "user", "set", "anna", "quota=1M", "quota_soft=64K", "quota_grace=1h")
    assert code == 0, text
    begin = time.monotonic()
    while b" 1024" not in quota(quotas):
        assert time.monotonic() - begin < 20
        time.sleep(0.1)
    send(quotas, 1000)
    assert "over the soft" not in run(quotas, "account", "show", "anna@example.org")[1]
    send(quotas, 80_000)
    send(quotas, 1000)
    client = imaplib.IMAP4("127.0.0.1", quotas.port("imap"), timeout=20)
    client.login("anna", "anna-demo-password")
    client.select()
    assert client.untagged_responses["OVERQUOTA"], "warned"
    del client.untagged_responses["OVERQUOTA"]
    assert client.append("INBOX", "", None, b"Subject: y\r\n\r\n")[0] == "OK"
    assert client.untagged_responses["OVERQUOTA"], "warned again"
    code, text = run(quotas, "account", "show", "anna@example.org")
    assert (code, "1048576 octets, 65536 octets (soft)" in text, "over the soft quota" in text) == (0, True, True), text
    code, text = run(quotas, "user", "set", "anna", "quota_grace=1s")
    assert code == 0, text
    begin = time.monotonic()
    while not (answer := rcpt(quotas)).startswith("452 4.2.2"):
        assert time.monotonic() - begin < 20, answer
        time.sleep(0.2)
    code, text = run(quotas, "doctor", "address", "anna@example.org", "--sender", SENDER)
    assert (code, rcpt(quotas) in text, "over the soft quota of 65536 octets since" in text) == (4, True, True), text
    assert b" 64" in client.getquotaroot("INBOX")[1][1][0]
    answer, lines = client.append("INBOX", "", None, b"Subject: y\r\n\r\n")
    assert (answer, b"OVERQUOTA" in lines[0]) == ("NO", True)
    client.select()
    client.store("1:*", "+FLAGS", "(\\Deleted)")
    client.expunge()
    assert rcpt(quotas).startswith("250")
    assert b" 1024" in client.getquotaroot("INBOX")[1][1][0]
    assert client.append("INBOX", "", None, b"Subject: y\r\n\r\n")[0] == "OK"
    client.select()
    assert "OVERQUOTA" not in client.untagged_responses
    client.logout()
    assert "over the soft" not in run(quotas, "account", "show", "anna@example.org")[1]
