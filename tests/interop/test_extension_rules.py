"""Rules for extensions through slapd, agent, MX and IMAP; `doctor address` tells them."""

from __future__ import annotations

import imaplib
import smtplib
from collections.abc import Iterator

import pytest
from conftest import RunningDemo
from in_process import run


@pytest.fixture(scope="module")
def ruled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """A demo of its own: jane gets rules."""
    running = RunningDemo(tmp_path_factory.mktemp("ruled"))
    rules = ("lists folder Drafts", "nowhere folder Missing", "void discard", "secret reject ask at the desk",
             "both deliver", "both folder Drafts")  # fmt: skip
    assert run(running, "user", "set", "jane", *(f"extensions+={rule}" for rule in rules))[0] == 0
    yield running
    running.stop()


def send(demo: RunningDemo, extension: str, subject: str) -> None:
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
        client.sendmail("me@far.example", [f"jane+{extension}@example.com"], f"Subject: {subject}\n\nx\n")


def holds(demo: RunningDemo, mailbox: str, subject: str) -> int:
    jane = demo.facts["accounts"][0]
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as client:
        client.login(jane["login"], jane["password"])
        client.select(mailbox, readonly=True)
        return len(client.search(None, "SUBJECT", subject)[1][0].split())


@pytest.mark.parametrize(
    ("extension", "inbox", "drafts"),
    [("lists", 0, 1), ("nowhere", 1, 0), ("void", 0, 0), ("both", 1, 1), ("norule", 1, 0)],
)
def test_where_it_goes(ruled: RunningDemo, extension: str, inbox: int, drafts: int) -> None:
    send(ruled, extension, f"rule-{extension}")
    assert (holds(ruled, "INBOX", f"rule-{extension}"), holds(ruled, "Drafts", f"rule-{extension}")) == (inbox, drafts)


def test_a_refusal_is_told_in_the_session(ruled: RunningDemo) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
        send(ruled, "secret", "x")
    assert caught.value.recipients["jane+secret@example.com"] == (550, b"5.7.1 ask at the desk")


def test_doctor_tells_the_rule(ruled: RunningDemo) -> None:
    code, text = run(ruled, "doctor", "address", "jane+lists@example.com")
    assert code == 0
    assert "rule lists: folder Drafts" in text
    code, text = run(ruled, "doctor", "address", "jane+secret@example.com")
    assert code == 1
    assert "ask at the desk" in text


def test_a_rule_that_cannot_be_read_is_not_written(ruled: RunningDemo) -> None:
    code, text = run(ruled, "user", "set", "jane", "extensions+=x teleport home")
    assert code == 2
    assert "teleport" in text
