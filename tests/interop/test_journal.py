"""Journals on a running system: of example.com in a shared mailbox, of example.org at an archive outside."""

from __future__ import annotations

import email
import imaplib
import os
import smtplib
import subprocess
import time
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import ldap3
import pytest
from conftest import GATEPOST, RunningDemo, eventually
from in_process import answer

ARCHIVE = "archive@keeper.example"


class Journalled:
    """A demo whose domains have journals, and what came to them."""

    def __init__(self, folder: Path) -> None:
        self.demo = RunningDemo(folder)
        self.journal("example.com", "helpdesk@example.com")
        self.journal("example.org", ARCHIVE)
        self.send("warm@elsewhere.example", "jane@example.com", tag="warm")
        # the directory's change is live when the first copy comes
        deadline = time.monotonic() + 20
        while not self.inside("warm", seconds=0.3):
            assert time.monotonic() < deadline
            self.send("warm@elsewhere.example", "jane@example.com", tag="warm")

    def journal(self, domain: str, *addresses: str) -> None:
        with self.demo.administrator() as admin:
            dn = f"cn={domain},ou=domains,{self.demo.facts['directory']['base']}"
            admin.modify(dn, {"gatepostJournal": [(ldap3.MODIFY_REPLACE, list(addresses))]})
            assert admin.result["result"] == 0, admin.result

    def send(self, sender: str, *recipients: str, tag: str, login: str = "", body: str = "hello") -> None:
        """One message with every recipient in the envelope alone; over submission as `login`."""
        with smtplib.SMTP("127.0.0.1", self.demo.port("submission" if login else "mx"), timeout=20) as client:
            if login:
                client.login(login, f"{login}-demo-password")
            client.sendmail(sender, recipients, f"From: {sender}\nSubject: {tag}\nMessage-ID: <{tag}@x>\n\n{body}\n")

    def stored(self, address: str, tag: str, mark: bytes = b"") -> list[EmailMessage]:
        (maildir,) = [
            Path(a["maildir"]) for a in self.demo.facts["accounts"] if address in (a["login"], *a["addresses"])
        ]
        files = [path for folder in ("cur", "new") for path in (maildir / folder).iterdir()]
        return _with(files, tag, mark)

    def inside(self, tag: str, count: int = 1, seconds: float = 20.0) -> list[EmailMessage]:
        """Journal reports in the shared mailbox about the message with that subject."""
        return self._when(lambda: self.stored("helpdesk@example.com", tag, b"X-MS-Journal-Report"), count, seconds)

    def outside(self, tag: str, count: int = 1, seconds: float = 20.0) -> list[EmailMessage]:
        sink = Path(self.demo.facts["smarthost"]["sink_dir"])
        return self._when(lambda: _with(sink.glob("*.eml"), tag, b"X-MS-Journal-Report"), count, seconds)

    @staticmethod
    def _when(look, count: int, seconds: float) -> list[EmailMessage]:  # type: ignore[no-untyped-def]
        deadline = time.monotonic() + seconds
        while len(found := look()) < count and time.monotonic() < deadline:
            time.sleep(0.05)
        return found  # type: ignore[no-any-return]

    def settled(self) -> None:
        """Wait until the queue is empty: whatever is to come has come."""
        folder = Path(self.demo.facts["state_dir"]) / "queue" / "message"
        eventually(lambda: not list(folder.iterdir()))


def _with(files, tag: str, mark: bytes) -> list[EmailMessage]:  # type: ignore[no-untyped-def]
    found = []
    for path in files:
        octets = path.read_bytes()
        if f"Subject: {tag}\n".encode() in octets.replace(b"\r\n", b"\n") and (not mark or mark in octets):
            message = email.message_from_bytes(octets, policy=default)
            assert isinstance(message, EmailMessage)
            found.append(message)
    return found


def lines(report: EmailMessage, name: str = "Recipient") -> list[str]:
    """The values under a name in the first part."""
    text = next(report.iter_parts()).get_content()
    return [line.partition(": ")[2] for line in text.splitlines() if line.startswith(f"{name}:")]


def inner(report: EmailMessage) -> EmailMessage:
    _, second = report.iter_parts()
    assert second.get_content_type() == "message/rfc822"
    message = second.get_content()
    assert isinstance(message, EmailMessage)
    return message


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journalled]:
    made = Journalled(tmp_path_factory.mktemp("journalled"))
    yield made
    made.demo.stop()


def test_what_comes_in_is_kept_once_with_its_envelope(company: Journalled) -> None:
    done = subprocess.run(
        ["swaks", "--server", f"127.0.0.1:{company.demo.port('mx')}", "--from", "bob@far.example",
         "--to", "jane@example.com,emma@example.com", "--header", "Subject: swaks in", "--body", "the text"],
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    (report,) = company.inside("swaks in")
    assert lines(report, "Sender") == ["bob@far.example"]
    assert lines(report) == ["jane@example.com", "emma@example.com"]
    assert (lines(report, "Client"), lines(report, "Service")) == (["127.0.0.1"], ["mx"])
    assert "the text" in inner(report).get_content()
    assert (report["return-path"], report["to"], report["from"]) == (
        "<>", "helpdesk@example.com", "Journal <postmaster@example.com>",
    )  # fmt: skip
    (received,) = company.stored("jane", "swaks in")
    assert received["x-ms-journal-report"] is None
    company.settled()
    assert len(company.inside("swaks in")) == 1
    told = answer("trace", "bob@far.example", "--config", company.demo.facts["config_file"])
    assert "a copy for helpdesk@example.com" in told.stdout, told.stdout


def test_what_a_person_sends_outside_is_kept_with_who_got_it_blind(company: Journalled, tmp_path: Path) -> None:
    configuration = tmp_path / "msmtprc"
    configuration.write_text(
        f"account default\nhost 127.0.0.1\nport {company.demo.port('submission')}\nauth plain\nuser jane\n"
        "password jane-demo-password\nfrom jane@example.com\ntls on\ntls_starttls on\n"
        f"tls_trust_file {company.demo.facts['ca_file']}\n"
    )
    configuration.chmod(0o600)
    done = subprocess.run(
        ["msmtp", "-C", str(configuration), "-t"],
        input="From: jane@example.com\nTo: one@far.example\nBcc: two@far.example\nSubject: msmtp out\n\nhello\n",
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (report,) = company.inside("msmtp out")
    assert sorted(lines(report)) == ["one@far.example", "two@far.example"]
    assert inner(report)["bcc"] is None
    assert lines(report, "Service") == ["submission"]


def test_each_domain_has_a_copy_and_sees_of_blind_recipients_only_its_own(company: Journalled) -> None:
    company.send("jane@example.com", "emma@example.com", "lukas@example.org", "x@far.example", tag="both", login="jane")
    (report,) = company.inside("both")
    assert lines(report) == ["emma@example.com", "lukas@example.org", "x@far.example"]
    (report,) = company.outside("both")
    assert (lines(report), report["to"]) == (["lukas@example.org"], ARCHIVE)
    assert report["dkim-signature"] is None  # the domain has no key


def test_a_list_and_an_alias_name_who_is_behind_them(company: Journalled) -> None:
    company.send("jane@example.com", "staff@example.com", tag="to the staff", login="jane")
    (report,) = company.inside("to the staff")
    assert "oliver@example.com, Expanded: staff@example.com" in lines(report)
    (report,) = company.outside("to the staff")  # members of example.org
    assert "petra@example.org, Expanded: staff@example.com" in lines(report)
    company.send("bob@far.example", "info@example.com", tag="to an alias")
    (report,) = company.inside("to an alias")
    assert lines(report) == [
        "sophie@example.com, Expanded: info@example.com", "emma@example.com, Expanded: info@example.com",
    ]  # fmt: skip


def test_a_forged_sender_shows_nothing_to_the_journal_of_its_domain(company: Journalled) -> None:
    company.send("lukas@example.org", "jane@example.com", tag="forged")
    assert len(company.inside("forged")) == 1
    company.settled()
    assert company.outside("forged", seconds=0) == []


def test_what_is_refused_leaves_no_copy(company: Journalled) -> None:
    company.demo.change("grace", {"gatepostQuota": ["10"]})
    with pytest.raises(smtplib.SMTPException):
        company.send("bob@far.example", "grace@example.com", tag="too much", body="x" * 1000)
    company.send("bob@far.example", "jane@example.com", tag="behind")
    assert company.inside("behind")
    company.settled()
    assert company.inside("too much", seconds=0) == []
    assert list((Path(company.demo.facts["state_dir"]) / "queue" / "tmp").iterdir()) == []


def test_a_copy_that_comes_back_is_not_kept_again(company: Journalled) -> None:
    company.send("jane@example.com", "lukas@example.org", tag="round", login="jane")
    (report,) = company.outside("round")
    with smtplib.SMTP("127.0.0.1", company.demo.port("mx"), timeout=20) as client:
        client.sendmail("", ["jane@example.com"], report.as_bytes())
    eventually(lambda: len(company.stored("jane", "round", b"X-MS-Journal-Report")) == 1)
    company.settled()
    assert len(company.inside("round")) == 1
    # the mark is signed: nobody keeps his mail out of a journal with one that he made up
    with smtplib.SMTP("127.0.0.1", company.demo.port("mx"), timeout=20) as client:
        client.sendmail(
            "a@far.example", ["jane@example.com"], "Subject: hidden\nX-Gatepost-Journal: x.J0 aaaaaaaaaaaaaaaa\n\nx\n"
        )
    assert len(company.inside("hidden")) == 1


def test_a_program_of_this_host_is_heard_too(company: Journalled) -> None:
    done = subprocess.run(
        [*GATEPOST, "sendmail", "-f", "jane@example.com", "x@far.example"],
        input="From: jane@example.com\nSubject: by a program\n\nhello\n", capture_output=True, text=True, timeout=60,
        env={**os.environ, "GATEPOST_CONFIG": company.demo.facts["config_file"]},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (report,) = company.inside("by a program")
    assert lines(report) == ["x@far.example"]


def test_what_the_journal_does_not_take_waits_then_the_postmaster_has_it(company: Journalled) -> None:
    company.journal("example.com", "nobody@example.com", "helpdesk@example.com")
    try:
        deadline = time.monotonic() + 20
        while True:
            company.send("bob@far.example", "emma@example.com", tag="lost copy")
            told = _reports_for_admin(company.demo)
            if told or time.monotonic() > deadline:
                break
            time.sleep(0.5)
        assert told, "the postmaster was never told"
        text = told[0].decode()
        assert "nobody@example.com" in text
        assert "copy of a message for a journal" in text
        assert "lost copy" in text
    finally:
        company.journal("example.com", "helpdesk@example.com")
    company.settled()


def _reports_for_admin(demo: RunningDemo) -> list[bytes]:
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as client:
        client.login("admin", "admin-demo-password")
        client.select("INBOX", readonly=True)
        numbers = client.search(None, "SUBJECT", "Mail")[1][0].split()
        parts = [client.fetch(number.decode(), "(BODY.PEEK[])")[1][0] for number in numbers]
        return [part[1] for part in parts if isinstance(part, tuple) and b"copy of a message for a journal" in part[1]]
