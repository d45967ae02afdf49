"""A soft quota in the directory: mail is taken during the grace, then the mailbox is full until there is room."""

from __future__ import annotations

import imaplib
import smtplib
import time
from collections.abc import Iterator

import pytest
from conftest import RunningDemo
from in_process import run

SENDER = "me@elsewhere.example"


@pytest.fixture
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """A demo of its own: a quota is changed in it."""
    running = RunningDemo(tmp_path_factory.mktemp("strict"))
    yield running
    running.stop()


def rcpt(demo: RunningDemo) -> str:
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
        client.ehlo()
        client.mail(SENDER)
        code, text = client.rcpt("jane@example.com")
        return f"{code} {text.decode()}"


def quota(demo: RunningDemo) -> bytes:
    """What GETQUOTAROOT says: the directory's change has arrived when it shows the new limit."""
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as client:
        client.login("jane", "jane-demo-password")
        return bytes(client.getquotaroot("INBOX")[1][1][0])


def send(demo: RunningDemo, octets: int) -> None:
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
        client.sendmail(SENDER, ["jane@example.com"], "Subject: x\n\n" + ("x" * 63 + "\n") * (octets // 64))


def test_the_grace_of_a_soft_quota(strict: RunningDemo) -> None:
    code, text = run(strict, "user", "set", "jane", "quota=1M", "quota_soft=64K", "quota_grace=1h")
    assert code == 0, text
    begin = time.monotonic()
    while b" 1024" not in quota(strict):
        assert time.monotonic() - begin < 20
        time.sleep(0.1)
    send(strict, 1000)
    assert "over the soft" not in run(strict, "account", "show", "jane@example.com")[1]
    send(strict, 80_000)
    send(strict, 1000)
    client = imaplib.IMAP4("127.0.0.1", strict.port("imap"), timeout=20)
    client.login("jane", "jane-demo-password")
    client.select()
    assert client.untagged_responses["OVERQUOTA"], "warned"
    del client.untagged_responses["OVERQUOTA"]
    assert client.append("INBOX", "", None, b"Subject: y\r\n\r\n")[0] == "OK"
    assert client.untagged_responses["OVERQUOTA"], "warned again"
    code, text = run(strict, "account", "show", "jane@example.com")
    assert (code, "1048576 octets, 65536 octets (soft)" in text, "over the soft quota" in text) == (0, True, True), text
    code, text = run(strict, "user", "set", "jane", "quota_grace=1s")
    assert code == 0, text
    begin = time.monotonic()
    while not (answer := rcpt(strict)).startswith("452 4.2.2"):
        assert time.monotonic() - begin < 20, answer
        time.sleep(0.2)
    code, text = run(strict, "doctor", "address", "jane@example.com", "--sender", SENDER)
    assert (code, rcpt(strict) in text, "over the soft quota of 65536 octets since" in text) == (4, True, True), text
    assert b" 64" in client.getquotaroot("INBOX")[1][1][0]
    answer, lines = client.append("INBOX", "", None, b"Subject: y\r\n\r\n")
    assert (answer, b"OVERQUOTA" in lines[0]) == ("NO", True)
    client.select()
    client.store("1:*", "+FLAGS", "(\\Deleted)")
    client.expunge()
    assert rcpt(strict).startswith("250")
    assert b" 1024" in client.getquotaroot("INBOX")[1][1][0]
    assert client.append("INBOX", "", None, b"Subject: y\r\n\r\n")[0] == "OK"
    client.select()
    assert "OVERQUOTA" not in client.untagged_responses
    client.logout()
    assert "over the soft" not in run(strict, "account", "show", "jane@example.com")[1]
