"""What a hostile or broken client sends to the running demo's IMAP: one clear reply, and nothing else breaks."""

from __future__ import annotations

import contextlib
import imaplib
import socket
import ssl
from collections.abc import Iterator
from typing import IO

import pytest
from conftest import RunningDemo


class Line:
    """A connection, octet by octet."""

    def __init__(self, demo: RunningDemo) -> None:
        self.demo = demo
        self.socket = socket.create_connection(("127.0.0.1", demo.port("imap")), 20)
        self.file: IO[bytes] = self.socket.makefile("rb")
        assert self.file.readline().startswith(b"* OK [CAPABILITY ")

    def say(self, octets: bytes) -> bytes:
        """The tagged answer to a command whose tag is `t`, or the end."""
        self.socket.sendall(octets)
        said = b""
        while (line := self.file.readline()) and not line.startswith((b"t ", b"* BAD ")):
            said += line
        return said + line

    def login(self) -> None:
        account = self.demo.facts["accounts"][6]
        assert b"t OK" in self.say(f't LOGIN "{account["login"]}" "{account["password"]}"\r\n'.encode())


@pytest.fixture
def line(demo: RunningDemo) -> Iterator[Line]:
    made = Line(demo)
    yield made
    with contextlib.suppress(OSError):
        made.file.close()
        made.socket.close()


def test_octets_behind_starttls_are_dropped(demo: RunningDemo, line: Line) -> None:
    account = demo.facts["accounts"][6]
    line.socket.sendall(f't STARTTLS\r\nt LOGIN "{account["login"]}" "{account["password"]}"\r\n'.encode())
    assert line.file.readline() == b"t OK begin TLS\r\n"
    context = ssl.create_default_context(cafile=demo.facts["ca_file"])
    with context.wrap_socket(line.socket, server_hostname="localhost") as secured:
        secured.sendall(b"u SELECT INBOX\r\n")
        assert secured.recv(1000).startswith(b"u BAD not allowed when not authenticated")


@pytest.mark.parametrize(
    ("octets", "answered"),
    [
        (b"t SELECT \xff\xfe\r\n", b"t BAD "),
        (b't SELECT "a\0b"\r\n', b"t BAD "),
        (b"t SELECT {3+}\r\na\0b\r\n", b"t NO [CANNOT] "),
        (b"t CREATE ../../escape\r\n", b"t NO [CANNOT] "),
        (b"t CREATE a/./b\r\n", b"t NO [CANNOT] "),
        (b"t CREATE &Jjo\r\n", b"t NO [CANNOT] "),
        (b"t CREATE &U,BTFw-&ZeVnLIqe-\r\n", b"t NO [CANNOT] "),
        (b"t CREATE &AC4ALg-\r\n", b"t NO [CANNOT] "),
        (b"t FROBNICATE\r\n", b"t BAD unknown command"),
        (b"\r\n", b"* BAD "),
        (b"t\r\n", b"t BAD "),
        (b"t LIST \"\" {200000}\r\n", b"t BAD literal too large"),
        (b"t LIST \"\" {200000+}\r\n" + b"x" * 200000 + b"\r\n", b"t BAD literal too large"),
        (b"t APPEND INBOX {99999999}\r\n", b"t NO [TOOBIG] "),
        (b"t UID FETCH 0 FLAGS\r\n", b"t BAD "),
        (b"t LOGIN a b\r\n", b"t BAD not allowed when authenticated"),
    ],
)  # fmt: skip
def test_one_clear_reply(line: Line, octets: bytes, answered: bytes) -> None:
    line.login()
    said = line.say(octets)
    assert said.startswith(answered)
    assert b"Traceback" not in said
    assert line.say(b"t NOOP\r\n") == b"t OK NOOP completed\r\n"


def test_an_endless_line_ends_the_session(line: Line) -> None:
    assert line.say(b"t LOGIN " + b"x" * 10_000) == b"* BYE command line too long\r\n"


def test_a_client_that_goes_away_in_the_middle(demo: RunningDemo) -> None:
    for octets in (b"t APPEND INBOX {400000+}\r\n" + b"x" * 300_000, b"t IDLE\r\n", b"t SELECT INBOX\r\nt FETCH 1:* ("):
        gone = Line(demo)
        gone.login()
        gone.socket.sendall(octets)
        gone.file.close()
        gone.socket.close()
    account = demo.facts["accounts"][6]
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as client:
        client.login(account["login"], account["password"])
        assert client.select("INBOX")[0] == "OK"


def test_wrong_passwords_end_the_session(demo: RunningDemo, line: Line) -> None:
    login = demo.facts["accounts"][7]["login"]
    said = b"".join(line.say(f't LOGIN "{login}" wrong{number}\r\n'.encode()) for number in range(2))
    assert said.count(b"t NO [AUTHENTICATIONFAILED] ") == 2
    assert b"t NO [AUTHENTICATIONFAILED] " in line.say(f't LOGIN "{login}" ""\r\n'.encode())
    assert b"t NO [AUTHENTICATIONFAILED] " in line.say(b't LOGIN "*)(uid=*" x\r\n')
    assert line.file.readline() == b"* BYE too many errors\r\n"
    assert line.file.readline() == b""
