"""A directory that lies or is gone: 451, never 550; the brake, its end by an administrator, and allowed networks."""

from __future__ import annotations

import imaplib
import os
import signal
import smtplib
import subprocess
import time
from collections.abc import Callable

import ldap3
import pytest
from conftest import GATEPOST, RunningDemo


def rcpt(demo: RunningDemo, recipient: str) -> int:
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
        client.ehlo()
        client.mail("me@elsewhere.example")
        return client.rcpt(recipient)[0]


def status(demo: RunningDemo) -> tuple[int, str]:
    done = subprocess.run(
        [*GATEPOST, "status", "--config", demo.facts["config_file"]], capture_output=True, text=True, timeout=30
    )
    return done.returncode, done.stdout


def eventually(what: Callable[[], bool], seconds: float = 30.0) -> float:
    begin = time.monotonic()
    while not what():
        assert time.monotonic() - begin < seconds
        time.sleep(0.05)
    return time.monotonic() - begin


@pytest.fixture
def admin(demo: RunningDemo) -> ldap3.Connection:
    facts = demo.facts["directory"]
    connection = ldap3.Connection(
        ldap3.Server(facts["uri"], get_info=ldap3.NONE), facts["admin_dn"], facts["admin_password"], auto_bind=True
    )
    yield connection
    connection.unbind()


def test_a_login_only_from_allowed_networks(demo: RunningDemo, admin: ldap3.Connection) -> None:
    def login() -> bool:
        with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as client:
            try:
                client.login("emma", "emma-demo-password")
            except imaplib.IMAP4.error:
                return False
        return True

    assert login()
    dn = f"uid=emma,ou=people,{demo.facts['directory']['base']}"
    admin.modify(dn, {"gatepostAllowNet": [(ldap3.MODIFY_REPLACE, ["192.0.2.0/24"])]})
    eventually(lambda: not login(), 10)
    admin.modify(dn, {"gatepostAllowNet": [(ldap3.MODIFY_REPLACE, ["127.0.0.0/8"])]})
    eventually(login, 10)


def test_everybody_deleted_is_held_until_accepted(demo: RunningDemo, admin: ldap3.Connection) -> None:
    base = demo.facts["directory"]["base"]
    people = [a["login"] for a in demo.facts["accounts"] if a["login"]]
    for login in people:
        admin.delete(f"uid={login},ou=people,{base}")
    eventually(lambda: status(demo)[0] == 1)
    assert rcpt(demo, "jane@example.com") == 451
    assert rcpt(demo, "nobody@example.com") == 451
    print(status(demo)[1])
    done = subprocess.run(
        [*GATEPOST, "directory", "accept-deletions", "--config", demo.facts["config_file"]],
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    eventually(lambda: rcpt(demo, "jane@example.com") == 550)


def test_slapd_killed(demo: RunningDemo) -> None:
    os.kill(demo.facts["pids"]["slapd"], signal.SIGKILL)
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=30) as client:
        with pytest.raises(imaplib.IMAP4.error, match=r"AUTHENTICATIONFAILED|UNAVAILABLE"):
            client.login("jane", "jane-demo-password")
    seconds = eventually(lambda: rcpt(demo, "nobody@example.com") == 451, 60)
    print(f"unknown recipients deferred {seconds:.1f} s after the directory died")
