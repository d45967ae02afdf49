"""What the founding tests say to a demo and hear from it: verbs, people, messages."""

from __future__ import annotations

import imaplib
import json
import os
import poplib
import re
import signal
import smtplib
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import in_process
import pytest
import yaml
from click.testing import CliRunner
from conftest import RunningDemo, eventually, has_whole_copy

from gateway.cli import group
from gateway.cli.problems import explain
from gateway.service.overview import read

#: all founding tests run in the process that has their demo
FOUNDING = pytest.mark.xdist_group("founding")
SENDER = "me@elsewhere.example"


def verb(demo: RunningDemo, *words: str, given: str = "", code: int = 0) -> str:
    """What `gatepost WORDS` prints."""
    found, text = in_process.run(demo, *words, given=given)
    assert found == code, (words, found, text)
    return text


def facts(demo: RunningDemo, *words: str) -> Any:
    """What `gatepost WORDS --json` prints."""
    return json.loads(verb(demo, *words, "--json"))


def offline(*words: object, code: int = 0) -> str:
    """What a verb prints that needs no service."""
    mask = os.umask(0o022)  # a verb that opens stores leaves the service's own
    try:
        result = CliRunner().invoke(group, [str(word) for word in words])
    finally:
        os.umask(mask)
    if isinstance(result.exception, Exception):
        found, text = explain(result.exception)
    else:
        found, text = result.exit_code, result.output
    assert found == code, (words, found, text)
    return text


@dataclass(frozen=True)
class Person:
    """Somebody with a login and a store."""

    demo: RunningDemo
    login: str
    address: str
    password: str

    def imap(self) -> imaplib.IMAP4:
        """A session, logged in."""
        client = imaplib.IMAP4("127.0.0.1", self.demo.port("imap"), timeout=20)
        try:
            client.login(self.login, self.password)
        except imaplib.IMAP4.error:
            client.shutdown()
            raise
        return client

    def pop3(self) -> poplib.POP3:
        """A session, logged in."""
        client = poplib.POP3("127.0.0.1", self.demo.port("pop3"), timeout=20)
        try:
            client.user(self.login)
            client.pass_(self.password)
        except poplib.error_proto:
            client.close()
            raise
        return client

    def may_log_in(self, service: Literal["imap", "pop3"] = "imap") -> bool:
        """Whether the password opens the mailbox."""
        try:
            if service == "imap":
                self.imap().logout()
            else:
                self.pop3().quit()
        except (imaplib.IMAP4.error, poplib.error_proto) as error:
            assert re.search("AUTH|EXPIRED", str(error)), error
            return False
        return True

    def subjects(self, mailbox: str = "INBOX") -> list[str]:
        """Of the messages in a mailbox, in their order."""
        with self.imap() as client:
            if client.select(mailbox, readonly=True)[1] == [b"0"]:
                return []
            parts = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
        return [re.sub(r"^Subject: ", "", part[1].decode().strip()) for part in parts if isinstance(part, tuple)]

    def message(self, subject: str, mailbox: str = "INBOX", seconds: float = 20.0) -> bytes:
        """The message with this subject, waited for; there must not be two."""
        eventually(lambda: subject in self.subjects(mailbox), seconds)
        with self.imap() as client:
            client.select(mailbox, readonly=True)
            (number,) = client.search(None, "SUBJECT", f'"{subject}"')[1][0].split()
            return bytes(client.fetch(number, "(BODY.PEEK[])")[1][0][1])

    def maildir(self) -> Path:
        """Where the store lies."""
        (row,) = facts(self.demo, "account", "show", self.address)
        return Path(row["path"])


def make_person(demo: RunningDemo, login: str, *fields: str, domain: str = "example.com") -> Person:
    """A new person who may log in."""
    person = Person(demo, login, f"{login}@{domain}", f"the password of {login}")
    verb(demo, "user", "add", login, "--name", login.title(), "--address", person.address, *fields, "--password-stdin",
         given=f"{person.password}\n")  # fmt: skip
    return person


def post(demo: RunningDemo, subject: str, *recipients: str, sender: str = SENDER, body: str = "x\r\n") -> None:
    """Send one message from outside; every recipient must be taken."""
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
        text = f"From: {sender}\r\nSubject: {subject}\r\n\r\n{body}"
        assert client.sendmail(sender, recipients, text.encode()) == {}


def rcpt(demo: RunningDemo, recipient: str, sender: str = SENDER) -> tuple[int, str]:
    """What RCPT from outside is answered."""
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
        client.ehlo()
        client.mail(sender)
        code, text = client.rcpt(recipient)
        return code, text.decode()


@contextmanager
def configured(demo: RunningDemo, **sections: object) -> Iterator[None]:
    """The demo with these sections in its configuration, for a while."""
    path = Path(demo.facts["config_file"])
    before = path.read_text()
    path.write_text(yaml.safe_dump(yaml.safe_load(before) | sections))
    try:
        verb(demo, "reload")
        yield
    finally:
        path.write_text(before)
        verb(demo, "reload")


@contextmanager
def served(command: list[str], config: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The service, until the end; `command` starts it."""
    with (config.parent / "log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def is_ready(config: Path) -> bool:
    found = read(config.parent / "run")
    return found is not None and found.ready and has_whole_copy(config)


def _at_sink(demo: RunningDemo, subject: str) -> list[bytes]:
    sink = Path(demo.facts["smarthost"]["sink_dir"])
    read = [path.read_bytes() for path in sink.glob("*.eml")]
    return [each for each in read if f"\r\nSubject: {subject}\r\n".encode() in each]


def outside(demo: RunningDemo, subject: str, seconds: float = 20.0) -> bytes:
    """What arrived outside with this subject, waited for: X-Envelope-From, X-Envelope-To, message. Only once."""
    eventually(lambda: _at_sink(demo, subject), seconds)
    time.sleep(0.1)
    (found,) = _at_sink(demo, subject)
    return found
