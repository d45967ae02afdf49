"""Mail programs that change things: mbsync both ways, mutt at a terminal, curl."""

from __future__ import annotations

import imaplib
import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import RunningDemo

SECONDS = 60


class Mailbox:
    """One account of the demo, and a clean INBOX in it."""

    def __init__(self, demo: RunningDemo, number: int) -> None:
        self.demo = demo
        self.account: dict[str, Any] = demo.facts["accounts"][number]
        self.client = imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20)
        self.client.login(self.account["login"], self.account["password"])
        if self.client.select("INBOX")[1] != [b"0"]:
            self.client.store("1:*", "+FLAGS.SILENT", r"(\Deleted)")
            self.client.expunge()

    def put(self, subject: str, flags: str = "", mailbox: str = "INBOX") -> None:
        message = f"From: a@example.com\r\nSubject: {subject}\r\nMessage-ID: <{subject}@x>\r\n\r\nText of {subject}\r\n"
        assert self.client.append(mailbox, flags, None, message.encode())[0] == "OK"

    def messages(self, mailbox: str = "INBOX") -> dict[str, str]:
        """Flags by subject."""
        found: dict[str, str] = {}
        if self.client.select(mailbox)[1] != [b"0"]:
            for line in self.client.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]:
                if isinstance(line, tuple):
                    flags = re.search(rb"FLAGS \(([^)]*)\)", line[0])
                    assert flags is not None
                    found[line[1].decode().partition(": ")[2].strip()] = flags[1].decode()
        return found


@pytest.fixture
def mailbox(demo: RunningDemo, request: pytest.FixtureRequest) -> Iterator[Mailbox]:
    made = Mailbox(demo, request.param)
    yield made
    made.client.logout()


@pytest.mark.parametrize("mailbox", [3], indirect=True)
def test_mbsync_both_ways(mailbox: Mailbox, tmp_path: Path) -> None:
    for subject in ("one", "two", "three"):
        mailbox.put(subject)
    (tmp_path / "mail").mkdir()
    (tmp_path / "rc").write_text(
        f"""IMAPAccount demo
Host localhost
Port {mailbox.demo.port("imap")}
User {mailbox.account["login"]}
Pass {mailbox.account["password"]}
SSLType STARTTLS
CertificateFile {mailbox.demo.facts["ca_file"]}

IMAPStore far
Account demo

MaildirStore near
Path {tmp_path}/mail/
Inbox {tmp_path}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns INBOX Sent New
Create Both
Expunge Both
SyncState *
"""
    )

    def sync() -> None:
        subprocess.run(["mbsync", "-c", str(tmp_path / "rc"), "-a"], check=True, timeout=SECONDS)

    def near() -> dict[str, Path]:
        files = [path for folder in ("cur", "new") for path in (tmp_path / "mail/INBOX" / folder).iterdir()]
        return {re.search(r"Subject: (\w+)", path.read_text())[1]: path for path in files}  # type: ignore[index]

    sync()
    assert set(near()) == {"one", "two", "three"}
    near()["one"].rename(tmp_path / "mail/INBOX/cur/here:2,S")
    near()["two"].unlink()
    (tmp_path / "mail/INBOX/cur/own:2,FS").write_text("From: me@example.com\nSubject: own\n\nwritten here\n")
    for folder in ("cur", "new", "tmp"):
        (tmp_path / "mail/New" / folder).mkdir(parents=True)
    mailbox.client.store("3", "+FLAGS", r"(\Answered)")
    sync()
    found = mailbox.messages()
    assert set(found) == {"one", "three", "own"}
    assert "\\Seen" in found["one"]
    assert set(found["own"].split()) == {"\\Seen", "\\Flagged"}
    assert near()["three"].name.endswith(":2,R")
    assert mailbox.client.select("New")[0] == "OK"
    before = {subject: path.name for subject, path in near().items()}
    sync()
    assert {subject: path.name for subject, path in near().items()} == before


@pytest.mark.parametrize("mailbox", [4], indirect=True)
def test_mutt_deletes_flags_and_saves(mailbox: Mailbox, tmp_path: Path) -> None:
    for subject in ("doomed", "kept", "filed"):
        mailbox.put(subject)
    (tmp_path / "rc").write_text(
        f"""set imap_user="{mailbox.account["login"]}"
set imap_pass="{mailbox.account["password"]}"
set ssl_force_tls=no ssl_starttls=no delete=yes confirmappend=no confirmcreate=no move=no mark_old=no
set imap_check_subscribed=no header_cache="" message_cachedir="" certificate_file="{tmp_path}/none"
"""
    )
    url = f"imap://127.0.0.1:{mailbox.demo.port('imap')}/"
    keys = (
        "<limit>~s doomed<enter><delete-message>"
        "<limit>~s kept<enter><flag-message>"
        f"<limit>~s filed<enter><save-message><kill-line>{url}Sent<enter>"
        "<limit>all<enter><sync-mailbox><quit>"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm", HOME=str(tmp_path))
        os.execvp("mutt", ["mutt", "-n", "-F", str(tmp_path / "rc"), "-f", f"{url}INBOX", "-e", f'push "{keys}"'])
    ready = select.poll()
    ready.register(terminal, select.POLLIN | select.POLLHUP)
    deadline = time.monotonic() + SECONDS
    shown = b""
    try:
        while time.monotonic() < deadline:
            if ready.poll(200):
                try:
                    octets = os.read(terminal, 65536)
                except OSError:
                    break
                if not octets:
                    break
                shown += octets
        else:
            pytest.fail(f"mutt does not end: {shown[-2000:]!r}")
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)
    assert mailbox.messages() == {"kept": "\\Flagged"}
    assert "filed" in mailbox.messages("Sent")


@pytest.mark.parametrize("mailbox", [5], indirect=True)
def test_curl(mailbox: Mailbox, tmp_path: Path) -> None:
    mailbox.put("first")
    base = f"imap://127.0.0.1:{mailbox.demo.port('imap')}"
    user = f"{mailbox.account['login']}:{mailbox.account['password']}"

    def curl(*arguments: str) -> bytes:
        done = subprocess.run(
            ["curl", "-sS", "--ssl-reqd", "--cacert", mailbox.demo.facts["ca_file"], "-u", user, *arguments],
            capture_output=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    uid = mailbox.client.fetch("1", "(UID)")[1][0].split()[2].rstrip(b")").decode()
    assert curl(f"{base}/INBOX;UID={uid}").endswith(b"Text of first\r\n")
    (tmp_path / "message").write_bytes(b"Subject: from-curl\r\n\r\n" + b"line\r\n" * 5000)
    curl("-T", str(tmp_path / "message"), f"{base}/INBOX")
    assert set(mailbox.messages()) == {"first", "from-curl"}
    assert b"* SEARCH 2" in curl(f"{base}/INBOX", "-X", "SEARCH SUBJECT from-curl")
    curl(f"{base}/INBOX", "-X", r"STORE 2 +FLAGS (\Deleted)")
    assert b"* 2 EXPUNGE" in curl(f"{base}/INBOX", "-X", "EXPUNGE")
    assert set(mailbox.messages()) == {"first"}
