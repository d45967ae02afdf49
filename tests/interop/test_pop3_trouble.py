"""POP3 when things break: a killed worker, a dead directory, a message that is gone, a maildrop that changes."""

from __future__ import annotations

import contextlib
import imaplib
import os
import poplib
import signal
import smtplib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import RunningDemo, eventually

from gateway.service.overview import read

LEASE = 2.0


def reloads(demo: RunningDemo) -> int:
    shown = read(demo.folder / "run")
    return shown.reloads if shown is not None else 0


def configure(demo: RunningDemo, **values: float) -> None:
    """Settings of POP3, in force when it returns."""
    before = reloads(demo)
    path = demo.folder / "gatepost.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"pop3": {"lock_lease": LEASE, **values}}))
    os.kill(demo.facts["pids"]["master"], signal.SIGHUP)
    eventually(lambda: reloads(demo) > before, 60)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    demo = RunningDemo(tmp_path_factory.mktemp("pop3"))
    configure(demo)
    yield demo
    demo.stop()


def person(demo: RunningDemo, wanted: int) -> dict[str, Any]:
    people = [a for a in demo.facts["accounts"] if a["kind"] == "person" and a["status"] == "active" and a["password"]]
    found: dict[str, Any] = people[wanted]
    return found


def login(demo: RunningDemo, account: dict[str, Any]) -> poplib.POP3:
    client = poplib.POP3("127.0.0.1", demo.port("pop3"), timeout=20)
    try:
        client.user(account["login"])
        client.pass_(account["password"])
    except poplib.error_proto:
        client.close()
        raise
    return client


def deliver(demo: RunningDemo, account: dict[str, Any], count: int) -> None:
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as sender:
        for _ in range(count):
            sender.sendmail("me@elsewhere.example", [account["addresses"][0]], b"Subject: x\r\n\r\nhello\r\n")


def workers(demo: RunningDemo) -> list[int]:
    shown = read(demo.folder / "run")
    assert shown is not None
    return [each.pid for each in shown.children if each.name.startswith("worker")]


def test_the_lock_of_killed_workers_ends_with_its_lease_and_nothing_is_removed(company: RunningDemo) -> None:
    account = person(company, 3)
    deliver(company, account, 2)
    client = login(company, account)
    count = client.stat()[0]
    time.sleep(2 * LEASE)  # renewed meanwhile
    with pytest.raises(poplib.error_proto, match="IN-USE"):
        login(company, account)
    client.dele(1)
    killed = time.monotonic()
    for pid in workers(company):
        os.kill(pid, signal.SIGKILL)
    client.close()
    seen = set()
    while True:
        assert time.monotonic() - killed < 30
        try:
            again = login(company, account)
            break
        except poplib.error_proto as error:
            seen.add(str(error))
        except OSError:
            pass  # the next worker is not there yet
        time.sleep(0.05)
    assert all("IN-USE" in each for each in seen)
    assert again.stat()[0] == count
    again.quit()


def test_what_others_do_to_the_maildrop_meanwhile(company: RunningDemo) -> None:
    account = person(company, 4)
    deliver(company, account, 3)
    client = login(company, account)
    count = client.stat()[0]
    deliver(company, account, 1)
    assert client.stat()[0] == count  # the snapshot stays (RFC 1939 3)
    with imaplib.IMAP4("127.0.0.1", company.port("imap"), timeout=20) as other:
        other.login(account["login"], account["password"])
        other.select("INBOX")
        other.store(str(count), "+FLAGS", r"(\Deleted)")
        assert other.expunge()[0] == "OK"
    with pytest.raises(poplib.error_proto, match=r"\[SYS/TEMP\] message is gone"):
        client.retr(count)
    client.dele(count)
    client.dele(count - 1)
    assert client.quit().startswith(b"+OK")
    last = login(company, account)
    assert last.stat()[0] == count - 1  # three, less two, and the new one
    last.quit()


def test_who_comes_again_too_soon_and_what_has_been_there_for_too_long(company: RunningDemo) -> None:
    one, other = person(company, 6), person(company, 2)
    for account in (one, other):
        deliver(company, account, 2)
    configure(company, login_delay=3600.0, expire=0.001)
    try:
        client = login(company, one)
        assert {"LOGIN-DELAY": ["3600"], "EXPIRE": ["0"]}.items() <= client.capa().items()
        assert client.stat()[0] >= 2
        deliver(company, one, 1)
        client.quit()  # what the session has seen goes, what came meanwhile stays
        for _ in range(2):  # on whichever worker
            with pytest.raises(poplib.error_proto, match=r"\[LOGIN-DELAY\]"):
                login(company, one)
        client = login(company, other)
        client.close()  # no QUIT: nothing goes
    finally:
        configure(company)
    client = login(company, one)
    assert client.stat()[0] == 1
    client.quit()
    client = eventually_in(company, other)
    assert client.stat()[0] >= 2
    client.quit()


def eventually_in(demo: RunningDemo, account: dict[str, Any]) -> poplib.POP3:
    """A session, once the one that broke off has given its lock back."""
    found: list[poplib.POP3] = []

    def is_in() -> bool:
        with contextlib.suppress(poplib.error_proto):
            found.append(login(demo, account))
        return bool(found)

    eventually(is_in)
    return found[0]


def test_a_store_that_cannot_be_read_is_temporary(company: RunningDemo) -> None:
    account = person(company, 5)
    deliver(company, account, 1)
    folder = Path(account["maildir"])
    aside = folder.with_name("aside")
    client = login(company, account)
    folder.rename(aside)
    folder.write_text("not a folder")
    try:
        with pytest.raises(poplib.error_proto, match=r"-ERR \[SYS/TEMP\]"):
            client.retr(1)
        client.quit()
        with pytest.raises(poplib.error_proto, match=r"-ERR \[SYS/TEMP\]"):
            login(company, account)
    finally:
        folder.unlink()
        aside.rename(folder)
    client = login(company, account)
    assert client.stat()[0] >= 1
    client.quit()


def test_a_dead_directory_is_temporary_and_who_logged_in_lately_still_can(company: RunningDemo) -> None:
    known, unknown = person(company, 6), person(company, 7)
    login(company, known).quit()
    slapd = company.facts["pids"]["slapd"]
    os.kill(slapd, signal.SIGSTOP)
    try:
        with pytest.raises(poplib.error_proto, match=r"-ERR \[SYS/TEMP\]"):
            login(company, unknown)
        with pytest.raises(poplib.error_proto, match=r"-ERR \[SYS/TEMP\]"):
            login(company, dict(unknown, password="wrong"))
        with contextlib.closing(login(company, known)) as client:
            assert client.noop().startswith(b"+OK")
    finally:
        os.kill(slapd, signal.SIGCONT)
    back = time.monotonic()
    while True:
        try:
            login(company, unknown).quit()
            break
        except poplib.error_proto as error:
            assert "[SYS/TEMP]" in str(error)
            assert time.monotonic() - back < 40
            time.sleep(0.2)
