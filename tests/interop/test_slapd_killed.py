"""slapd gone in the middle and back: known people get mail, recent logins work, nothing is refused for good."""

from __future__ import annotations

import imaplib
import os
import signal
import smtplib
import subprocess
import time

from conftest import RunningDemo


def rcpt(demo: RunningDemo, recipient: str) -> int:
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
        client.ehlo()
        client.mail("me@elsewhere.example")
        return client.rcpt(recipient)[0]


def login(demo: RunningDemo, name: str, password: str = "") -> str:
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=30) as client:
        try:
            return str(client.login(name, password or f"{name}-demo-password")[0])
        except imaplib.IMAP4.error as error:
            return str(error)


def test_slapd_killed_and_back(demo: RunningDemo) -> None:
    assert [login(demo, "jane") for _ in range(4)] == ["OK"] * 4
    assert login(demo, "emma") == "OK"
    os.kill(demo.facts["pids"]["slapd"], signal.SIGKILL)
    time.sleep(0.2)
    assert [login(demo, "jane") for _ in range(6)] == ["OK"] * 6
    assert "UNAVAILABLE" in login(demo, "oliver"), "nobody has proven this password lately"
    assert "UNAVAILABLE" in login(demo, "jane", "perhaps a new password")
    begin = time.monotonic()
    while rcpt(demo, "nobody@example.com") != 451:
        assert time.monotonic() - begin < 60
        time.sleep(0.05)
    print(f"unknown recipients deferred {time.monotonic() - begin:.1f} s after the directory died")
    assert rcpt(demo, "jane@example.com") == 250
    folder = demo.folder / "ldap"
    uri = demo.facts["directory"]["uri"]
    slapd = subprocess.Popen(
        ["/usr/sbin/slapd", "-F", str(folder / "slapd.d"), "-h", f"{uri}/", "-d", "0"], stderr=subprocess.DEVNULL
    )
    try:
        begin = time.monotonic()
        while login(demo, "oliver") != "OK" or rcpt(demo, "nobody@example.com") != 550:
            assert time.monotonic() - begin < 30
            time.sleep(0.05)
        print(f"logins and refusals work {time.monotonic() - begin:.1f} s after the directory came back")
        assert "AUTHENTICATIONFAILED" in login(demo, "jane", "perhaps a new password")
    finally:
        slapd.terminate()
        slapd.wait()
