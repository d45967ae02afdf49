"""A day's work of mail programs on a mailbox of 5,000 messages: subscribe, read, flag, move, delete, search, draft, come back;
and a second synchronisation fetches no message again."""

from __future__ import annotations

import imaplib
import os
import pty
import re
import select
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imapclient
import pytest
from conftest import RunningDemo
from plain_imap import connected

pytestmark = [pytest.mark.xdist_group("mail-programs"), pytest.mark.timeout(600)]

COUNT = 5_000
_AT_ONCE = 500
SECONDS = 300  # for one run of a program, which takes a few


def _message(number: int) -> bytes:
    return (
        f"From: writer{number % 50}@example.com\r\nTo: reader@example.com\r\nSubject: message {number}\r\n"
        f"Message-ID: <{number}@day.example>\r\nDate: Mon, 2 Mar 2026 10:{number // 60 % 60:02}:{number % 60:02} +0000\r\n\r\n"
        f"Text of message {number}.\r\n"
    ).encode()


class Worker:
    """Somebody with a mailbox Day of COUNT messages, every second one seen."""

    def __init__(self, demo: RunningDemo, number: int) -> None:
        self.demo = demo
        self.account: dict[str, Any] = demo.facts["accounts"][number]

    def fill(self) -> None:
        with connected(self.demo.port("imap"), self.account["login"], self.account["password"]) as session:
            session.good(b"CREATE Day")
            session.good(b"SUBSCRIBE Day")
            for start in range(0, COUNT, _AT_ONCE):
                numbers = range(start, start + _AT_ONCE)
                flags = b"".join([(rb" (\Seen) %" if number % 2 else b" %") for number in numbers])
                session.good(b"APPEND Day" + flags, *map(_message, numbers))

    def remove(self) -> None:
        with connected(self.demo.port("imap"), self.account["login"], self.account["password"]) as session:
            session.good(b"UNSUBSCRIBE Day")
            session.good(b"DELETE Day")

    def flags(self) -> dict[str, set[bytes]]:
        """Of each message of Day, by its subject's number."""
        with connected(self.demo.port("imap"), self.account["login"], self.account["password"]) as session:
            session.good(b"EXAMINE Day")
            found = session.fetch(b"UID FETCH 1:* (FLAGS ENVELOPE)")
        return {each[b"ENVELOPE"][1].split()[-1].decode(): set(each[b"FLAGS"]) for each in found.values()}


@pytest.fixture(scope="module")
def filled(busy: RunningDemo) -> Iterator[Worker]:
    worker = Worker(busy, 6)
    worker.fill()
    yield worker
    worker.remove()


def _run(arguments: list[str], where: Path) -> str:
    done = subprocess.run(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(where)},
        timeout=SECONDS,
    )
    shown = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, shown[-2000:]
    return shown


def test_mbsync(filled: Worker, tmp_path: Path) -> None:
    (tmp_path / "mail").mkdir()
    (tmp_path / "rc").write_text(
        f"""IMAPAccount demo
Host localhost
Port {filled.demo.port("imap")}
User {filled.account["login"]}
Pass {filled.account["password"]}
SSLType STARTTLS
CertificateFile {filled.demo.facts["ca_file"]}

IMAPStore far
Account demo

MaildirStore near
Path {tmp_path}/mail/
SubFolders Verbatim

Channel day
Far :far:Day
Near :near:Day
Create Near
Expunge Both
SyncState *
"""
    )

    def sync() -> str:
        return _run(["mbsync", "-Dn", "-c", str(tmp_path / "rc"), "day"], tmp_path)

    def near() -> dict[str, Path]:
        files = [path for folder in ("cur", "new") for path in (tmp_path / "mail/Day" / folder).iterdir()]
        return {re.search(r"Subject: message (\d+)", path.read_text())[1]: path for path in files}  # type: ignore[index]

    before = set(filled.flags())
    assert len(re.findall(r"BODY\.PEEK\[\]", sync())) >= len(before)
    files = near()
    assert set(files) == before
    shown = sync()
    assert "BODY.PEEK[]" not in shown  # nothing is fetched again
    assert near() == files
    files["10"].rename(tmp_path / "mail/Day/cur" / (files["10"].name.partition(":")[0] + ":2,FS"))
    for path in (files["11"], files["12"]):
        path.unlink()
    assert "BODY.PEEK[]" not in sync()
    flags = filled.flags()
    assert flags["10"] >= {rb"\Seen", rb"\Flagged"}
    assert set(flags) == before - {"11", "12"}


def _mutt(where: Path, worker: Worker, keys: str) -> str:
    """What mutt, run at a terminal, says to the server."""
    for old in where.glob(".muttdebug*"):
        old.unlink()
    url = f"imap://127.0.0.1:{worker.demo.port('imap')}/Day"
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm", HOME=str(where))
        os.execvp("mutt", ["mutt", "-n", "-d", "3", "-F", str(where / "rc"), "-f", url, "-e", f'push "{keys}"'])
    ready = select.poll()
    ready.register(terminal, select.POLLIN | select.POLLHUP)
    end = time.monotonic() + SECONDS
    shown = b""
    try:
        while time.monotonic() < end:
            if ready.poll(200):
                try:
                    octets = os.read(terminal, 65536)
                except OSError:
                    break
                if not octets:
                    break
                shown = (shown + octets)[-4000:]
        else:
            pytest.fail(f"mutt does not end: {shown!r}")
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)
    return (where / ".muttdebug0").read_text("utf-8", "replace")


def test_mutt_with_header_cache_and_qresync(filled: Worker, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "rc").write_text(
        f"""set imap_user="{filled.account["login"]}"
set imap_pass="{filled.account["password"]}"
set ssl_force_tls=no ssl_starttls=no delete=yes confirmappend=no move=no mark_old=no imap_qresync=yes imap_condstore=yes
set header_cache="{tmp_path}/cache" message_cachedir="{tmp_path}/bodies" certificate_file="{tmp_path}/none"
set folder="{tmp_path}" spoolfile="{tmp_path}/none" imap_check_subscribed=no
"""
    )
    said = _mutt(tmp_path, filled, "<quit>")
    assert "BODY.PEEK[HEADER.FIELDS" in said
    said = _mutt(tmp_path, filled, "<limit>~s 'message 20$'<enter><flag-message><limit>all<enter><sync-mailbox><quit>")
    assert "ENABLED QRESYNC" in said
    assert "BODY.PEEK[HEADER.FIELDS" not in said  # all of them are in its cache
    assert rb"\Flagged" in filled.flags()["20"]


def test_imapclient(filled: Worker) -> None:
    def come() -> imapclient.IMAPClient:
        context = ssl.create_default_context(cafile=filled.demo.facts["ca_file"])
        client = imapclient.IMAPClient("localhost", filled.demo.port("imaps"), ssl_context=context, timeout=SECONDS)
        client.login(filled.account["login"], filled.account["password"])
        return client

    with come() as client:
        client.create_folder("Done")
        client.subscribe_folder("Done")
        assert "Done" in [name for _, _, name in client.list_sub_folders()]
        client.enable("CONDSTORE")
        seen_at = client.select_folder("Day")[b"HIGHESTMODSEQ"]
        assert len(client.search(["SEEN"])) >= COUNT // 2 - 1
        (uid,) = client.search(["SUBJECT", "message 4321"])
        assert client.fetch(uid, ["ENVELOPE", "BODY[TEXT]"])[uid][b"BODY[TEXT]"] == b"Text of message 4321.\r\n"
        client.add_flags(uid, [imapclient.ANSWERED, "$Work"])
        assert client.search(["KEYWORD", "$Work"]) == [uid]
        moved = client.search(["FROM", "writer7@"])
        client.move(moved, "Done")
        client.delete_messages(client.search(["SUBJECT", "message 4322"]))
        client.expunge()
        assert client.sort("REVERSE DATE", "SUBJECT 4999")
        assert len(client.thread("REFERENCES", "FROM writer8@")) == len(client.search(["FROM", "writer8@"]))
        client.append("Drafts", b"Subject: a draft\r\n\r\nnot done\r\n", [imapclient.DRAFT])
        assert client.folder_status("Done", ["MESSAGES"])[b"MESSAGES"] == len(moved)
    with come() as client:
        client.enable("CONDSTORE")
        client.select_folder("Day")
        changed = client.fetch(client.search("ALL"), ["FLAGS"], [f"CHANGEDSINCE {seen_at}"])
        assert set(changed) == {uid}  # of thousands only what has changed is told
        client.select_folder("Drafts")
        assert client.search(["DRAFT", "SUBJECT", "a draft"])
        client.unselect_folder()
        client.unsubscribe_folder("Done")
        client.delete_folder("Done")


def test_offlineimap(filled: Worker, tmp_path: Path) -> None:
    (tmp_path / "rc").write_text(
        f"""[general]
accounts = demo
metadata = {tmp_path}/state

[Account demo]
localrepository = near
remoterepository = far

[Repository near]
type = Maildir
localfolders = {tmp_path}/mail

[Repository far]
type = IMAP
remotehost = localhost
remoteport = {filled.demo.port("imaps")}
remoteuser = {filled.account["login"]}
remotepass = {filled.account["password"]}
ssl = yes
sslcacertfile = {filled.demo.facts["ca_file"]}
folderfilter = lambda name: name == "Day"
"""
    )

    def sync() -> str:
        return _run(["offlineimap", "-c", str(tmp_path / "rc"), "-o", "-u", "basic"], tmp_path)

    def near() -> list[Path]:
        return [path for folder in ("cur", "new") for path in (tmp_path / "mail/Day" / folder).iterdir()]

    sync()
    before = filled.flags()
    assert len(near()) == len(before)
    shown = sync()
    assert "Copy message" not in shown  # nothing is fetched again
    path = next(each for each in near() if "Subject: message 30\n" in each.read_text().replace("\r", ""))
    path.unlink()
    assert "Copy message" not in sync()
    assert set(filled.flags()) == set(before) - {"30"}


def test_imaplib_and_curl(filled: Worker) -> None:
    facts, login, password = filled.demo.facts, filled.account["login"], filled.account["password"]
    with imaplib.IMAP4("127.0.0.1", filled.demo.port("imap"), timeout=SECONDS) as client:
        client.login(login, password)
        assert b"Day" in b"".join(line for line in client.lsub()[1] if isinstance(line, bytes))
        count = int(client.select("Day")[1][0])
        uid = client.uid("SEARCH", "SUBJECT", '"message 4000"')[1][0].decode()
        assert len(client.uid("FETCH", "1:*", "(FLAGS)")[1]) == count
        assert client.uid("STORE", uid, "+FLAGS", r"(\Flagged \Seen)")[0] == "OK"
        assert client.append("Drafts", r"(\Draft)", None, b"Subject: begun\r\n\r\nx\r\n")[0] == "OK"

    def curl(path: str, *arguments: str) -> bytes:
        url = f"imap://127.0.0.1:{filled.demo.port('imap')}/{path}"
        command = [
            "curl",
            "-sS",
            "--ssl-reqd",
            "--cacert",
            facts["ca_file"],
            "-u",
            f"{login}:{password}",
            url,
            *arguments,
        ]
        return subprocess.run(command, capture_output=True, check=True, timeout=SECONDS).stdout

    assert curl(f"Day;UID={uid}").endswith(b"Text of message 4000.\r\n")
    assert curl("Day", "-X", "UID SEARCH FLAGGED SUBJECT 4000").split() == [b"*", b"SEARCH", uid.encode()]
    curl("Day", "-X", f"UID MOVE {uid} Trash")
    assert "4000" not in filled.flags()
    assert curl("Trash", "-X", "SEARCH SUBJECT 4000").split()[2:]
