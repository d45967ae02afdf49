"""Outgoing connections over asyncio: implements `gateway.deliver.port.Stream` and `Dial`.

TLS is one layer over two memory buffers, as for listeners, so that a session can be resumed and the certificates
looked at. What is read and not yet used is bounded.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from typing import cast

from gateway.deliver.dane import matches
from gateway.deliver.port import TlsWish

LINE_LIMIT = 8192
READ_AHEAD = 64 * 1024
PIECE = 65536
SESSIONS = 1000


class ClientTls:
    """Contexts for connections to others, and sessions to resume; one for a process."""

    def __init__(self, ca_file: str = "") -> None:
        """Raises OSError when the file cannot be used."""
        self._any = _context()
        self._any.check_hostname = False
        self._any.verify_mode = ssl.CERT_NONE
        self._verified = _context()
        self._verified.load_default_certs()
        if ca_file:
            self._verified.load_verify_locations(ca_file)
        self._sessions: OrderedDict[TlsWish, ssl.SSLSession] = OrderedDict()

    def wrap(self, wish: TlsWish, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        """The client's side of a new TLS connection, resuming the last one under the same wish. Raises OSError."""
        context = self._verified if wish.verify else self._any
        # a session is resumed only under the wish that it was made under: it was checked then
        session = self._sessions.get(wish)
        try:
            return context.wrap_bio(incoming, outgoing, server_hostname=wish.name, session=session)
        except ValueError as error:  # what a stranger's MX record calls a host
            raise OSError(f"{wish.name!r} is no name for TLS: {error}") from None

    def remember(self, wish: TlsWish, tls: ssl.SSLObject) -> None:
        """Keep the session for the next connection."""
        session = tls.session
        if session is None or not session.has_ticket:
            return
        self._sessions[wish] = session
        self._sessions.move_to_end(wish)
        while len(self._sessions) > SESSIONS:
            self._sessions.popitem(last=False)

    def forget(self, wish: TlsWish) -> None:
        """A handshake failed: begin anew next time."""
        self._sessions.pop(wish, None)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


class NetworkStream(asyncio.Protocol):
    """Implements `gateway.deliver.port.Stream`. One reader or writer at a time."""

    def __init__(self, tls: ClientTls) -> None:
        self._client_tls = tls
        self._buffer = bytearray()
        self._ended = self._paused = self._blocked = False
        self._waiter: asyncio.Future[None] | None = None
        self._tls: ssl.SSLObject | None = None
        self._wish: TlsWish | None = None
        self._is_secure = False

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._tls is None:
            self._buffer += data
        else:
            self._incoming.write(data)
            if self._is_secure:
                self._decrypt()
        if len(self._buffer) > READ_AHEAD and not self._blocked:
            self._blocked = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self._ended = True
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._wake()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self, until: float) -> None:
        """Until something happens. Raises TimeoutError."""
        loop = asyncio.get_running_loop()
        self._waiter = waiter = loop.create_future()
        timer = loop.call_at(until, _expire, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _decrypt(self) -> None:
        assert self._tls is not None
        try:
            while data := self._tls.read(PIECE):
                self._buffer += data
            self._ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self._ended = True

    # the port

    @property
    def is_open(self) -> bool:
        return not self._ended and not self._transport.is_closing()

    @property
    def tls(self) -> str:
        if self._tls is None or not self._is_secure:
            return ""
        cipher = self._tls.cipher()
        return f"{self._tls.version()} {cipher[0] if cipher else ''}".strip()

    async def read_line(self, seconds: float) -> bytes:
        until = 0.0
        looked = 0
        while True:
            end = self._buffer.find(b"\n", looked)
            if end >= 0 or self._ended:
                size = end + 1 if end >= 0 else len(self._buffer)
                return self._take(size)
            looked = len(self._buffer)
            if looked > LINE_LIMIT:
                raise OSError("overlong line")
            until = until or asyncio.get_running_loop().time() + seconds
            await self._wait(until)

    def _take(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        if self._blocked and len(self._buffer) < READ_AHEAD // 2:
            self._blocked = False
            self._transport.resume_reading()
        return data

    async def read(self, size: int, seconds: float) -> bytes:
        until = asyncio.get_running_loop().time() + seconds
        while not self._buffer and not self._ended:
            await self._wait(until)
        return self._take(size)

    async def write(self, data: bytes, seconds: float) -> None:
        if self._transport.is_closing():
            raise ConnectionResetError("connection ended")
        if self._tls is None:
            self._transport.write(data)
        else:
            self._tls.write(data)
            self._transport.write(self._outgoing.read())
        if self._paused:
            until = asyncio.get_running_loop().time() + seconds
            while self._paused:
                if self._transport.is_closing():
                    raise ConnectionResetError("connection ended")
                await self._wait(until)

    async def start_tls(self, wish: TlsWish, seconds: float) -> None:
        if self._buffer:
            raise OSError("the peer sent something behind its answer to STARTTLS")
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._wish = wish
        tls = self._tls = self._client_tls.wrap(wish, self._incoming, self._outgoing)
        until = asyncio.get_running_loop().time() + seconds
        try:
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    pass
                finally:
                    if self._outgoing.pending:
                        self._transport.write(self._outgoing.read())
                if self._ended:
                    raise ConnectionResetError("connection ended within the TLS handshake")
                await self._wait(until)
            if wish.tlsa and not tls.session_reused and not matches(wish.tlsa, _chain(tls), wish.name):
                raise OSError("no TLSA record matches the certificate")
        except OSError:
            self._client_tls.forget(wish)
            raise
        self._is_secure = True
        self._decrypt()

    def close(self) -> None:
        if self._tls is not None and self._is_secure and not self._transport.is_closing():
            assert self._wish is not None
            self._client_tls.remember(self._wish, self._tls)
            try:
                self._tls.unwrap()
            except ssl.SSLError:
                pass  # the answer to close_notify is not waited for
            if self._outgoing.pending:
                self._transport.write(self._outgoing.read())
        self._transport.close()


def _expire(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError("no answer in time"))


def _chain(tls: ssl.SSLObject) -> list[bytes]:
    """The certificates that the peer sent, its own first, DER."""
    unverified = getattr(tls, "get_unverified_chain", None)  # from Python 3.13
    if unverified is not None:
        return list(unverified())
    inner = tls._sslobj.get_unverified_chain()  # type: ignore[attr-defined]
    return [each.public_bytes(ssl._ssl.ENCODING_DER) for each in inner or ()]  # type: ignore[attr-defined]


class Dialer:
    """Implements `gateway.deliver.port.Dial`."""

    def __init__(self, tls: ClientTls) -> None:
        self._tls = tls

    async def __call__(self, address: str, port: int, seconds: float, source: str = "") -> NetworkStream:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(seconds):
            _, stream = await loop.create_connection(
                lambda: NetworkStream(self._tls), address, port, local_addr=(source, 0) if source else None
            )
        return stream
