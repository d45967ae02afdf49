"""https without a proxy in front (`web.tls: implicit`): TLS ends here, and what is inside goes to the HTTP server.

The certificate is that of section `tls`; new files are taken when they change. Bounded: connections in all and by
client, the handshake in time, octets on their way in each direction, silence.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from functools import partial

from gateway.service.admission import Networks, group_of
from gateway.service.tls import Certificates, TlsLayer, TlsOffer
from webadmin.serving import CHANNEL_SECONDS, MAX_CONNECTIONS, HttpServer

ALPN = "http/1.1"
MAX_OF_A_CLIENT = 100
FIRST_REQUEST_SECONDS = 20.0  # from the connection to its first octet of HTTP
BUFFER = 256 * 1024  # octets on their way to either side


class Door:
    """Accepts https; made in the process's event loop."""

    def __init__(
        self, server: HttpServer, certificates: Certificates, handshake_timeout: float, proxies: Networks
    ) -> None:
        self._server, self._proxies = server, proxies
        self._offer = TlsOffer(partial(certificates.context, ALPN), ALPN.encode(), handshake_timeout)
        self._open: Counter[str] = Counter()

    async def start(self, sock: socket.socket) -> asyncio.Server:
        """Serve the inherited socket."""
        return await asyncio.get_running_loop().create_server(self._make, sock=sock, backlog=1024)

    def _make(self) -> asyncio.Protocol:
        return _Counted(self)

    def enter(self, address: str) -> bool:
        """Count a connection; False when there are too many, of this client or in all."""
        client = group_of(address)
        if self._open.total() >= MAX_CONNECTIONS:
            return False
        if self._open[client] >= MAX_OF_A_CLIENT and address not in self._proxies:
            return False
        self._open[client] += 1
        return True

    def leave(self, address: str) -> None:
        """It has ended."""
        client = group_of(address)
        self._open[client] -= 1
        if not self._open[client]:
            del self._open[client]

    def secured(self) -> TlsLayer:
        """TLS, and behind it a way to the HTTP server."""
        return TlsLayer(_Relay(self._server), self._offer, at_once=True)


class _Counted(asyncio.Protocol):
    """A connection before TLS: admitted or not, and ended when it says nothing for too long."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._address = ""
        self._layer: TlsLayer | None = None
        self._silence: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        address = str(transport.get_extra_info("peername")[0])
        if not self._door.enter(address):
            transport.abort()
            return
        self._address = address
        self._layer = self._door.secured()
        self._listen(FIRST_REQUEST_SECONDS)
        self._layer.connection_made(transport)

    def _listen(self, seconds: float) -> None:
        if self._silence is not None:
            self._silence.cancel()
        self._silence = asyncio.get_running_loop().call_later(seconds, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._layer is not None:
            # the HTTP server ends connections that are silent; this one is for what it does not see
            self._listen(2 * CHANNEL_SECONDS if self._layer.get_extra_info("ssl_object") else FIRST_REQUEST_SECONDS)
            self._layer.data_received(data)

    def eof_received(self) -> bool | None:
        return self._layer.eof_received() if self._layer is not None else False

    def pause_writing(self) -> None:
        if self._layer is not None:
            self._layer.pause_writing()

    def resume_writing(self) -> None:
        if self._layer is not None:
            self._listen(2 * CHANNEL_SECONDS)  # it reads what it asked for
            self._layer.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._silence is not None:
            self._silence.cancel()
        if self._layer is not None:
            self._door.leave(self._address)
            self._layer.connection_lost(exc)


class _Relay(asyncio.Protocol):
    """The client's side inside TLS; the other side is one end of a socket pair."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._inner: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._first = b""
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.client = transport
        transport.set_write_buffer_limits(BUFFER)

    def data_received(self, data: bytes) -> None:
        if self._inner is not None:
            if not self._inner.is_closing():
                self._inner.write(data)
            return
        self._first += data  # one TLS record at most: reading is paused until the way is open
        if self._task is None:
            self.client.pause_reading()
            self._task = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        host, port = self.client.get_extra_info("peername")[:2]
        self._server.take(theirs, (str(host), int(port)))
        transport, _ = await asyncio.get_running_loop().create_connection(lambda: _Inner(self), sock=ours)
        if self.client.is_closing():
            transport.close()
            return
        self._inner = transport
        transport.set_write_buffer_limits(BUFFER)
        if self._paused:
            transport.pause_reading()
        transport.write(self._first)
        self._first = b""
        self.client.resume_reading()

    def eof_received(self) -> bool | None:
        if self._inner is not None and self._inner.can_write_eof():
            self._inner.write_eof()
            return True  # the answer may still come
        return False

    def pause_writing(self) -> None:
        self._paused = True
        if self._inner is not None:
            self._inner.pause_reading()

    def resume_writing(self) -> None:
        self._paused = False
        if self._inner is not None:
            self._inner.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._inner is not None:
            self._inner.close()


class _Inner(asyncio.Protocol):
    """Our end of the socket pair."""

    def __init__(self, relay: _Relay) -> None:
        self._client = relay.client

    def data_received(self, data: bytes) -> None:
        self._client.write(data)

    def eof_received(self) -> bool | None:
        return False

    def pause_writing(self) -> None:
        self._client.pause_reading()

    def resume_writing(self) -> None:
        self._client.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.close()
