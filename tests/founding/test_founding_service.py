"""S1, S2, S10, S21, S23: it runs for long, on Linux, beside other mail systems, for companies, as free software."""

from __future__ import annotations

import os
import re
import smtplib
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import RunningDemo
from letters import FOUNDING, SENDER, Person, facts, make_person, outside, post, verb
from packaged_mta import opensmtpd, postfix

ROOT = Path(__file__).resolve().parents[2]
LONG = bool(os.environ.get("GATEPOST_LONG_TESTS"))
SOAK_SECONDS = 2 * 3600.0 if LONG else 5.0
PAUSE_SECONDS = 0.05 if LONG else 0.0  # between two messages of a sender: two hours are a hundred thousand
MOST_GROWTH = 100 * 1024 * 1024  # octets a process, in two hours

pytestmark = FOUNDING


class Soak:
    """Senders and readers; each message is counted when it was accepted, and when it was read and removed."""

    def __init__(self) -> None:
        self.accepted: Counter[str] = Counter()
        self.read: Counter[str] = Counter()
        self.problems: list[str] = []
        self.until = time.monotonic() + SOAK_SECONDS

    def send(self, name: str, demo: RunningDemo, people: list[Person]) -> None:
        number = 0
        while time.monotonic() < self.until:
            with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=30) as client:
                for _ in range(20):
                    person, subject = people[number % len(people)], f"s01-{name}-{number}"
                    text = f"Subject: {subject}\r\n\r\n" + "a line of text\r\n" * (1 + number % 300)
                    client.sendmail(SENDER, [person.address], text.encode())
                    self.accepted[f"{person.login} {subject}"] += 1
                    number += 1
                    time.sleep(PAUSE_SECONDS)

    def by_imap(self, person: Person) -> None:
        with person.imap() as client:
            client.select("INBOX")
            (found,) = client.uid("SEARCH", "ALL")[1]
            for uid in found.decode().split():
                parts = client.uid("FETCH", uid, "(BODY.PEEK[])")[1]
                self._count(person, parts[0][1])
                client.uid("STORE", uid, "+FLAGS.SILENT", "(\\Deleted)")
            client.expunge()

    def by_pop3(self, person: Person) -> None:
        client = person.pop3()
        for number in range(1, client.stat()[0] + 1):
            self._count(person, b"\r\n".join(client.retr(number)[1]))
            client.dele(number)
        client.quit()

    def _count(self, person: Person, text: bytes) -> None:
        subject = re.search(rb"^Subject: (s01-\S+)", text, re.MULTILINE)
        assert subject is not None
        self.read[f"{person.login} {subject[1].decode()}"] += 1

    def keep(self, work: Callable[[], object], *, again: bool) -> None:
        """Do it until the end; whatever goes wrong is told."""
        try:
            work()
            while again and time.monotonic() < self.until:
                work()
        except Exception as error:
            self.problems.append(repr(error))


@pytest.mark.timeout(SOAK_SECONDS + 300)
def test_s01_under_load_nothing_is_lost_and_nothing_restarts(founded: RunningDemo) -> None:
    people = [make_person(founded, f"soak01{letter}", "quota=0") for letter in "abc"]
    before = {row["name"]: (row["pid"], row["rss_bytes"]) for row in facts(founded, "ps")}
    soak = Soak()
    jobs: list[tuple[Callable[[], object], bool]] = [
        (lambda: soak.send("x", founded, people), False), (lambda: soak.send("y", founded, people), False),
        (lambda: soak.by_imap(people[0]), True), (lambda: soak.by_imap(people[1]), True),
        (lambda: soak.by_pop3(people[2]), True),
    ]  # fmt: skip
    threads = [threading.Thread(target=soak.keep, args=(work,), kwargs={"again": again}) for work, again in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for person, last in zip(people, (soak.by_imap, soak.by_imap, soak.by_pop3), strict=True):
        last(person)
    print(f"\n{SOAK_SECONDS:.0f} s: {sum(soak.accepted.values())} accepted, {sum(soak.read.values())} read and removed")
    assert soak.problems == []
    assert soak.accepted
    assert soak.read == soak.accepted, "each once, none lost"
    after = {row["name"]: (row["pid"], row["rss_bytes"]) for row in facts(founded, "ps")}
    assert {name: pid for name, (pid, _) in after.items()} == {name: pid for name, (pid, _) in before.items()}
    assert all(after[name][1] - rss < MOST_GROWTH for name, (_, rss) in before.items())


#: calls and files that other systems do not have
LINUX_ONLY = re.compile(
    r"prctl\(|syncfs\(|pidfd_open|SO_PEERCRED|TCP_USER_TIMEOUT|TCP_KEEPIDLE|SO_REUSEPORT,|[\"']/proc/|/proc/\{"
)


def test_s02_it_is_for_linux_and_says_which_parts_are() -> None:
    assert "Debian 12 or newer" in (ROOT / "README.md").read_text(encoding="utf-8")
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z/]+)`", page.partition("## What needs Linux\n")[2].partition("\n## ")[0]))
    found = {
        str(path.parent.relative_to(ROOT)).removeprefix("gateway/")
        for package in ("gateway", "directory")
        for path in (ROOT / package).rglob("*.py")
        if LINUX_ONLY.search(path.read_text(encoding="utf-8"))
    }
    assert found == named, "docs/architecture.md names the packages that call what only Linux has"


@pytest.mark.skipif(os.getuid() != 0, reason="Postfix and OpenSMTPD start as root only: `sudo make test` runs this")
def test_s10_mail_goes_to_postfix_and_comes_from_opensmtpd(founded: RunningDemo) -> None:
    person = make_person(founded, "far10")
    sink = int(founded.facts["smarthost"]["sink_port"])
    with postfix(sink) as port:
        verb(founded, "domain", "add", "far.example", "kind=relay", f"next_hops=127.0.0.1:{port}")
        post(founded, "s10 out", "you@far.example")
        arrived = outside(founded, "s10 out")
    assert b"X-Envelope-To: <you@far.example>\r\n" in arrived
    assert b"(Postfix)" in arrived
    try:
        with opensmtpd(founded.port("mx")) as port, smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
            client.sendmail(
                "me@elsewhere.example", [person.address], f"To: {person.address}\r\nSubject: s10 in\r\n\r\nx\r\n"
            )
            assert b"(OpenSMTPD)" in person.message("s10 in")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"OpenSMTPD's package cannot be fetched: run it where apt-get reaches a Debian mirror ({error})")
    finally:
        verb(founded, "domain", "delete", "far.example", "--yes")


def test_s21_what_it_is_for_is_said_first() -> None:
    first = (ROOT / "README.md").read_text(encoding="utf-8")[:3000].lower()
    for word in ("company", "directory", "secure", "on disk", "within a second"):
        assert word in first, word


def test_s23_free_software_with_places_for_other_programs(founded: RunningDemo) -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (licence,) = re.findall(r'^license = "([^"]+)"$', project, re.MULTILINE)
    assert licence.split("-")[0].lower() in (ROOT / "LICENSE").read_text(encoding="utf-8")[:400].lower()
    # delivery programs, content checks, checkpassword, sendmail and inject: each has its page
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs/howto").glob("*.md"))
    for place in ("\nprograms:\n", "## rspamd", "## checkpassword", "qmail-inject", "import qmail"):
        assert place in pages, place
    assert verb(founded, "status")
