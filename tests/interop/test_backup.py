"""A backup of a running system, verified; and the system out of it "on another machine": under another folder."""

from __future__ import annotations

import imaplib
import json
import os
import shutil
import signal
import smtplib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import GATEPOST, RunningDemo, eventually
from in_process import answer

from directory import embedded
from directory.embedded import EmbeddedDirectory
from gateway.store import markers

PERSON, READER = "emma", "jane"


def account(demo: RunningDemo, login: str) -> dict[str, Any]:
    return next(each for each in demo.facts["accounts"] if each["login"] == login)


@contextmanager
def logged_in(demo: RunningDemo, login: str) -> Iterator[imaplib.IMAP4]:
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as client:
        client.login(login, account(demo, login)["password"])
        yield client


def known(demo: RunningDemo) -> list[Any]:
    """What a mail program keeps of the person's mail."""
    with logged_in(demo, PERSON) as client:
        found: list[Any] = []
        for mailbox in ("INBOX", "Kept"):
            found.append(client.status(mailbox, "(UIDVALIDITY MESSAGES)")[1])
            client.select(mailbox)
            found.append(sorted(client.uid("FETCH", "1:*", "(FLAGS INTERNALDATE RFC822.SIZE)")[1]))
        return found


def named(demo: RunningDemo, text: str) -> int:
    """How many messages with that subject the reader has."""
    with logged_in(demo, READER) as client:
        client.select("INBOX")
        return len(client.search(None, "SUBJECT", f'"{text}"')[1][0].split())


@pytest.fixture(scope="module")
def old(demo: RunningDemo) -> RunningDemo:
    """A system with mail, an app password's database, and a message that waits."""
    with logged_in(demo, PERSON) as client:
        client.create("Kept")
        for number in range(3):
            client.append("Kept", "(\\Flagged urgent)" if number else "", None, b"Subject: %d\r\n\r\nx\r\n" % number)
        client.append("INBOX", "(\\Seen)", None, b"Subject: read\r\n\r\nx\r\n")
        client.select("Kept")
        client.uid("STORE", "2", "+FLAGS", "\\Deleted")
        client.expunge()
    with smtplib.SMTP("127.0.0.1", demo.port("submission"), timeout=20) as sender:
        sender.starttls()
        sender.login(PERSON, account(demo, PERSON)["password"])
        assert sender.mail("emma@example.com", ["HOLDFOR=3600"])[0] == 250
        assert sender.rcpt("jane@example.com")[0] == 250
        assert sender.data("From: emma@example.com\nSubject: waits since the backup\n\nx\n")[0] == 250
    config = demo.facts["config_file"]
    eventually(lambda: "emma" in answer("queue", "list", "--config", config).stdout)
    return demo


@pytest.fixture(scope="module")
def backup(old: RunningDemo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backup") / "made"
    config = old.facts["config_file"]
    done = answer(
        "backup", "--config", config, str(folder), "--stores", "--slapd", str(old.folder / "ldap/slapd.d"), "--json"
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["queued"], told["directory"], told["was_running"], told["faults"]) == (1, "slapcat", True, [])
    assert told["stores"] >= 2
    return folder


@pytest.fixture(scope="module")
def small_backup(old: RunningDemo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stores stay where they are, the directory is read by LDAP."""
    folder = tmp_path_factory.mktemp("small") / "made"
    done = answer("backup", "--config", old.facts["config_file"], str(folder), "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["directory"], told["stores"]) == (0, "ldap", None)
    return folder


def test_it_is_whole_and_for_its_owner_alone(old: RunningDemo, backup: Path) -> None:
    assert answer("backup", "--verify", str(backup)).returncode == 0
    for path in backup.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    manifest = json.loads((backup / "manifest.json").read_text())
    places = {item["place"] for item in manifest["items"] if "place" in item}
    for name in ("gatepost.yaml", "tls/key.pem", "ldap/secrets/gateway", "state/state.db", "state/auth.key"):
        assert str(old.folder / name) in places
    assert manifest["databases"]["state.db"] >= 4
    assert not [name for name in manifest["databases"] if name.startswith("index/")]
    # beside the service nothing of root's or of a reader's stays
    assert answer("backup", "--config", old.facts["config_file"], str(backup)).returncode == 1  # it is not empty


def test_damage_is_found(backup: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(backup, tmp_path / "copy")
    with next(copy.glob("files/*key.pem")).open("ab") as file:
        file.write(b"x")
    (copy / "accounts.tsv").unlink()
    done = answer("backup", "--verify", str(copy))
    assert done.returncode == 1
    assert "key.pem: damaged" in done.stdout
    assert "accounts.tsv: missing" in done.stdout
    done = answer("restore", str(copy), "--move", f"{tmp_path}={tmp_path}/new")
    assert done.returncode == 1
    assert not (tmp_path / "new").exists()
    (copy / "manifest.json").unlink()
    assert "cut off" in answer("backup", "--verify", str(copy)).stderr


def test_the_directory_by_ldap(old: RunningDemo, small_backup: Path) -> None:
    text = (small_backup / "directory/entries.ldif").read_text()
    assert "dn: uid=emma,ou=people,o=gatepost" in text
    assert text.index("dn: o=gatepost\n") < text.index("dn: ou=people,o=gatepost\n") < text.index("dn: uid=emma")
    assert "entryUUID" not in text
    assert "\nuserpassword:" not in text.lower()  # the service account may not read it
    ids = dict(line.split("\t")[::-1] for line in (small_backup / "directory/ids.tsv").read_text().splitlines())
    assert account(old, PERSON)["id"].endswith(ids["uid=emma,ou=people,o=gatepost"])
    # of stores that stay where they are it tells where that is
    rows = (small_backup / "accounts.tsv").read_text().splitlines()
    assert f"{account(old, PERSON)['id']}\t{account(old, PERSON)['maildir']}\temma@example.com" in "\n".join(rows)


def serves(demo: RunningDemo) -> bool:
    try:
        return bool(known(demo))
    except (OSError, imaplib.IMAP4.error):
        return False


@pytest.fixture
def other_machine(
    old: RunningDemo, backup: Path, small_backup: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The system under another folder; the old one goes down, since this one takes its ports."""
    assert small_backup.is_dir()  # both were made before
    new = tmp_path_factory.mktemp("new") / "x"
    new.mkdir()
    before = known(old)
    old.stop()
    words = ["restore", str(backup), "--move", f"{old.folder}={new}", "--slapd", str(new / "ldap/slapd.d"), "--json"]
    (new / "tls").mkdir()
    (new / "tls/key.pem").write_text("another key\n")
    done = answer(*words)
    assert done.returncode == 1
    assert "key.pem is there already and is another file" in done.stderr
    assert not (new / "gatepost.yaml").exists()
    (new / "tls/key.pem").unlink()
    done = answer(*words)  # what was done is not in the way
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["queued"], told["warnings"]) == (1, [])
    assert told["stores"] == told["found_stores"] >= 2
    assert str(old.folder) not in (new / "gatepost.yaml").read_text()
    assert answer(*words).returncode == 1  # it is there
    (new / "before").write_text(repr(before))
    ldap = EmbeddedDirectory(new / "ldap", old.facts["directory"]["base"], "127.0.0.1", old.port("ldap"))
    slapd = ldap.start()
    process = subprocess.Popen([*GATEPOST, "serve", "--config", str(new / "gatepost.yaml")])
    try:
        eventually(lambda: serves(old), 60.0)
        yield new
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        embedded.stop(slapd)


def test_it_serves_on_another_machine(old: RunningDemo, other_machine: Path) -> None:
    config = str(other_machine / "gatepost.yaml")
    assert repr(known(old)) == (other_machine / "before").read_text()
    assert named(old, "waits since") == 0
    (waiting,) = os.listdir(other_machine / "state/queue/message")
    assert answer("queue", "retry", waiting, "--config", config).returncode == 0
    eventually(lambda: named(old, "waits since") == 1)
    eventually(lambda: os.listdir(other_machine / "state/queue/message") == [])
    with smtplib.SMTP("127.0.0.1", old.port("mx"), timeout=20) as sender:
        sender.sendmail("me@elsewhere.example", ["jane@example.com"], "Subject: new here\n\nx\n")
    eventually(lambda: named(old, "new here") == 1)
    assert named(old, "waits since") == 1
    assert answer("store", "check", "--all", "--config", config).returncode == 0
    facts = markers.read(str(other_machine / "mail" / markers.STORE))
    assert facts is not None
