"""IDLE against the running demo with all its workers: what one connection or a delivery does, another is told."""

from __future__ import annotations

import imaplib
import smtplib
import ssl
import time

from conftest import RunningDemo

DEADLINE = 10.0  # seconds; a second is what is promised


def idle(demo: RunningDemo, number: int = 0) -> imaplib.IMAP4:
    account = demo.facts["accounts"][number]
    client = imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=DEADLINE)
    client.login(account["login"], account["password"])
    client.select("INBOX")
    client.send(b"I1 IDLE\r\n")
    assert client.readline() == b"+ idling\r\n"
    return client


def done(client: imaplib.IMAP4) -> None:
    client.send(b"DONE\r\n")
    while not (line := client.readline()).startswith(b"I1 "):
        assert line.startswith(b"* ")
    assert line == b"I1 OK IDLE completed\r\n"


def deliver(demo: RunningDemo, number: int = 0) -> None:
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=DEADLINE) as sender:
        sender.sendmail("me@elsewhere.example", [demo.facts["accounts"][number]["addresses"][0]], "Subject: x\n\nx\n")


def test_a_delivery_is_told_within_a_second(demo: RunningDemo) -> None:
    sessions = [idle(demo) for _ in range(8)]  # some in each worker
    worst = 0.0
    for _ in range(5):
        start = time.monotonic()
        deliver(demo)
        for session in sessions:
            assert session.readline().endswith(b" EXISTS\r\n")
        worst = max(worst, time.monotonic() - start)
    print(f"delivery and news of it to eight sessions: {worst * 1000:.0f} ms at worst")
    for session in sessions:
        done(session)
        session.logout()


def test_what_the_queue_delivers_is_told(demo: RunningDemo) -> None:
    """An alias with a member outside goes through the queue, whose process is none of the workers."""
    (alias,) = (each for each in demo.facts["aliases"] if any(t.endswith(".example") for t in each["targets"]))
    number, *_ = (
        number
        for number, account in enumerate(demo.facts["accounts"])
        if set(account["addresses"]).intersection(alias["targets"])
    )
    session = idle(demo, number)
    start = time.monotonic()
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=DEADLINE) as sender:
        sender.sendmail("me@elsewhere.example", [alias["address"]], "Subject: x\n\nx\n")
    assert session.readline().endswith(b" EXISTS\r\n")
    print(f"told of what the queue delivered after {(time.monotonic() - start) * 1000:.0f} ms")
    done(session)
    session.logout()


def test_flags_and_expunge_are_told(demo: RunningDemo) -> None:
    deliver(demo, 1)
    waiting = [idle(demo, 1) for _ in range(4)]
    account = demo.facts["accounts"][1]
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=DEADLINE) as client:
        client.login(account["login"], account["password"])
        count = client.select("INBOX")[1][0].decode()
        assert client.store(count, "+FLAGS", r"(\Deleted)")[0] == "OK"
        for session in waiting:
            line = session.readline()
            assert line.startswith(b"* %s FETCH (UID " % count.encode())
            assert b"\\Deleted" in line
        assert client.expunge() == ("OK", [count.encode()])
        for session in waiting:
            assert session.readline() == b"* %s EXPUNGE\r\n" % count.encode()
            done(session)
            session.logout()


def test_append_copy_move_and_starttls(demo: RunningDemo) -> None:
    account = demo.facts["accounts"][2]
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=DEADLINE) as client:
        client.starttls(ssl.create_default_context(cafile=demo.facts["ca_file"]))
        assert (
            client.authenticate("PLAIN", lambda _: f"\0{account['login']}\0{account['password']}".encode())[0] == "OK"
        )
        assert client.create("Work/2026")[0] == "OK"
        big = b"Subject: big\r\n\r\n" + b"0123456789abcdef\r\n" * 100_000
        status, (line,) = client.append("Work/2026", r"(\Seen)", imaplib.Time2Internaldate(1e9), big)
        assert status == "OK"
        assert b"APPENDUID" in line
        client.select("Work/2026")
        assert client.fetch("1", "(RFC822.SIZE)")[1][0].endswith(b"RFC822.SIZE %d)" % len(big))
        assert client.fetch("1", "(BODY.PEEK[])")[1][0][1] == big
        assert client.copy("1", "INBOX")[0] == "OK"
        assert client.uid("MOVE", "1", "Trash")[0] == "OK"
        assert client.select("Work/2026")[1] == [b"0"]
        assert client.rename("Work/2026", "Play")[0] == "OK"
        assert client.append("Nowhere", "", None, big)[0] == "NO"
        assert client.delete("Play")[0] == "OK"
        assert client.append("INBOX", "", None, (b"x" * 998 + b"\r\n") * 60_000)[0] == "NO"
