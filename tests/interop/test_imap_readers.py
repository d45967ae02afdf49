"""curl, mbsync, mutt and imaplib read a mailbox: listing, searching, parts, whole messages octet by octet."""

from __future__ import annotations

import email
import email.message
import imaplib
import smtplib
import subprocess
from email.message import EmailMessage
from pathlib import Path

import pytest
from conftest import RunningDemo

LONG = "".join(f"line {number} of a long text that goes on\n" for number in range(20_000))  # larger than a piece


def message(number: int) -> EmailMessage:
    made = EmailMessage()
    made["From"] = "Grüßer Süd <gruss@elsewhere.example>"
    made["To"] = "somebody@example.com"
    made["Subject"] = f"Übersicht {number} 你好"
    made["Message-ID"] = f"<{number}@elsewhere.example>"
    made["Date"] = "Mon, 1 Jan 2024 10:00:00 +0100"
    made.set_content(f"Text number {number} mit Umlauten: äöü\n" + (LONG if number == 2 else ""))
    made.add_alternative(f"<p>Text {number}</p>", subtype="html")
    if number == 1:
        made.add_attachment(bytes(range(256)) * 10, maintype="application", subtype="octet-stream", filename="bär.bin")
    return made


MESSAGES = [message(number) for number in range(3)]


@pytest.fixture(scope="module")
def reader(demo: RunningDemo) -> dict[str, str]:
    """An account with three messages in a mailbox of their own."""
    account: dict[str, str] = demo.facts["accounts"][0]
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as client:
        client.login(account["login"], account["password"])
        before = int(client.select("INBOX")[1][0])
        with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as sender:
            for each in MESSAGES:
                sender.send_message(each, "gruss@elsewhere.example", [account["addresses"][0]])
        assert client.noop()[0] == "OK"
        assert client.create("Reading")[0] == "OK"
        assert client.copy(f"{before + 1}:*", "Reading")[0] == "OK"
    return account


def connect(demo: RunningDemo, account: dict[str, str]) -> imaplib.IMAP4:
    client = imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20)
    client.login(account["login"], account["password"])
    assert client.select("Reading")[1] == [b"3"]
    return client


def texts(whole: email.message.Message) -> list[bytes]:
    """The content of each part, line ends apart where it is text."""
    parts = [part for part in whole.walk() if not part.is_multipart()]
    contents = [part.get_payload(decode=True) for part in parts]
    return [
        content.replace(b"\r\n", b"\n") if part.get_content_maintype() == "text" else content
        for part, content in zip(parts, contents, strict=True)
    ]


def test_imaplib_reads_what_was_sent(demo: RunningDemo, reader: dict[str, str]) -> None:
    with connect(demo, reader) as client:
        for number, sent in enumerate(MESSAGES, 1):
            status, answer = client.fetch(str(number), "(RFC822.SIZE BODY.PEEK[])")
            assert status == "OK"
            told, octets = answer[0]
            assert b"RFC822.SIZE %d " % len(octets) in told
            found = email.message_from_bytes(octets)
            assert found["Message-ID"] == sent["Message-ID"]
            assert texts(found) == texts(sent)
        status, answer = client.fetch("2", "(BODY.PEEK[2] BODYSTRUCTURE)")
        assert status == "OK"
        attachment = next(part for part in MESSAGES[1].walk() if part.get_filename())
        assert answer[0][1].replace(b"\r\n", b"\n") == attachment.get_payload().encode()
        assert b'"attachment" ("filename*" "utf-8\'\'b%C3%A4r.bin")' in answer[0][0] + answer[1]
        step, octets = 60_000, b""
        while True:
            piece = client.fetch("3", f"(BODY.PEEK[1]<{len(octets)}.{step}>)")[1][0][1]
            octets += piece
            if len(piece) < step:
                break
        text = next(part for part in MESSAGES[2].walk() if part.get_content_type() == "text/plain")
        assert octets.replace(b"\r\n", b"\n").rstrip() == text.get_payload().encode().rstrip()
        with pytest.raises(imaplib.IMAP4.error):
            client.fetch("1", "(BODY[)")


def test_imaplib_searches(demo: RunningDemo, reader: dict[str, str]) -> None:
    with connect(demo, reader) as client:
        client.literal = "übersicht 1".encode()  # type: ignore[attr-defined]
        assert client.search("UTF-8", "SUBJECT") == ("OK", [b"2"])
        assert client.search(None, "BODY", '"Text number 1"') == ("OK", [b"2"])
        assert client.search(None, "HEADER", "Message-ID", "<0@elsewhere.example>") == ("OK", [b"1"])
        assert client.search(None, "SENTON", "1-Jan-2024", "LARGER", "100000") == ("OK", [b"3"])
        assert client.search("KLINGON", "ALL")[0] == "NO"


def curl(demo: RunningDemo, account: dict[str, str], *arguments: str, path: str = "Reading") -> bytes:
    done = subprocess.run(
        ["curl", "-s", "--user", f"{account['login']}:{account['password']}", *arguments,
         f"imap://127.0.0.1:{demo.port('imap')}/{path}"],
        capture_output=True, timeout=30, check=True,
    )  # fmt: skip
    return done.stdout


def test_curl(demo: RunningDemo, reader: dict[str, str]) -> None:
    whole = curl(demo, reader, path="Reading;MAILINDEX=1")
    assert email.message_from_bytes(whole)["Message-ID"] == "<0@elsewhere.example>"
    assert curl(demo, reader, path="Reading;MAILINDEX=3;SECTION=2").strip() == b"<p>Text 2</p>"
    assert curl(demo, reader, path="Reading?SUBJECT%20nothing").strip() == b"* SEARCH"
    assert curl(demo, reader, path="Reading?HEADER%20Message-ID%201@").strip() == b"* SEARCH 2"
    assert b'* LIST (\\HasNoChildren \\Sent) "/" "Sent"' in curl(demo, reader, path="")
    assert b"* STATUS" in curl(demo, reader, "-X", "STATUS Reading (MESSAGES SIZE)", path="")
    refused = subprocess.run(
        ["curl", "-s", "--user", f"{reader['login']}:wrong", f"imap://127.0.0.1:{demo.port('imap')}/"],
        capture_output=True, timeout=30,
    )  # fmt: skip
    assert refused.returncode == 67


def test_mbsync_copies_every_message(demo: RunningDemo, reader: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "mail").mkdir()
    (tmp_path / "mbsyncrc").write_text(
        f"IMAPAccount demo\nHost 127.0.0.1\nPort {demo.port('imap')}\nUser {reader['login']}\n"
        f"Pass {reader['password']}\nSSLType None\nAuthMechs LOGIN\n\n"
        "IMAPStore far\nAccount demo\n\n"
        f"MaildirStore near\nPath {tmp_path}/mail/\nInbox {tmp_path}/mail/INBOX\nSubFolders Verbatim\n\n"
        "Channel all\nFar :far:\nNear :near:\nPatterns Reading\nCreate Near\nSyncState *\n"
    )
    for _ in range(2):
        done = subprocess.run(
            ["mbsync", "-c", str(tmp_path / "mbsyncrc"), "all"], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        files = [path for place in ("new", "cur") for path in (tmp_path / "mail" / "Reading" / place).iterdir()]
        found = {email.message_from_bytes(path.read_bytes())["Message-ID"] for path in files}
        assert len(files) == 3
        assert found == {each["Message-ID"] for each in MESSAGES}
    large = max(files, key=lambda path: path.stat().st_size)
    with connect(demo, reader) as client:
        octets = client.fetch("3", "(BODY.PEEK[])")[1][0][1].replace(b"\r\n", b"\n")
    kept = large.read_bytes()
    assert octets == b"".join(line for line in kept.splitlines(keepends=True) if not line.startswith(b"X-TUID:"))


def test_mutt_reads_and_searches(demo: RunningDemo, reader: dict[str, str], tmp_path: Path) -> None:
    """mutt opens the mailbox, on a compressed connection, searches on the server and pipes what it found to a file."""
    kept = tmp_path / "found"
    (tmp_path / "muttrc").write_text(
        f'set folder="imap://{reader["login"]}@127.0.0.1:{demo.port("imap")}/"\n'
        f'set imap_user="{reader["login"]}"\nset imap_pass="{reader["password"]}"\nset ssl_starttls=no\nset imap_deflate=yes\n'
        "set ssl_force_tls=no\nset imap_authenticators=login\nset header_cache=\nset pipe_decode=no\nset wait_key=no\n"
        f"unset confirmappend\nset quit=yes\nset timeout=5\n"
        f'push "<limit>=b \\"Text number 1\\"<enter><pipe-message>cat > {kept}<enter><exit>"\n'
    )
    done = subprocess.run(
        ["script", "-qec", f"mutt -n -d 3 -F {tmp_path}/muttrc -R -f =Reading", "/dev/null"],
        capture_output=True, timeout=60, stdin=subprocess.DEVNULL, env={"TERM": "vt100", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert kept.exists(), done.stdout[-2000:]
    assert email.message_from_bytes(kept.read_bytes())["Message-ID"] == "<1@elsewhere.example>"
    assert "OK DEFLATE active" in (tmp_path / ".muttdebug0").read_text(errors="replace")
