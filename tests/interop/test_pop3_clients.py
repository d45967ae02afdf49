"""POP3 against the running demo: poplib, curl, raw dialogs; two sessions on one maildrop."""

from __future__ import annotations

import poplib
import smtplib
import socket
import ssl
import subprocess
import time
import uuid

import pytest
from conftest import RunningDemo


def deliver(demo: RunningDemo, number: int, *bodies: str) -> list[str]:
    """Mail for account `number`, a body each; the subjects."""
    subjects = [uuid.uuid4().hex for _ in bodies]
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as sender:
        for subject, body in zip(subjects, bodies, strict=True):
            text = f"From: me@elsewhere.example\r\nSubject: {subject}\r\n\r\n{body}"
            sender.sendmail("me@elsewhere.example", [demo.facts["accounts"][number]["addresses"][0]], text.encode())
    return subjects


def person(demo: RunningDemo, wanted: int) -> tuple[int, dict[str, str]]:
    """The `wanted`th ordinary person that has a password."""
    people = [
        (n, a)
        for n, a in enumerate(demo.facts["accounts"])
        if a["kind"] == "person" and a["status"] == "active" and a["password"]
    ]
    return people[wanted]


def connect(demo: RunningDemo) -> poplib.POP3:
    return poplib.POP3("127.0.0.1", demo.port("pop3"), timeout=20)


def login(demo: RunningDemo, account: dict[str, str]) -> poplib.POP3:
    client = connect(demo)
    try:
        client.user(account["login"])
        client.pass_(account["password"])
    except poplib.error_proto:
        client.close()
        raise
    return client


def test_poplib_reads_sizes_uids_and_removes_at_quit_only(demo: RunningDemo) -> None:
    number, account = person(demo, 3)
    large = "x" * 900 + "\r\n"
    subjects = deliver(demo, number, "one\r\n.dot\r\n..two\r\n", large * 700, "three\r\nlines\r\nhere\r\n")
    client = login(demo, account)
    count, octets = client.stat()
    first = count - 2
    sizes = [int(line.split()[1]) for line in client.list()[1]]
    assert sum(sizes) == octets
    uids = [line.split()[1] for line in client.uidl()[1]]
    assert len(set(uids)) == count
    assert all(len(uid) == 18 and uid[8:9] == b"u" and uid[17:] == b"v" for uid in uids)
    lines = client.retr(first)[1]
    assert f"Subject: {subjects[0]}".encode() in lines
    assert lines[-3:] == [b"one", b".dot", b"..two"]
    assert sum(len(line) + 2 for line in lines) == sizes[first - 1]
    lines = client.retr(first + 1)[1]
    assert lines[-700:] == [large.strip().encode()] * 700
    assert sum(len(line) + 2 for line in lines) == sizes[first]
    top = client.top(first + 2, 2)[1]
    assert top[-3:] == [b"", b"three", b"lines"]
    client.dele(first)
    with pytest.raises(poplib.error_proto):
        client.retr(first)
    client.close()  # without QUIT

    again = login(demo, account)
    assert [line.split()[1] for line in again.uidl()[1]] == uids
    again.dele(first)
    again.dele(first + 2)
    again.rset()
    again.dele(first + 1)
    again.quit()

    last = login(demo, account)
    assert [line.split()[1] for line in last.uidl()[1]] == uids[:first] + uids[first + 1 :]
    assert f"Subject: {subjects[2]}".encode() in last.retr(first + 1)[1]
    last.quit()


def test_tls_from_the_first_octet_and_stls(demo: RunningDemo) -> None:
    context = ssl.create_default_context(cafile=demo.facts["ca_file"])
    _, account = person(demo, 4)
    client: poplib.POP3 = poplib.POP3_SSL("localhost", demo.port("pop3s"), timeout=20, context=context)
    assert "STLS" not in client.capa()
    client.user(account["login"])
    assert client.pass_(account["password"]).startswith(b"+OK")
    client.quit()
    client = poplib.POP3("localhost", demo.port("pop3"), timeout=20)
    assert "STLS" in client.capa()
    client.stls(context=context)
    assert "STLS" not in client.capa()
    with pytest.raises(poplib.error_proto):
        client._shortcmd("STLS")  # type: ignore[attr-defined]
    client.user(account["login"])
    client.pass_(account["password"])
    client.quit()


def test_curl_lists_reads_and_deletes(demo: RunningDemo) -> None:
    number, account = person(demo, 5)
    (subject,) = deliver(demo, number, "for curl\r\n")
    user = f"{account['login']}:{account['password']}"
    base = f"pop3s://localhost:{demo.port('pop3s')}"

    def curl(*arguments: str) -> str:
        command = ["curl", "-sS", "--max-time", "20", "--cacert", demo.facts["ca_file"], "-u", user, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout

    last = curl(f"{base}/").split("\n")[-2].split()[0]
    assert f"Subject: {subject}" in curl(f"{base}/{last}")
    curl(f"{base}/{last}", "-X", "DELE", "-I")
    assert subject not in "".join(curl(f"{base}/{n.split()[0]}") for n in curl(f"{base}/").splitlines() if n.strip())


def test_a_second_session_is_told_that_the_maildrop_is_in_use(demo: RunningDemo) -> None:
    _, account = person(demo, 6)
    client = login(demo, account)
    for _ in range(6):  # whichever worker it comes to
        second = connect(demo)
        second.user(account["login"])
        with pytest.raises(poplib.error_proto, match=r"-ERR \[IN-USE\]"):
            second.pass_(account["password"])
        second.close()
    client.quit()
    for _ in range(10):  # after QUIT it is free at once
        login(demo, account).quit()
    client = login(demo, account)
    client.close()  # a client that vanishes without QUIT frees it too
    deadline = time.monotonic() + 5
    while True:
        try:
            login(demo, account).quit()
            break
        except poplib.error_proto:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_refusals(demo: RunningDemo) -> None:
    _, account = person(demo, 7)
    client = connect(demo)
    client.user(account["login"])
    with pytest.raises(poplib.error_proto, match=r"-ERR \[AUTH\]"):
        client.pass_("wrong")
    with pytest.raises(poplib.error_proto, match="-ERR not in this state"):
        client.stat()
    client.close()
    client = login(demo, account)
    beyond = client.stat()[0] + 1
    for command in (f"RETR {beyond}", "RETR 0", "RETR x", "TOP 1", "DELE 99999999999", "XYZZY", "USER x"):
        with pytest.raises(poplib.error_proto):
            client._shortcmd(command)  # type: ignore[attr-defined]
    assert client.noop().startswith(b"+OK")
    client.quit()


def test_pipelined_commands_then_half_closed(demo: RunningDemo) -> None:
    number, account = person(demo, 10)
    (subject,) = deliver(demo, number, "piped\r\n")
    with socket.create_connection(("127.0.0.1", demo.port("pop3")), timeout=20) as sock:
        lines = f"USER {account['login']}\r\nPASS {account['password']}\r\nSTAT\r\nTOP 1 0\r\nNOOP\r\nQUIT\r\n"
        sock.sendall(lines.encode())
        sock.shutdown(socket.SHUT_WR)
        said = b"".join(iter(lambda: sock.recv(65536), b""))
    answers = said.split(b"\r\n")
    assert answers[1:3] == [b"+OK send PASS", b"+OK maildrop open"]
    assert answers[-3:] == [b"+OK", b"+OK bye", b""]
    assert subject.encode() in said
    with socket.create_connection(("127.0.0.1", demo.port("pop3")), timeout=20) as sock:
        sock.sendall(b"CAPA\r\nSTLS\r\nUSER injected\r\n")
        said = b""
        while b"begin TLS\r\n" not in said:
            said += sock.recv(65536)
        assert b"\r\nSTLS\r\n" in said
        sock.sendall(b"NOOP\r\n")  # not a handshake
        assert b"+OK" not in sock.recv(65536)
