"""The TLS layer with real sockets and clients: implicit TLS, upgrade in place, new certificate files."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from gateway.service.tls import Certificates, TlsLayer, version_of


class Echo(asyncio.Protocol):
    """Answers lines; STARTTLS upgrades, dropping what came with it."""

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, TlsLayer)
        self._transport = transport
        transport.write(b"hello " + version_of(transport).split(" ")[0].encode() + b"\r\n")

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"STARTTLS\r\n"):
            self._transport.write(b"go\r\n")
            self._transport.start_tls(self._certificates.context("imap"))
        else:
            self._transport.write(data)


def files(folder: Path, authority: trustme.CA) -> tuple[str, str]:
    issued = authority.issue_cert("localhost")
    cert, key = folder / "cert.pem", folder / "key.pem"
    issued.cert_chain_pems[0].write_to_path(cert)
    issued.private_key_pem.write_to_path(key)
    return str(cert), str(key)


def client(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.set_alpn_protocols(["imap"])
    return context


async def serve(make: Callable[[], asyncio.Protocol]) -> tuple[asyncio.Server, int]:
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


def test_tls_from_the_first_octet(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificates = Certificates(*files(tmp_path, authority))

    async def run() -> None:
        server, port = await serve(lambda: TlsLayer(Echo(certificates), certificates.context("imap")))
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client(authority), server_hostname="localhost"
        )
        assert await reader.readline() == b"hello TLSv1.3\r\n"
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "imap"
        big = b"x" * 300_000
        writer.write(big)
        assert await reader.readexactly(len(big)) == big
        writer.close()
        server.close()

    asyncio.run(run())


def test_upgrade_in_place_and_bytes_in_the_clear_behind_it_never_reach_the_protocol(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificates = Certificates(*files(tmp_path, authority))

    async def run() -> None:
        server, port = await serve(lambda: TlsLayer(Echo(certificates)))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.readline() == b"hello \r\n"
        writer.write(b"STARTTLS\r\ninjected\r\n")
        assert await reader.readline() == b"go\r\n"
        await writer.start_tls(client(authority), server_hostname="localhost")
        writer.write(b"inside\r\n")
        assert await reader.readline() == b"inside\r\n"
        writer.close()
        server.close()

    asyncio.run(run())


def test_something_else_than_tls_is_closed(tmp_path: Path) -> None:
    certificates = Certificates(*files(tmp_path, trustme.CA()))

    async def run() -> None:
        server, port = await serve(lambda: TlsLayer(Echo(certificates), certificates.context("imap")))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        assert b"hello" not in await asyncio.wait_for(reader.read(), 5)
        writer.close()
        server.close()

    asyncio.run(run())


def test_a_new_certificate_is_taken_and_a_broken_one_is_not(tmp_path: Path) -> None:
    certificates = Certificates(*files(tmp_path, trustme.CA()))
    before = certificates.context("imap")
    assert not certificates.refresh()
    (tmp_path / "key.pem").write_text("broken")
    assert not certificates.refresh()
    assert certificates.context("imap") is before
    files(tmp_path, trustme.CA())
    assert certificates.refresh()
    assert certificates.context("imap") is not before


def test_a_missing_certificate_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        Certificates(str(tmp_path / "none"), str(tmp_path / "none"))
