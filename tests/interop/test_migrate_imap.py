"""Accounts of a live Dovecot become accounts here: UIDs, flags, keywords and dates stay, nothing is fetched twice."""

from __future__ import annotations

import imaplib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import RunningDemo
from in_process import run
from packaged_dovecot import PASSWORD, Dovecot, dovecot

WORK = '"Work/&AMQ-rzte"'
SMALL = 250
LARGE = b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 600_000  # 10.8 MB: two pieces


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    with dovecot() as running:
        yield running


def open_imap(port: int, login: str, password: str) -> imaplib.IMAP4:
    client = imaplib.IMAP4("127.0.0.1", port, timeout=60)
    client.login(login, password)
    return client


def told(port: int, login: str, password: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with open_imap(port, login, password) as client:
        for name in ("INBOX", WORK):
            client.select(name, readonly=True)
            rows = client.uid("FETCH", "1:*", "(FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER])")[1]
            texts = [b" ".join(row) if isinstance(row, tuple) else row for row in rows]
            found[name] = client.response("UIDVALIDITY")[1], [_plain(text) for text in texts if text != b")"]
    return found


def _plain(text: bytes) -> tuple[frozenset[bytes], bytes]:
    head, _, rest = text.partition(b"FLAGS (")
    flags, _, more = rest.partition(b")")
    date = more.partition(b'INTERNALDATE "')[2].partition(b'"')[0]
    moment = imaplib.Internaldate2tuple(b'INTERNALDATE "%s"' % date)
    assert moment is not None
    return frozenset(flags.split()) - {b"\\Recent"}, head + b"%d" % int(time.mktime(moment)) + more.partition(
        b"RFC822.SIZE"
    )[2]


def test_accounts_of_a_live_server(demo: RunningDemo, server: Dovecot, tmp_path: Path) -> None:
    people = [each for each in demo.facts["accounts"] if each["kind"] == "person" and each["status"] == "active"]
    one, other = people[1], people[2]
    with open_imap(server.imap, one["login"], PASSWORD) as client:
        client.create(WORK)
        client.subscribe(WORK)
        for number in range(SMALL):
            client.append("INBOX", r"(\Seen $Label1)" if number % 2 else "", None, b"Subject: %d\r\n\r\nx\r\n" % number)
        client.append(WORK, r"(\Flagged blue)", imaplib.Time2Internaldate(1_500_000_000), LARGE)
        client.select()
        client.store("3:5", "+FLAGS.SILENT", r"(\Deleted)")
        client.expunge()
    with open_imap(server.imap, other["login"], PASSWORD) as client:
        client.append("INBOX", r"(\Answered)", None, b"Subject: other\r\n\r\nx\r\n")
    (tmp_path / "list").write_text(f"# two\n{one['login']}\n\n{other['login']} {other['login']} {PASSWORD}\n")
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    (tmp_path / "wrong").write_text("wrong\n")
    where = "--host", "127.0.0.1", "--port", str(server.imap), "--tls", "none"
    words = "migrate", "imap", *where, "--list", str(tmp_path / "list"), "--password-file", str(tmp_path / "password")

    def migrate(*more: str) -> tuple[int, dict[str, dict[str, Any]]]:
        code, said = run(demo, *words, "--json", *more)
        assert "[" in said, said
        results = json.loads(next(line for line in said.splitlines() if line.startswith("[")))
        return code, {each["account"]: each for each in results}

    code, first = migrate("--fetch-only")
    assert code == 0
    assert first[one["login"]]["fetched"] == SMALL - 3 + 1
    with open_imap(server.imap, one["login"], PASSWORD) as client:  # goes on there meanwhile
        client.select()
        client.store("1", "+FLAGS.SILENT", r"(\Flagged)")
        client.store("2", "+FLAGS.SILENT", r"(\Deleted)")
        client.expunge()
        client.append("INBOX", "", None, b"Subject: later\r\n\r\nx\r\n")
    ahead = Path(one["maildir"]).with_name("Maildir.migrating") / "cur"
    os.truncate(next(file for file in ahead.iterdir() if file.name.startswith("9.")), 3)  # what a power cut may leave
    before = told(server.imap, one["login"], PASSWORD)
    code, second = migrate("--merge")
    assert code == 0, second
    assert second[one["login"]]["fetched"] == 2
    after = told(demo.port("imap"), one["login"], one["password"])
    assert after[WORK] == before[WORK]
    assert after["INBOX"][0] == before["INBOX"][0]
    assert after["INBOX"][1][: len(before["INBOX"][1])] == before["INBOX"][1]
    assert migrate()[1][one["login"]]["text"] == "was migrated before"
    assert run(demo, "store", "check", one["login"], other["login"])[0] == 0
    assert [name for name in os.listdir(Path(one["maildir"]).parent) if name != "Maildir"] == []
    wrong = "migrate", "imap", *where, people[3]["login"], "--password-file", str(tmp_path / "wrong")
    code, said = run(demo, *wrong)
    assert (code, "does not let" in said) == (1, True)
    assert run(demo, "migrate", "imap", "--host", "127.0.0.1", people[3]["login"])[0] == 2
