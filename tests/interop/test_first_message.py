"""The whole way with real parts: slapd, agent, replica, RCPT, Maildir, IMAP; clients are smtplib, curl, imaplib."""

from __future__ import annotations

import imaplib
import smtplib
import subprocess
import time

import ldap3
import pytest
from conftest import RunningDemo

MESSAGE = "Subject: hello\nMessage-ID: <{id}@elsewhere.example>\n\n.dot\nbody {id}\n"


def send(demo: RunningDemo, recipient: str, text: str) -> None:
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
        client.sendmail("me@elsewhere.example", [recipient], text)


def inbox(demo: RunningDemo, login: str, password: str) -> list[bytes]:
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as client:
        client.login(login, password)
        status, count = client.select("INBOX")
        assert status == "OK"
        if int(count[0] or b"0") == 0:
            return []
        status, parts = client.fetch("1:*", "(UID BODY.PEEK[])")
        assert status == "OK"
        return [part[1] for part in parts if isinstance(part, tuple)]


def test_delivered_to_every_form_of_the_address_and_read(demo: RunningDemo) -> None:
    jane = demo.facts["accounts"][0]
    for number, recipient in enumerate(["jane@example.com", "Jane.Doe+tag@EXAMPLE.net"]):
        send(demo, recipient, MESSAGE.format(id=number))
    found = inbox(demo, jane["login"], jane["password"])
    for number in range(2):
        (mail,) = [m for m in found if f"<{number}@elsewhere.example>".encode() in m]
        assert mail.startswith(b"Return-Path: <me@elsewhere.example>\r\nReceived: ")
        assert mail.endswith(f"\r\n\r\n.dot\r\nbody {number}\r\n".encode())


@pytest.mark.parametrize(
    ("recipient", "code", "enhanced"),
    [("nobody@example.com", 550, b"5.1.1"), ("closed@example.com", 550, b"5.2.1"), ("x@other.example", 550, b"5.7.1")],
)
def test_refused_in_the_session(demo: RunningDemo, recipient: str, code: int, enhanced: bytes) -> None:
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
        client.ehlo()
        client.mail("me@elsewhere.example")
        reply = client.rcpt(recipient)
    assert reply[0] == code
    assert reply[1].startswith(enhanced)


def test_wrong_and_empty_passwords(demo: RunningDemo) -> None:
    for password in ("wrong", ""):
        with pytest.raises(imaplib.IMAP4.error):
            inbox(demo, "jane", password)


def test_curl_reads_inbox(demo: RunningDemo) -> None:
    send(demo, "harry@example.com", MESSAGE.format(id="curl"))
    account = next(a for a in demo.facts["accounts"] if a["login"] == "harry")
    done = subprocess.run(
        ["curl", "-s", f"imap://127.0.0.1:{demo.port('imap')}/INBOX;UID=1", "-u", f"harry:{account['password']}"],
        capture_output=True, timeout=20,
    )  # fmt: skip
    assert b"Message-ID: <curl@elsewhere.example>" in done.stdout


def test_a_new_address_is_live_at_once(demo: RunningDemo) -> None:
    facts = demo.facts["directory"]
    server = ldap3.Server(facts["uri"], get_info=ldap3.NONE)
    connection = ldap3.Connection(server, facts["admin_dn"], facts["admin_password"], auto_bind=True)
    connection.modify(
        f"uid=jane,ou=people,{facts['base']}", {"gatepostAddress": [(ldap3.MODIFY_ADD, ["fresh@example.com"])]}
    )
    connection.unbind()
    begin = time.monotonic()
    while True:
        with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
            client.ehlo()
            client.mail("me@elsewhere.example")
            if client.rcpt("fresh@example.com")[0] == 250:
                break
        assert time.monotonic() - begin < 10
        time.sleep(0.005)
    print(f"live after {(time.monotonic() - begin) * 1000:.0f} ms")
