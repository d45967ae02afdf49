"""Clients that are slow, half-closed, confused or hostile, on every service of a running demo.

Each gets one clear answer, the service goes on, and the log knows of no bug.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import RunningDemo

SERVICES = ("mx", "submission", "lmtp", "imap", "pop3")
WELCOME = {"mx": b"220 ", "submission": b"220 ", "lmtp": b"220 ", "imap": b"* OK ", "pop3": b"+OK "}
STARTTLS = {
    "mx": (b"EHLO x\r\n", b"STARTTLS\r\n", b"220 2.0.0 ready"),
    "submission": (b"EHLO x\r\n", b"STARTTLS\r\n", b"220 2.0.0 ready"),
    "imap": (b"", b"a STARTTLS\r\n", b"a OK "),
    "pop3": (b"", b"STLS\r\n", b"+OK "),
}
NOOP = {"mx": b"NOOP\r\n", "submission": b"NOOP\r\n", "lmtp": b"NOOP\r\n", "imap": b"n NOOP\r\n", "pop3": b"CAPA\r\n"}
FINE = {"mx": b"250 ", "submission": b"250 ", "lmtp": b"250 ", "imap": b"n OK ", "pop3": b"+OK "}
BYE = {"mx": b"QUIT\r\n", "submission": b"QUIT\r\n", "lmtp": b"QUIT\r\n", "imap": b"q LOGOUT\r\n", "pop3": b"QUIT\r\n"}
START_MAIL = b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<jane@example.com>\r\nDATA\r\n"
ALLOWED = {"mx": b"245", "submission": b"245", "lmtp": b"245", "imap": b"*+anqxz", "pop3": b"+-."}


@pytest.fixture(scope="module", autouse=True)
def no_bugs(demo: RunningDemo) -> Iterator[None]:
    yield
    log = (demo.folder / "demo.log").read_text()
    for trouble in ("event=bug", "Traceback", "never awaited", "Exception ignored"):
        assert trouble not in log


class Client:
    def __init__(self, demo: RunningDemo, service: str) -> None:
        self.sock: socket.socket = socket.create_connection(("127.0.0.1", demo.port(service)), timeout=20)
        self.left = b""
        assert self.line().startswith(WELCOME[service])

    def line(self) -> bytes:
        """The next line, b"" at the end."""
        while b"\n" not in self.left:
            try:
                piece = self.sock.recv(65536)
            except ConnectionResetError:
                piece = b""
            if not piece:
                line, self.left = self.left, b""
                return line
            self.left += piece
        line, _, self.left = self.left.partition(b"\n")
        return line + b"\n"

    def until(self, start: bytes) -> bytes:
        """The first line that starts so; everything up to the end when there is none."""
        said = b""
        while line := self.line():
            if line.startswith(start):
                return line
            said += line
        return said

    def rest(self) -> bytes:
        said = b""
        while line := self.line():
            said += line
        return said

    def send(self, data: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            self.sock.sendall(data)

    def close(self) -> None:
        self.sock.close()


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def client(demo: RunningDemo, service: str) -> Iterator[Client]:
    made = Client(demo, service)
    yield made
    made.close()


def test_octet_by_octet(client: Client, service: str) -> None:
    client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for octet in NOOP[service] + BYE[service]:
        client.send(bytes((octet,)))
        time.sleep(0.002)
    assert client.until(FINE[service]).startswith(FINE[service])
    client.rest()


def test_everything_at_once_and_half_closed(client: Client, service: str) -> None:
    client.send(NOOP[service] * 50 + BYE[service])
    client.sock.shutdown(socket.SHUT_WR)
    said = client.rest()
    assert said.count(b"\r\n" + FINE[service]) + said.startswith(FINE[service]) >= 50


def test_half_closed_without_a_goodbye(client: Client, service: str) -> None:
    client.send(NOOP[service] + NOOP[service][:3])
    client.sock.shutdown(socket.SHUT_WR)
    assert FINE[service] in client.rest()


@pytest.mark.parametrize("rubbish", [b"\0\0\0\r\n", b"\xff\xfe\xfd x\r\n", b"\r\n", b"   \r\n", b"x\ry\r\n", b"%s%n%x (9\r\n", b"\x1b[2J\r\n"])  # fmt: skip
def test_rubbish_is_answered_and_the_session_goes_on(client: Client, service: str, rubbish: bytes) -> None:
    client.send(rubbish + NOOP[service])
    assert client.until(FINE[service]).startswith(FINE[service])


def test_a_line_without_end(client: Client, service: str) -> None:
    for _ in range(40):
        client.send(b"x" * 65536)
    client.send(b"\r\n" + BYE[service])
    said = client.rest()  # refused, or cut off: never kept
    assert len(said) < 10_000


def test_endless_errors_end(client: Client, service: str) -> None:
    for _ in range(60):
        client.send(b"x bogus\r\n" * 20)
    assert client.rest().count(b"\n") < 130


@pytest.mark.parametrize("service", sorted(STARTTLS))
def test_octets_behind_starttls_are_dropped_and_plain_ones_later_are_no_commands(
    demo: RunningDemo, client: Client, service: str
) -> None:
    before, command, go = STARTTLS[service]
    if before:
        client.send(before)
        client.until(b"250 ")
    client.send(command + NOOP[service])
    assert client.until(go).startswith(go)
    context = ssl.create_default_context(cafile=demo.facts["ca_file"])
    with context.wrap_socket(client.sock, server_hostname="localhost") as secured:
        client.sock = secured
        client.send(NOOP[service].replace(b"n ", b"m ") if service == "imap" else NOOP[service])
        first = client.line()
        assert first.startswith(b"m OK " if service == "imap" else (b"250 ", b"5", b"+OK ")), first
        client.send(BYE[service])
        client.rest()


@pytest.mark.parametrize("service", sorted(STARTTLS))
def test_no_handshake_behind_starttls(client: Client, service: str) -> None:
    before, command, go = STARTTLS[service]
    if before:
        client.send(before)
        client.until(b"250 ")
    client.send(command)
    assert client.until(go).startswith(go)
    client.send(NOOP[service])
    assert FINE[service] not in client.rest()


@pytest.mark.parametrize("port", ["imaps", "pop3s", "submissions"])
@pytest.mark.parametrize(
    "first", [b"GET / HTTP/1.1\r\n\r\n", b"EHLO x\r\n", b"\x16\x03\x01\xff\xff", b"\x80\x2e\x01\x00\x02"]
)
def test_something_else_than_tls_on_a_tls_port(demo: RunningDemo, port: str, first: bytes) -> None:
    with socket.create_connection(("127.0.0.1", demo.port(port)), timeout=20) as sock:
        sock.sendall(first)
        sock.shutdown(socket.SHUT_WR)
        said = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := sock.recv(4096):
                said += piece
        assert said[:1] in (b"", b"\x15")  # nothing, or an alert


def test_a_web_browser(client: Client) -> None:
    client.send(b"POST / HTTP/1.1\r\nHost: mail.example.com\r\n\r\nEHLO x\r\nMAIL FROM:<a@b.example>\r\n")
    assert client.rest() == b""


def test_a_thousand_random_lines(demo: RunningDemo, service: str) -> None:
    words = [b"EHLO x", b"LHLO x", b"MAIL FROM:<a@b.example>", b"RCPT TO:<jane@example.com>", b"DATA", b"BDAT 3", b"abc", b".", b"RSET",
             b"a LOGIN {3}", b"a LOGIN x y", b"a SELECT INBOX", b"a AUTHENTICATE PLAIN", b"*", b"AUTH PLAIN", b"AUTH LOGIN", b"eA==",
             b"USER x", b"PASS y", b"STAT", b"RETR 1", b"UIDL", b"TOP 1 1", b"a IDLE", b"DONE", b"a FETCH 1:* (FLAGS)", b"\x00", b"{1000000}"]  # fmt: skip
    chosen = random.Random(service)
    for _ in range(15):
        client = Client(demo, service)
        client.send(b"\r\n".join(chosen.choice(words) for _ in range(70)) + b"\r\n")
        client.sock.shutdown(socket.SHUT_WR)
        for line in client.rest().splitlines():
            assert line[:1] in {bytes((octet,)) for octet in ALLOWED[service]} or b" " not in line[:1], line
        client.close()
    client = Client(demo, service)
    client.send(NOOP[service])
    assert client.until(FINE[service]).startswith(FINE[service])
    client.close()


def descriptors(demo: RunningDemo) -> int:
    """Open in all workers together."""
    workers = [pid for name, pid in demo.facts["pids"].items() if name.startswith("worker")]
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in workers)


def test_clients_that_vanish_at_any_moment_leave_nothing_behind(demo: RunningDemo) -> None:
    jane = demo.facts["accounts"][0]
    login, password = jane["login"].encode(), jane["password"].encode()
    scripts = {
        "mx": START_MAIL + b"Subject: x\r\n\r\n" + b"x" * 70 * 9000 + b"\r\n.\r\nQUIT\r\n",
        "imap": b"a LOGIN %s %s\r\nb SELECT INBOX\r\nc FETCH 1:* (FLAGS ENVELOPE BODY.PEEK[])\r\nd IDLE\r\nDONE\r\n"
        b"e STORE 1 +FLAGS (\\Seen)\r\nf APPEND INBOX {11+}\r\nSubject: y\n\r\ng LOGOUT\r\n" % (login, password),
        "pop3": b"USER %s\r\nPASS %s\r\nSTAT\r\nUIDL\r\nRETR 1\r\nTOP 1 1\r\nDELE 1\r\nRSET\r\nQUIT\r\n"
        % (login, password),
    }

    def vanish(seed: int) -> None:
        chosen = random.Random(seed)
        for _ in range(25):
            service = chosen.choice(sorted(scripts))
            script = scripts[service]
            with socket.create_connection(("127.0.0.1", demo.port(service)), timeout=20) as sock:
                with contextlib.suppress(ConnectionError, TimeoutError):
                    sock.settimeout(chosen.choice([0.001, 0.05]))
                    sock.sendall(script[: chosen.randrange(1, len(script))])
                    sock.recv(chosen.choice([10, 65536]))
                if chosen.random() < 0.6:  # without a goodbye of TCP either
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    before = descriptors(demo)
    with ThreadPoolExecutor(8) as clients:
        list(clients.map(vanish, range(8)))
    deadline = time.monotonic() + 20
    while descriptors(demo) > before + 10:  # some are of files that stay open from their first use on
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for service in ("mx", "imap", "pop3"):
        client = Client(demo, service)
        client.send(NOOP[service])
        assert client.until(FINE[service]).startswith(FINE[service])
        client.close()
