"""Limits of connections by address and account on every service, and the PROXY protocol, with real sockets."""

from __future__ import annotations

import contextlib
import imaplib
import os
import poplib
import signal
import smtplib
import socket
import ssl
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import RunningDemo
from free_ports import free_port

from gateway.service.overview import read

PER_ADDRESS, PER_ACCOUNT, UNAUTHENTICATED = 3, 2, 12
PROXIED = ("mx", "imap", "imaps")


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """A demo in which loopback counts too, with second listeners behind a proxy at 127.0.0.1."""
    demo = RunningDemo(tmp_path_factory.mktemp("limited"))
    path = demo.folder / "gatepost.yaml"
    configuration = yaml.safe_load(path.read_text())
    demo.facts["proxied"] = {service: free_port() for service in PROXIED}
    for service, port in demo.facts["proxied"].items():
        listener = dict(configuration["listen"][service][0], port=port, proxy_from=["127.0.0.1"])
        configuration["listen"][service].append(listener)
    demo.facts["metrics"] = free_port()
    configuration["metrics"] = {"listen": f"127.0.0.1:{demo.facts['metrics']}"}
    configuration["processes"] = {"heartbeat": 0.2}
    configuration["limits"] = {
        "exempt_networks": [],
        "connections_per_address": PER_ADDRESS,
        "connections_per_account": PER_ACCOUNT,
        "unauthenticated_connections": UNAUTHENTICATED,
        "proxy_timeout": 1,
    }
    path.write_text(yaml.safe_dump(configuration))
    os.kill(demo.facts["pids"]["master"], signal.SIGHUP)
    deadline = time.monotonic() + 30
    while (shown := read(demo.folder / "run")) is None or not shown.reloads:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield demo
    demo.stop()


def connect(port: int, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0))


def first_line(sock: socket.socket) -> bytes:
    """What is said first, b"" when the connection is closed without a word."""
    said = b""
    while not said.endswith(b"\n"):
        try:
            piece = sock.recv(1)
        except ConnectionResetError:
            break
        if not piece:
            break
        said += piece
    return said


def admitted(port: int, source: str, welcome: bytes) -> socket.socket:
    """A connection that may stay; a place that has just become free may take a moment."""
    deadline = time.monotonic() + 10
    while True:
        sock = connect(port, source)
        if first_line(sock).startswith(welcome):
            return sock
        sock.close()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("service", "welcome", "refusal", "source"),
    [
        ("mx", b"220 ", b"421 4.7.0 too many connections", "127.0.0.11"),
        ("submission", b"220 ", b"421 4.7.0 too many connections", "127.0.0.12"),
        ("imap", b"* OK ", b"* BYE [UNAVAILABLE] too many connections", "127.0.0.13"),
        ("pop3", b"+OK ", b"-ERR [SYS/TEMP] too many connections", "127.0.0.14"),
    ],
)
def test_so_many_connections_of_an_address(
    limited: RunningDemo, service: str, welcome: bytes, refusal: bytes, source: str
) -> None:
    port = limited.port(service)
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(admitted(port, source, welcome)) for _ in range(PER_ADDRESS)]
        for _ in range(4):  # whichever worker it comes to
            with connect(port, source) as sock:
                assert first_line(sock).startswith(refusal)
                assert sock.recv(100) == b""
        with connect(limited.port("imaps"), source) as sock:
            assert first_line(sock) == b""
        with connect(port, "127.0.0.99") as sock:
            assert first_line(sock).startswith(welcome)
        held.pop().close()
        admitted(port, source, welcome).close()


def people(demo: RunningDemo) -> list[dict[str, Any]]:
    return [a for a in demo.facts["accounts"] if a["kind"] == "person" and a["status"] == "active" and a["password"]]


def test_so_many_sessions_of_an_account_from_one_address(limited: RunningDemo) -> None:
    jane = people(limited)[0]
    source = ("127.0.0.21", 0)

    def imap(account: dict[str, Any]) -> imaplib.IMAP4:
        client = imaplib.IMAP4("127.0.0.1", limited.port("imap"), timeout=20)
        try:
            client.login(account["login"], account["password"])
        except imaplib.IMAP4.error:
            client.shutdown()
            raise
        return client

    clients = [imap(jane) for _ in range(PER_ACCOUNT)]
    for _ in range(3):
        with pytest.raises(imaplib.IMAP4.error, match=r"\[UNAVAILABLE\] too many connections"):
            imap(jane)
    pop = poplib.POP3("127.0.0.1", limited.port("pop3"), timeout=20)
    pop.user(jane["login"])
    with pytest.raises(poplib.error_proto, match=r"-ERR \[SYS/TEMP\] too many connections"):
        pop.pass_(jane["password"])
    pop.close()
    with smtplib.SMTP("127.0.0.1", limited.port("submission"), timeout=20) as sender:
        sender.ehlo()
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            sender.login(jane["login"], jane["password"])
        assert refused.value.smtp_code == 454
        assert sender.noop()[0] == 250
    elsewhere = smtplib.SMTP("127.0.0.1", limited.port("submission"), timeout=20, source_address=source)
    elsewhere.login(jane["login"], jane["password"])
    elsewhere.quit()
    clients.append(imap(people(limited)[1]))
    for client in clients:
        client.logout()
    deadline = time.monotonic() + 10
    while True:
        try:
            imap(jane).logout()
            break
        except imaplib.IMAP4.error:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_when_too_many_have_not_logged_in_the_one_silent_longest_is_ended(limited: RunningDemo) -> None:
    jane = people(limited)[2]
    proven = imaplib.IMAP4("127.0.0.1", limited.port("imap"), timeout=20)
    proven.login(jane["login"], jane["password"])
    with contextlib.ExitStack() as stack:
        silent = []
        for n in range(2 * UNAUTHENTICATED + 4):  # more than the shares of both workers
            sock = stack.enter_context(connect(limited.port("imap"), f"127.0.1.{n + 1}"))
            assert first_line(sock).startswith(b"* OK ")
            silent.append(sock)
        for sock in silent:
            sock.settimeout(0.2)
        ended = []
        for n, sock in enumerate(silent):
            with contextlib.suppress(TimeoutError):
                assert sock.recv(1000).startswith(b"* BYE [UNAVAILABLE] too busy")
                ended.append(n)
        assert len(ended) >= UNAUTHENTICATED + 4
        assert 0 in ended
        assert len(silent) - 1 not in ended
    assert proven.noop()[0] == "OK"
    proven.logout()


def test_the_address_that_a_proxy_forwards_counts_and_is_written_down(limited: RunningDemo) -> None:
    port = limited.facts["proxied"]["mx"]
    jane = people(limited)[3]
    subject = uuid.uuid4().hex
    with connect(port) as sock:
        sock.sendall(b"PROXY TCP4 198.51.100.7 192.0.2.1 4711 25\r\nEHLO a.example\r\n")  # before the greeting
        assert first_line(sock).startswith(b"220 ")
        sock.sendall(b"MAIL FROM:<me@elsewhere.example>\r\nRCPT TO:<%s>\r\n" % jane["addresses"][0].encode())
        sock.sendall(b"DATA\r\n")
        said = b""
        while b"\r\n354 " not in said:
            said += sock.recv(4096)
        sock.sendall(b"Subject: %s\r\n\r\nhello\r\n.\r\nQUIT\r\n" % subject.encode())
        while b"221 " not in said:
            said += sock.recv(4096)
        assert b"\r\n250 2.0.0 OK id=" in said
    files = [p for p in Path(jane["maildir"]).glob("cur/*") if subject in p.read_text()]
    assert len(files) == 1
    assert "[198.51.100.7]" in files[0].read_text()
    with contextlib.ExitStack() as stack:
        for n in range(PER_ADDRESS + 1):
            sock = stack.enter_context(connect(port))
            sock.sendall(b"PROXY TCP6 2001:db8::%d 2001:db8::1 4711 25\r\n" % n)
            assert first_line(sock).startswith(b"220 " if n < PER_ADDRESS else b"421 4.7.0 ")


def test_a_proxy_before_tls_with_version_2(limited: RunningDemo) -> None:
    context = ssl.create_default_context(cafile=limited.facts["ca_file"])
    jane = people(limited)[4]
    with connect(limited.facts["proxied"]["imaps"]) as sock:
        addresses = socket.inet_aton("198.51.100.8") + socket.inet_aton("192.0.2.1") + b"\x12\x34\x03\xe1"
        sock.sendall(b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + len(addresses).to_bytes(2, "big") + addresses)
        with context.wrap_socket(sock, server_hostname="localhost") as secured:
            assert first_line(secured).startswith(b"* OK ")
            secured.sendall(f"a LOGIN {jane['login']} {jane['password']}\r\n".encode())
            assert first_line(secured).startswith(b"a OK ")
    assert f"login={jane['login']} client=198.51.100.8 service=imap" in (limited.folder / "demo.log").read_text()
    with connect(limited.facts["proxied"]["imap"]) as sock:  # in the clear: what is forwarded is not loopback
        sock.sendall(b"PROXY TCP4 198.51.100.8 192.0.2.1 4711 143\r\na LOGIN x y\r\n")
        assert b" LOGINDISABLED" in first_line(sock)
        assert first_line(sock).startswith(b"a NO [PRIVACYREQUIRED]")


def test_headers_that_are_wrong_late_or_from_somebody_else(limited: RunningDemo) -> None:
    port = limited.facts["proxied"]["mx"]
    for wrong in (b"EHLO x\r\n", b"PROXY TCP4 a b 1 2\r\n", b"\x16\x03\x01\x00\x05hello", b"PROXY " + b"x" * 200):
        with connect(port) as sock:
            sock.sendall(wrong)
            assert first_line(sock) == b""
    with connect(port) as sock:  # no header at all
        assert first_line(sock) == b""
    for where, source in ((port, "127.0.0.31"), (limited.port("mx"), "127.0.0.1")):
        with connect(where, source) as sock:
            assert first_line(sock).startswith(b"220 ")
            sock.sendall(b"PROXY TCP4 198.51.100.9 192.0.2.1 4711 25\r\n")
            assert first_line(sock).startswith(b"500 ")
    with connect(port) as sock:  # a health check
        sock.sendall(b"PROXY UNKNOWN\r\n")
        assert first_line(sock).startswith(b"220 ")


def test_who_was_turned_away_is_counted(limited: RunningDemo) -> None:
    def counted() -> dict[str, float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{limited.facts['metrics']}/metrics", timeout=10) as answer:
            lines = [line.rpartition(" ") for line in answer.read().decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}

    admitted_before = 'gatepost_connections_total{service="pop3"}'
    turned_away = 'gatepost_connections_not_admitted_total{condition="too_many_connections",service="pop3"}'
    cut = 'gatepost_sessions_cut_total{reason="speaks_HTTP",service="pop3"}'
    before = counted()
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(admitted(limited.port("pop3"), "127.0.0.41", b"+OK ")) for _ in range(PER_ADDRESS)]
        with connect(limited.port("pop3"), "127.0.0.41") as sock:
            assert first_line(sock).startswith(b"-ERR ")
        held[0].sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert first_line(held[0]) == b""
    deadline = time.monotonic() + 10
    while True:
        after = counted()
        grown = [after.get(name, 0) - before.get(name, 0) for name in (admitted_before, turned_away, cut)]
        if grown[0] >= PER_ADDRESS and grown[1] >= 1 and grown[2] >= 1:
            break
        assert time.monotonic() < deadline, grown
        time.sleep(0.1)
