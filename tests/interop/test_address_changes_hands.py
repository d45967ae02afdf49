"""An address that a vanished entry owned: 451 until an administrator decides who gets the mailbox."""

from __future__ import annotations

import imaplib
import json
import smtplib
from collections.abc import Iterator

import ldap3
import pytest
from conftest import RunningDemo, eventually
from in_process import Said, answer

PASSWORD = "another-demo-password"


def rcpt(demo: RunningDemo, recipient: str) -> int:
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
        client.ehlo()
        client.mail("me@elsewhere.example")
        return client.rcpt(recipient)[0]


def send(demo: RunningDemo, recipient: str, subject: str) -> None:
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
        client.sendmail("me@elsewhere.example", [recipient], f"Subject: {subject}\r\n\r\ntext\r\n")


def subjects(demo: RunningDemo, login: str) -> list[str]:
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as client:
        client.login(login, PASSWORD)
        client.select("INBOX")
        _, found = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        return [part[1].decode().strip() for part in found if isinstance(part, tuple)]


def account(demo: RunningDemo, *arguments: str) -> Said:
    return answer("account", *arguments, "--config", demo.facts["config_file"])


@pytest.fixture
def admin(demo: RunningDemo) -> Iterator[ldap3.Connection]:
    with demo.administrator() as connection:
        yield connection


def succeed(demo: RunningDemo, admin: ldap3.Connection, login: str) -> tuple[str, str]:
    """Delete a person and give the address to somebody new: the ids of both."""
    old = next(a for a in demo.facts["accounts"] if a["login"] == login)
    base, address = demo.facts["directory"]["base"], old["addresses"][0]
    send(demo, address, "for the first")
    assert admin.delete(f"uid={login},ou=people,{base}"), admin.result
    eventually(lambda: rcpt(demo, address) == 550)
    dn = f"uid=new-{login},ou=people,{base}"
    assert admin.add(
        dn,
        ["inetOrgPerson", "gatepostAccount"],
        {
            "uid": f"new-{login}",
            "cn": "New",
            "sn": "New",
            "mail": address,
            "gatepostAddress": address,
            "userPassword": PASSWORD,
        },
    ), admin.result
    admin.search(dn, "(objectClass=*)", ldap3.BASE, attributes=["entryUUID"])
    new = f"{old['id'].partition(':')[0]}:{admin.response[0]['attributes']['entryUUID'][0]}"
    eventually(lambda: rcpt(demo, address) == 451)
    return old["id"], new


def test_the_new_one_may_get_the_mailbox(demo: RunningDemo, admin: ldap3.Connection) -> None:
    old, new = succeed(demo, admin, "oliver")
    assert account(demo, "rebind", old, new).returncode == 2
    assert account(demo, "rebind", old, old, "--fresh").returncode == 1
    assert account(demo, "rebind", new, new, "--same-addresses").returncode == 1
    done = account(demo, "rebind", old, new, "--same-addresses")
    assert done.returncode == 0, done.stderr
    assert rcpt(demo, "oliver@example.com") == 250
    send(demo, "oliver@example.com", "for the second")
    assert subjects(demo, "new-oliver") == ["Subject: for the first", "Subject: for the second"]
    shown = account(demo, "show", "oliver@example.com")
    assert (shown.returncode, shown.stdout.startswith(new)) == (0, True)
    assert account(demo, "show", old).returncode == 1


def test_the_new_one_may_begin_anew(demo: RunningDemo, admin: ldap3.Connection) -> None:
    old, new = succeed(demo, admin, "emma")
    done = account(demo, "rebind", old, new, "--fresh", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"old": old, "new": new, "mode": "fresh"})
    eventually(lambda: rcpt(demo, "emma@example.com") == 250)
    send(demo, "emma@example.com", "for the second")
    assert subjects(demo, "new-emma") == ["Subject: for the second"]
    assert account(demo, "show", old).returncode == 0
