"""Reports on delivery on a live system: a far end refuses, the sender reads why by IMAP; the postmaster is last."""

from __future__ import annotations

import email
import imaplib
import smtplib
import time
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
import yaml
from aiosmtpd.smtp import SMTP, Envelope, Session
from click.testing import CliRunner
from conftest import RunningDemo
from taking_host import taking

from gateway.cli import group

SECONDS = 20.0


class FarEnd:
    """Refuses whoever is called no…, defers later…, takes everybody else."""

    def __init__(self) -> None:
        self.taken: list[tuple[str | None, list[str]]] = []

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("no"):
            return "550 5.1.1 <" + address + ">: nobody of that name"
        if address.startswith("later"):
            return "450 4.2.0 come again"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.taken.append((envelope.mail_from, list(envelope.rcpt_tos)))
        return "250 2.0.0 kept"


@pytest.fixture(scope="module")
def far_end() -> Iterator[tuple[FarEnd, int]]:
    handler = FarEnd()
    with taking(handler) as port:
        yield handler, port


@pytest.fixture(scope="module")
def bouncing(tmp_path_factory: pytest.TempPathFactory, far_end: tuple[FarEnd, int]) -> Iterator[RunningDemo]:
    """A demo of its own whose mail for outside goes to the far end."""
    running = RunningDemo(tmp_path_factory.mktemp("bouncing"))
    path = Path(running.facts["config_file"])
    configuration = yaml.safe_load(path.read_text())
    configuration["relay"]["smarthost"] = f"127.0.0.1:{far_end[1]}"
    configuration["queue"] = {"retry_first": 1.0, "retry_max": 1.0, "delay_warning": 0.1}
    configuration["srs"] = {"domain": "example.com"}
    configuration["bounce"] = {"to_strangers": True}
    path.write_text(yaml.safe_dump(configuration))
    done = CliRunner().invoke(group, ["reload", "--config", str(path)])
    assert done.exit_code == 0, done.output
    yield running
    running.stop()


def send(demo: RunningDemo, recipient: str, *, mail: str = "", rcpt: str = "", body: str = "hello") -> None:
    """By jane, over submission."""
    with smtplib.SMTP("127.0.0.1", demo.port("submission"), timeout=20) as client:
        client.ehlo("here.example")
        assert client.has_extn("dsn")
        client.login("jane", "jane-demo-password")
        assert client.mail("jane@example.com", mail.split())[0] == 250
        code, text = client.rcpt(recipient, rcpt.split())
        assert code == 250, text
        code, text = client.data(f"From: jane@example.com\r\nSubject: to {recipient}\r\n\r\n{body}\r\n")
        assert code == 250, text


def reports(
    demo: RunningDemo, login: str, about: str, *, count: int = 1, seconds: float = SECONDS
) -> list[EmailMessage]:
    """Reports in the INBOX that name `about`, when there are so many or the time is over."""
    client = imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20)
    try:
        client.login(login, f"{login}-demo-password")
        deadline = time.monotonic() + seconds
        while True:
            found = []
            client.select("INBOX", readonly=True)
            for number in client.search(None, "SUBJECT", "Mail")[1][0].split():
                part = client.fetch(number, "(BODY.PEEK[])")[1][0]
                assert isinstance(part, tuple)
                message = email.message_from_bytes(part[1], policy=default)
                assert isinstance(message, EmailMessage)
                if message.get_content_type() == "multipart/report" and about.encode() in part[1]:
                    found.append(message)
            if len(found) >= count or time.monotonic() > deadline:
                return found
            time.sleep(0.05)
    finally:
        client.logout()


def blocks(message: EmailMessage) -> list[dict[str, str]]:
    return [dict(block.items()) for block in message.get_payload()[1].get_payload()]  # type: ignore[union-attr,index]


def third(message: EmailMessage) -> str:
    return message.get_payload()[2].get_content_type()  # type: ignore[union-attr,index,no-any-return]


def test_a_refusal_is_read_by_the_sender(bouncing: RunningDemo) -> None:
    send(bouncing, "no.one@far.example", mail="RET=FULL ENVID=trip+2B1", rcpt="ORCPT=rfc822;No.One@far.example")
    (message,) = reports(bouncing, "jane", "no.one@far.example")
    assert message["Return-Path"] == "<>"
    assert message["Auto-Submitted"] == "auto-replied"
    head, one = blocks(message)
    assert head["Original-Envelope-Id"] == "trip+1"
    assert one["Original-Recipient"] == "rfc822; No.One@far.example"
    assert (one["Action"], one["Status"]) == ("failed", "5.1.1")
    assert one["Diagnostic-Code"] == "smtp; 550 5.1.1 <no.one@far.example>: nobody of that name"
    text = message.get_payload()[0].get_content()  # type: ignore[union-attr,index]
    assert "There is no such address." in text
    assert "该地址不存在" in text
    assert third(message) == "message/rfc822"


def test_the_header_alone_where_it_is_wanted_or_the_message_is_large(bouncing: RunningDemo) -> None:
    send(bouncing, "no.header@far.example", mail="RET=HDRS")
    send(bouncing, "no.large@far.example", body="x" * 900 + "\r\n" + ("y" * 900 + "\r\n") * 80)
    for who in ("no.header", "no.large"):
        (message,) = reports(bouncing, "jane", f"{who}@far.example")
        assert third(message) == "text/rfc822-headers"
        assert len(message.as_bytes()) < 20_000


def test_never_success_and_delay(bouncing: RunningDemo) -> None:
    send(bouncing, "no.never@far.example", rcpt="NOTIFY=NEVER")
    send(bouncing, "yes@far.example", rcpt="NOTIFY=SUCCESS")
    send(bouncing, "emma@example.com", rcpt="NOTIFY=SUCCESS")
    send(bouncing, "later@far.example")
    assert blocks(reports(bouncing, "jane", "rfc822; yes@far.example")[0])[1]["Action"] == "relayed"
    (message,) = reports(bouncing, "jane", "rfc822; emma@example.com")
    assert blocks(message)[1]["Action"] == "delivered"
    (message,) = reports(bouncing, "jane", "rfc822; later@far.example")
    assert blocks(message)[1]["Action"] == "delayed"
    assert "Will-Retry-Until" in blocks(message)[1]
    time.sleep(2.5)  # two more attempts
    assert len(reports(bouncing, "jane", "rfc822; later@far.example")) == 1
    assert reports(bouncing, "jane", "no.never@far.example", seconds=0) == []


def test_wishes_that_make_no_sense_are_refused(bouncing: RunningDemo) -> None:
    for service in ("mx", "submission"):
        with smtplib.SMTP("127.0.0.1", bouncing.port(service), timeout=20) as client:
            client.ehlo("here.example")
            if service == "submission":
                client.login("jane", "jane-demo-password")
            assert client.mail("jane@example.com", ["RET=SOME"])[0] == 501
            assert client.mail("jane@example.com", ["ENVID="])[0] == 501
            assert client.mail("jane@example.com", ["ENVID=" + "x" * 101])[0] == 501
            assert client.mail("jane@example.com", ["RET=HDRS"])[0] == 250
            for wish in (
                "NOTIFY=NEVER,SUCCESS",
                "NOTIFY=",
                "NOTIFY=ALWAYS",
                "ORCPT=jane",
                "ORCPT=rfc822;a+0A",
                "RET=FULL",
            ):
                assert client.rcpt("jane@example.com", [wish])[0] in (501, 555), wish
    with smtplib.LMTP("127.0.0.1", bouncing.port("lmtp"), timeout=20) as client:
        client.ehlo("here.example")
        assert client.has_extn("dsn")
        assert client.mail("a@far.example", ["RET=FULL"])[0] == 250
        assert client.rcpt("jane@example.com", ["NOTIFY=SUCCESS", "ORCPT=rfc822;jane@example.com"])[0] == 250


def arrive(demo: RunningDemo, sender: str, recipient: str, text: str) -> None:
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
        client.sendmail(sender, [recipient], text)


def test_forwarded_mail_gets_a_return_path_of_ours_and_its_report_goes_back(
    bouncing: RunningDemo, far_end: tuple[FarEnd, int]
) -> None:
    bouncing.change("oliver", {"gatepostForward": ["kept@else.example"]})
    arrive(bouncing, "ann@far.example", "oliver@example.com", "Subject: forwarded\r\n\r\nx\r\n")

    def sent(recipient: str) -> str:
        deadline = time.monotonic() + SECONDS
        while True:
            for path, recipients in list(far_end[0].taken):
                if recipient in recipients:
                    return path or "<>"
            assert time.monotonic() < deadline, far_end[0].taken
            time.sleep(0.05)

    path = sent("kept@else.example")
    assert path.startswith("SRS0=")
    assert path.endswith("=far.example=ann@example.com")
    arrive(bouncing, "", path, "Subject: your mail\r\nContent-Type: multipart/report; boundary=x\r\n\r\n--x--\r\n")
    assert sent("ann@far.example") == "<>"
    with smtplib.SMTP("127.0.0.1", bouncing.port("mx"), timeout=20) as client:
        client.ehlo("here.example")
        client.mail("spam@far.example")
        assert client.rcpt(path)[0] == 550  # reports only
        client.rset()
        client.mail("")
        assert client.rcpt(path.replace("ann@", "bob@"))[0] == 550  # not signed by us


def test_a_report_that_fails_reaches_the_postmaster(bouncing: RunningDemo) -> None:
    bouncing.change("oliver", {"gatepostForward": ["no.forward@else.example"]})
    arrive(bouncing, "no.sender@far.example", "oliver@example.com", "Subject: lost\r\n\r\nx\r\n")
    found: list[EmailMessage] = []
    deadline = time.monotonic() + SECONDS
    logins = [account["login"] for account in bouncing.facts["accounts"] if account["kind"] == "person"]
    while not found and time.monotonic() < deadline:
        for login in logins:
            try:
                found += reports(bouncing, login, "no.sender@far.example", seconds=0)
            except imaplib.IMAP4.error:
                continue  # an account that may not log in
    assert found, (bouncing.folder / "demo.log").read_text()[-6000:]
    message = found[0]
    text = message.get_payload()[0].get_content()  # type: ignore[union-attr,index]
    assert "could not be delivered to its sender" in text
    assert blocks(message)[1]["Final-Recipient"] == "rfc822; no.sender@far.example"
