"""A Dovecot store becomes a store here, and Dovecot's again: mbsync and POP3 fetch nothing again, both ways."""

from __future__ import annotations

import imaplib
import json
import os
import poplib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import RunningDemo, eventually
from in_process import run
from packaged_dovecot import PASSWORD, Dovecot, dovecot

MESSAGES = 5_000
LOGIN = "emma"
WORK = "Work/&AMQ-rzte"  # Work/Ärzte
ITEMS = "(UID FLAGS INTERNALDATE RFC822.SIZE)"


class Mbsync:
    """Copies of all mailboxes of one account, and what mbsync remembers of them."""

    def __init__(self, where: Path) -> None:
        self.where = where
        (where / "mail").mkdir()

    def sync(self, port: int, login: str, password: str) -> str:
        """Synchronise with a server; how many messages came, as mbsync tells it."""
        (self.where / "rc").write_text(
            f"""FSync no

IMAPAccount far
Host 127.0.0.1
Port {port}
User {login}
Pass {password}
SSLType None
AuthMechs LOGIN
Timeout 120

IMAPStore far
Account far

MaildirStore near
Path {self.where}/mail/
Inbox {self.where}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns INBOX "Work/*" "Sent Items"
Create Near
Sync Pull
SyncState *
"""
        )
        done = subprocess.run(
            ["mbsync", "-c", str(self.where / "rc"), "-a"], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def files(self) -> set[str]:
        return {str(path.relative_to(self.where)) for path in self.where.glob("mail/**/[cn][ue][rw]/*")}


def everything(port: int, login: str, password: str) -> dict[str, Any]:
    """What an IMAP client may have remembered of each mailbox."""
    found: dict[str, Any] = {}
    with imaplib.IMAP4("127.0.0.1", port, timeout=60) as client:
        client.login(login, password)
        found["subscribed"] = {re.sub(rb'.* "?/"? ', b"", line).strip(b'"') for line in client.lsub()[1] if line}
        for name in ("INBOX", WORK, "Sent Items"):
            assert client.select(f'"{name}"')[0] == "OK"
            validity = client.response("UIDVALIDITY")[1]
            lines = client.fetch("1:*", ITEMS)[1]
            rows = {}
            for line in lines:
                uid = int(re.search(rb"UID (\d+)", line)[1])  # type: ignore[index,arg-type]
                flags = re.search(rb"FLAGS \(([^)]*)\)", line)[1].split()  # type: ignore[index,arg-type]
                date = re.search(rb'INTERNALDATE "([^"]*)"', line)[1]  # type: ignore[index,arg-type]
                size = int(re.search(rb"SIZE (\d+)", line)[1])  # type: ignore[index,arg-type]
                rows[uid] = (
                    frozenset(flags) - {b"\\Recent"},
                    imaplib.Internaldate2tuple(b'INTERNALDATE "%s"' % date),
                    size,
                )
            found[name] = validity, rows
    return found


def can_log_in(port: int, login: str, password: str) -> bool:
    with imaplib.IMAP4("127.0.0.1", port, timeout=60) as client:
        try:
            client.login(login, password)
        except imaplib.IMAP4.error:
            return False
    return True


def unique_ids(port: int, login: str, password: str) -> list[bytes]:
    client = poplib.POP3("127.0.0.1", port, timeout=60)
    client.user(login)
    client.pass_(password)
    found = [line.split()[1] for line in client.uidl()[1]]
    client.quit()
    return found


def fill(server: Dovecot, login: str) -> None:
    """5,000 messages, some of them read, marked, deleted; keywords, folders, subscriptions."""
    maildir = server.maildir(login)
    for place in ("cur", "new", "tmp"):
        (maildir / place).mkdir(parents=True)
    for number in range(MESSAGES):
        place = "new" if number % 100 == 0 else "cur"
        file = maildir / place / f"17000{number:05d}.M{number}P1.host{':2,' if place == 'cur' else ''}"
        file.write_bytes(b"From: a@example.com\nSubject: message %d\n\nText of %d\n" % (number, number))
    server.owns(maildir.parent)
    with imaplib.IMAP4("127.0.0.1", server.imap, timeout=60) as client:
        client.login(login, PASSWORD)
        client.select()
        client.store("1:2500", "+FLAGS.SILENT", r"(\Seen)")
        client.store("1:9", "+FLAGS.SILENT", r"(\Flagged $Label1 work)")
        client.store("17,4999", "+FLAGS.SILENT", r"(\Answered)")
        client.store("100:200", "+FLAGS.SILENT", r"(\Deleted)")
        client.expunge()
        for name in (WORK, '"Sent Items"'):
            assert client.create(name)[0] == "OK"
        client.subscribe(WORK)
        date = imaplib.Time2Internaldate(1_500_000_000)
        for name in (WORK, '"Sent Items"'):
            for number in range(3):
                client.append(name, r"(\Seen other)", date, b"Subject: %d\r\n\r\nin a folder\r\n" % number)
        client.select(WORK)
        client.store("2", "+FLAGS.SILENT", r"(\Deleted)")
        client.expunge()


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    with dovecot() as running:
        yield running


def account(demo: RunningDemo, login: str) -> tuple[int, str, str]:
    found = next(each for each in demo.facts["accounts"] if each["login"] == login)
    return demo.port("imap"), login, found["password"]


class Known:
    """What programs have of an account: mbsync's copies and state, and what IMAP and POP3 tell."""

    def __init__(self, client: Mbsync) -> None:
        self.client = client

    def look(self, imap: int, pop3: int, login: str, password: str) -> None:
        self.client.sync(imap, login, password)
        self.copies = self.client.files()
        self.told = everything(imap, login, password)
        self.ids = unique_ids(pop3, login, password)


@pytest.fixture(scope="module")
def known(server: Dovecot, tmp_path_factory: pytest.TempPathFactory) -> Known:
    """An account at Dovecot, and who knows it from there."""
    fill(server, LOGIN)
    made = Known(Mbsync(tmp_path_factory.mktemp("mbsync")))
    made.look(server.imap, server.pop3, LOGIN, PASSWORD)
    assert len(made.copies) == MESSAGES - 101 + 5
    return made


@pytest.fixture(scope="module")
def adopted(demo: RunningDemo, server: Dovecot, known: Known) -> Known:
    """The same, once it is an account here."""
    files = {path: path.stat().st_ino for path in server.maildir(LOGIN).glob("**/cur/*")}
    words = "adopt", "dovecot", LOGIN, str(server.maildir(LOGIN))
    assert run(demo, "user", "disable", LOGIN, "--suspend")[0] == 0
    code, said = run(demo, *words, "--json")
    assert code == 0, said
    assert json.loads(said)["copied"] == 0
    assert run(demo, *words)[0] == 0  # again is success
    assert {path: path.stat().st_ino for path in files} == files  # nothing of Dovecot's has changed
    assert run(demo, "user", "enable", LOGIN)[0] == 0
    here = account(demo, LOGIN)
    eventually(lambda: can_log_in(*here), 60)
    assert run(demo, "store", "check", LOGIN) == (0, "1 checked, 0 not in order\n")
    made = Known(known.client)
    made.look(here[0], demo.port("pop3"), *here[1:])
    return made


def test_what_programs_know_of_dovecot(known: Known) -> None:
    assert len(known.ids) == len(known.told["INBOX"][1]) == MESSAGES - 101


def test_they_refetch_nothing(known: Known, adopted: Known) -> None:
    assert adopted.copies == known.copies
    assert adopted.ids == known.ids
    assert known.told["subscribed"] | {b"INBOX"} <= adopted.told["subscribed"]
    assert {**adopted.told, "subscribed": ()} == {**known.told, "subscribed": ()}


def test_nor_when_dovecot_has_it_back(demo: RunningDemo, server: Dovecot, adopted: Known) -> None:
    here = account(demo, LOGIN)
    with imaplib.IMAP4("127.0.0.1", here[0], timeout=60) as imap:
        imap.login(*here[1:])
        imap.append("INBOX", r"(\Seen new)", None, b"Subject: received here\r\n\r\nand kept\r\n")
        imap.select()
        imap.store("3", "+FLAGS.SILENT", r"(\Answered other)")
        imap.store("4", "+FLAGS.SILENT", r"(\Deleted)")
        imap.expunge()
        imap.create("Made/H&AOQ-re")
        imap.append("Made/H&AOQ-re", "", None, b"Subject: here\r\n\r\n\r\n")
        imap.subscribe("Made/H&AOQ-re")
    client = adopted.client
    known = Known(client)  # with what has changed here
    known.look(here[0], demo.port("pop3"), *here[1:])
    back = server.where / "home" / "back"
    back.mkdir()
    words = "adopt", "dovecot", LOGIN, str(back / "Maildir"), "--hand-back"
    code, said = run(demo, *words)
    assert code == 0, said
    assert run(demo, *words)[0] == 1  # it is there already
    assert run(demo, "adopt", "dovecot", "nobody", str(back), "--hand-back")[0] == 1
    assert run(demo, *words, "--merge")[0] == 2
    if os.getuid() == 0:
        server.owns(back)
    there = server.imap, "back", PASSWORD
    after = everything(*there)
    assert after == known.told
    assert unique_ids(server.pop3, "back", PASSWORD) == known.ids
    client.sync(*there)
    assert client.files() == known.copies
    with imaplib.IMAP4("127.0.0.1", server.imap, timeout=60) as imap:
        imap.login("back", PASSWORD)
        imap.append("INBOX", "", None, b"Subject: goes on\r\n\r\nat Dovecot\r\n")
    client.sync(*there)
    assert len(client.files() - known.copies) == 1
    log = (server.where / "log").read_text()
    assert not [line for line in log.splitlines() if "Error" in line or "orrupt" in line or "Warning" in line]


def test_courier_by_its_verb(demo: RunningDemo, tmp_path: Path) -> None:
    for place in ("cur", "new", "tmp", ".Old/cur", ".Old/new", ".Old/tmp"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "cur" / "1.a:2,S").write_bytes(b"Subject: one\n\n\n")
    (tmp_path / "courierimapuiddb").write_text("1 900 9\n3 1.a\n")
    people = [
        each["login"] for each in demo.facts["accounts"] if each["kind"] == "person" and each["status"] == "active"
    ]
    frank = next(each for each in people if each != LOGIN)
    words = "adopt", "courier", frank, str(tmp_path), "--merge"  # the demo has sent everybody a message
    code, said = run(demo, *words, "--dry-run")
    assert (code, said) == (0, f"INBOX: 1\nOld: 0\n{frank} would get 1 messages in 2 mailboxes\n")
    code, said = run(demo, *words)
    assert code == 0, said
    assert f"{frank} has 2 messages in 7 mailboxes" in said
    port, login, password = account(demo, frank)
    with imaplib.IMAP4("127.0.0.1", port, timeout=60) as client:
        client.login(login, password)
        client.select()
        assert client.response("UIDVALIDITY")[1] == [b"900"]
        assert client.uid("SEARCH", "SEEN")[1] == [b"3"]
    assert run(demo, "adopt", "maildir", frank, str(tmp_path / "cur"))[0] == 1
    assert run(demo, "adopt", "maildir", "emma@nowhere.example", str(tmp_path))[0] == 1
