"""Mail that is to be sent later: held in the queue, seen there, delivered when its moment comes."""

from __future__ import annotations

import imaplib
import json
import smtplib
import time

from conftest import RunningDemo
from in_process import answer

HOLD = 8


def in_inbox(demo: RunningDemo, subject: str) -> bool:
    client = imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20)
    try:
        client.login("oliver", "oliver-demo-password")
        client.select("INBOX", readonly=True)
        return client.search(None, "SUBJECT", subject)[1] != [b""]
    finally:
        client.logout()


def test_a_message_waits_for_its_moment(demo: RunningDemo) -> None:
    with smtplib.SMTP("127.0.0.1", demo.port("submission"), timeout=20) as client:
        client.ehlo("here.example")
        assert client.has_extn("futurerelease")
        client.login("jane", "jane-demo-password")
        begun = time.monotonic()
        assert client.mail("jane@example.com", [f"HOLDFOR={HOLD}"])[0] == 250
        client.rcpt("oliver@example.com")
        code, text = client.data("From: jane@example.com\r\nSubject: later-on\r\n\r\nhello\r\n")
        assert code == 250
        sent = text.decode().partition("id=")[2].split()[0]
        assert client.mail("jane@example.com")[0] == 250
        client.rcpt("oliver@example.com")
        assert client.data("From: jane@example.com\r\nSubject: at-once\r\n\r\nhello\r\n")[0] == 250
    assert in_inbox(demo, "at-once")
    shown = json.loads(answer("queue", "show", sent, "--json", "--config", demo.facts["config_file"]).stdout)
    assert HOLD - 2 < shown["not_before"] - shown["arrival"] <= HOLD + 0.5
    assert time.monotonic() - begun < HOLD and not in_inbox(demo, "later-on")
    while not in_inbox(demo, "later-on"):
        assert time.monotonic() - begun < 10 * HOLD
        time.sleep(0.2)
    assert time.monotonic() - begun >= HOLD - 1
