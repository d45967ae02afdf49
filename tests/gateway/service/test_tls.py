"""The TLS layer with real sockets and clients: implicit TLS, upgrade in place, new certificate files."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
import trustme

from gateway.service.tls import Certificates, TlsLayer, TlsOffer, version_of


class Echo(asyncio.Protocol):
    """Answers lines; STARTTLS upgrades, dropping what came with it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, TlsLayer)
        self._transport = transport
        transport.write(b"hello " + version_of(transport).split(" ")[0].encode() + b"\r\n")

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"STARTTLS\r\n"):
            self._transport.write(b"go\r\n")
            self._transport.upgrade()
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


def offer(certificates: Certificates, handshake_timeout: float = 30) -> TlsOffer:
    return TlsOffer(lambda: certificates.context("imap"), b"imap", handshake_timeout)


async def serve(make: Callable[[], asyncio.Protocol]) -> tuple[asyncio.Server, int]:
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


def test_tls_from_the_first_octet(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificates = Certificates(*files(tmp_path, authority))

    async def run() -> None:
        server, port = await serve(lambda: TlsLayer(Echo(), offer(certificates), at_once=True))
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
        server, port = await serve(lambda: TlsLayer(Echo(), offer(certificates), at_once=False))
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
        server, port = await serve(lambda: TlsLayer(Echo(), offer(certificates), at_once=True))
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


def test_a_client_that_asks_for_another_protocol_is_refused_and_one_that_asks_for_none_is_not(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificates = Certificates(*files(tmp_path, authority))

    async def run() -> None:
        server, port = await serve(lambda: TlsLayer(Echo(), offer(certificates), at_once=True))
        for names, welcome in ((["http/1.1"], False), (["h2", "imap"], True), ([], True)):
            context = ssl.create_default_context()
            authority.configure_trust(context)
            if names:
                context.set_alpn_protocols(names)
            if welcome:
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", port, ssl=context, server_hostname="localhost"
                )
                assert await reader.readline() == b"hello TLSv1.3\r\n"
                writer.close()
            else:
                with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
                    await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
        server.close()

    asyncio.run(run())


def test_a_handshake_that_takes_too_long_is_cut(tmp_path: Path) -> None:
    certificates = Certificates(*files(tmp_path, trustme.CA()))

    async def run() -> None:
        server, port = await serve(lambda: TlsLayer(Echo(), offer(certificates, 0.3), at_once=True))
        begun = asyncio.get_running_loop().time()  # the server's clock begins with the connection
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"  # the beginning of one, and then nothing
        writer.write(hello)
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 10) == b""
        assert asyncio.get_running_loop().time() - begun >= 0.29
        writer.close()
        server.close()

    asyncio.run(run())


def test_answers_behind_the_client_s_close_notify(tmp_path: Path) -> None:
    """A client may end its side of TLS and still read (RFC 8446 6.1)."""
    authority = trustme.CA()
    certificates = Certificates(*files(tmp_path, authority))

    class Slow(Echo):
        def data_received(self, data: bytes) -> None:
            asyncio.get_running_loop().call_later(0.2, self._finish, data)

        def eof_received(self) -> bool:
            return True

        def _finish(self, data: bytes) -> None:
            self._transport.write(b"late " + data)
            self._transport.close()

    def talk(port: int) -> bytes:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client(authority).wrap_bio(incoming, outgoing, server_hostname="localhost")
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:

            def until_done(step: Callable[[], object]) -> object:
                while True:
                    try:
                        return step()
                    except ssl.SSLWantReadError:
                        if outgoing.pending:
                            sock.sendall(outgoing.read())
                        incoming.write(sock.recv(65536))

            until_done(tls.do_handshake)
            assert until_done(lambda: tls.read(100)) == b"hello TLSv1.3\r\n"
            tls.write(b"last words\r\n")
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.unwrap()
            sock.sendall(outgoing.read())
            sock.shutdown(socket.SHUT_WR)
            return bytes(cast(bytes, until_done(lambda: tls.read(100))))

    async def run() -> None:
        server, port = await serve(lambda: TlsLayer(Slow(), offer(certificates), at_once=True))
        assert await asyncio.to_thread(talk, port) == b"late last words\r\n"
        server.close()

    asyncio.run(run())
