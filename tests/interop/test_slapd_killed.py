"""slapd gone in the middle: unknown recipients are deferred, never refused."""

from __future__ import annotations

import imaplib
import os
import signal
import smtplib
import time

import pytest
from conftest import RunningDemo


def rcpt(demo: RunningDemo, recipient: str) -> int:
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
        client.ehlo()
        client.mail("me@elsewhere.example")
        return client.rcpt(recipient)[0]


def test_slapd_killed(demo: RunningDemo) -> None:
    os.kill(demo.facts["pids"]["slapd"], signal.SIGKILL)
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=30) as client:
        with pytest.raises(imaplib.IMAP4.error, match=r"AUTHENTICATIONFAILED|UNAVAILABLE"):
            client.login("jane", "jane-demo-password")
    begin = time.monotonic()
    while rcpt(demo, "nobody@example.com") != 451:
        assert time.monotonic() - begin < 60
        time.sleep(0.05)
    print(f"unknown recipients deferred {time.monotonic() - begin:.1f} s after the directory died")
    assert rcpt(demo, "jane@example.com") == 250
