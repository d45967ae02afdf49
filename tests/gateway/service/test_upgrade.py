"""A line protocol's STARTTLS through the connection, with a real client."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import trustme

from gateway.ask import Ask, Dialogue
from gateway.service.connection import Connection
from gateway.service.deadlines import Deadlines
from gateway.service.driver import UPGRADE
from gateway.service.line_connection import LineConnection
from gateway.service.sessions import Sessions
from gateway.service.settings import LimitSettings
from gateway.service.tls import Certificates, TlsLayer, TlsOffer


class Lines:
    """A core that knows STARTTLS and WHO."""

    closing = False

    def __init__(self) -> None:
        self.tls = ""
        self._received = b""

    patience: float | None = 30.0

    def woken(self) -> Dialogue | None:
        return None

    def expired(self) -> Dialogue | None:
        return None

    def greeting(self) -> bytes:
        return b"hello\r\n"

    def receive(self, data: bytes) -> None:
        self._received += data

    def next_dialogue(self) -> Dialogue | None:
        line, end, rest = self._received.partition(b"\r\n")
        if not end:
            return None
        self._received = rest
        return self._answer(line)

    def _answer(self, line: bytes) -> Dialogue:
        if line == b"STARTTLS":
            self._received = b""
            yield b"go\r\n"
            yield Ask(line)
        else:
            yield line + b" " + self.tls.split(" ")[0].encode() + b"\r\n"


class Executes:
    def execute(self, request: object) -> object:
        return UPGRADE

    def close(self) -> None:
        pass


def test_starttls_then_commands_inside_and_what_came_in_the_clear_is_dropped(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    certificates = Certificates(str(tmp_path / "both.pem"), str(tmp_path / "both.pem"))
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(
            lambda: TlsLayer(
                LineConnection(
                    lambda connection, tls, wake: (Lines(), Executes()),
                    cast(Connection, SimpleNamespace(speaker=None, address="192.0.2.1", log_cut=print)),
                    Deadlines(),
                    LimitSettings(),
                    Sessions(),
                ),
                TlsOffer(lambda: certificates.context("imap"), b"imap", 30),
                at_once=False,
            ),
            "127.0.0.1",
            0,
        )
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await reader.readline() == b"hello\r\n"
        writer.write(b"WHO\r\n")
        assert await reader.readline() == b"WHO \r\n"
        writer.write(b"STARTTLS\r\nINJECTED\r\n")
        assert await reader.readline() == b"go\r\n"
        await writer.start_tls(trusting, server_hostname="localhost")
        writer.write(b"WHO\r\n")
        assert await reader.readline() == b"WHO TLSv1.3\r\n"
        writer.close()
        server.close()

    asyncio.run(run())
