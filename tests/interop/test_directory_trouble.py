"""A directory that lies: 451, never 550; the brake and its end by an administrator."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Iterator

import ldap3
import pytest
from conftest import RunningDemo, eventually
from in_process import answer


def rcpt(demo: RunningDemo, recipient: str) -> int:
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
        client.ehlo()
        client.mail("me@elsewhere.example")
        return client.rcpt(recipient)[0]


def status(demo: RunningDemo) -> tuple[int, str]:
    done = answer("status", "--config", demo.facts["config_file"])
    return done.returncode, done.stdout


@pytest.fixture
def admin(demo: RunningDemo) -> Iterator[ldap3.Connection]:
    with demo.administrator() as connection:
        yield connection


def test_everybody_deleted_is_held_until_accepted(demo: RunningDemo, admin: ldap3.Connection) -> None:
    base = demo.facts["directory"]["base"]
    people = [a["login"] for a in demo.facts["accounts"] if a["login"]]
    for login in people:
        admin.delete(f"uid={login},ou=people,{base}")
    eventually(lambda: status(demo)[0] == 1)
    assert rcpt(demo, "jane@example.com") == 451
    assert rcpt(demo, "nobody@example.com") == 451
    print(status(demo)[1])
    done = answer("directory", "accept-deletions", "--json", "--config", demo.facts["config_file"])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["removed"] >= len(people)
    eventually(lambda: rcpt(demo, "jane@example.com") == 550)
