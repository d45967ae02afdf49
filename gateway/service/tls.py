"""TLS under every protocol: one layer over two memory buffers, which is the inner protocol's transport.

A connection costs kilobytes instead of the 200 that asyncio's own layer keeps. It can begin with TLS
(RFC 8314) or be upgraded in place (RFC 3207, 9051 6.2.1, 2595 4).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from gateway.observe.log import fields
from gateway.service.client_hello import NO_APPLICATION_PROTOCOL, offered

READ = 65536
WATCH_SECONDS = 10.0
_log = logging.getLogger("gatepost.tls")


@dataclass(frozen=True, slots=True)
class TlsOffer:
    """TLS as a listener has it: the current context, the protocol's ALPN name, seconds for the handshake."""

    context: Callable[[], ssl.SSLContext]
    alpn: bytes
    handshake_timeout: float


class TlsLayer(asyncio.Protocol, asyncio.Transport):
    """The raw connection's protocol and the inner protocol's transport.

    With `at_once` the inner protocol hears of the connection when the handshake is done; without, at once, in
    the clear, until it calls `upgrade`. It finds the session under `get_extra_info("ssl_object")`, None in the
    clear. A client whose ALPN names are all of other protocols is refused.
    """

    __slots__ = (
        "_at_once",
        "_connected",
        "_ended",
        "_handshaking",
        "_hello",
        "_incoming",
        "_inner",
        "_offer",
        "_on_secure",
        "_outgoing",
        "_paused",
        "_raw",
        "_timer",
        "_tls",
    )

    def __init__(self, inner: asyncio.Protocol, offer: TlsOffer, *, at_once: bool) -> None:
        self._offer = offer
        self._at_once = at_once
        self._hello: bytes | None = None
        self._inner = inner
        self._tls: ssl.SSLObject | None = None
        self._handshaking = self._connected = self._paused = self._ended = False
        self._on_secure: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    # the raw connection's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = cast(asyncio.Transport, transport)  # uvloop has a class of its own
        if self._at_once:
            self._begin()
        else:
            self._tell_connected()

    def _tell_connected(self) -> None:
        self._connected = True
        self._inner.connection_made(self)

    def _begin(self) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = self._offer.context().wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._handshaking = True
        self._hello = b""
        self._timer = asyncio.get_running_loop().call_later(self._offer.handshake_timeout, self._raw.abort)

    def data_received(self, data: bytes) -> None:
        if self._tls is None:
            self._inner.data_received(data)
            return
        if self._hello is not None and not self._may_speak(data):
            return
        self._incoming.write(data)
        self._pump()

    def _may_speak(self, data: bytes) -> bool:
        """Look at the ALPN names of the client's first words; False when it is led astray, and closed."""
        assert self._hello is not None
        self._hello += data
        names = offered(self._hello)
        if names is None:
            return True  # OpenSSL waits for the rest too
        self._hello = None
        if not names or self._offer.alpn in names:
            return True
        client = self._raw.get_extra_info("peername")
        _log.info("%s", fields(event="tls-failed", client=client, detail="another protocol in ALPN"))
        self._raw.write(NO_APPLICATION_PROTOCOL)
        self._raw.close()
        return False

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._raw.write(self._outgoing.read())

    def _pump(self) -> None:
        """Handshake and decrypt what has arrived; stops while the inner protocol has paused reading."""
        tls = self._tls
        assert tls is not None
        try:
            if self._handshaking:
                tls.do_handshake()
                self._secure()
            while not self._paused and not self._raw.is_closing():
                data = tls.read(READ)
                if not data:
                    raise ssl.SSLZeroReturnError
                self._inner.data_received(data)
            self._flush()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLZeroReturnError:
            self._flush()
            if not self.eof_received():
                self.close()
        except ssl.SSLError as error:
            _log.info(
                "%s", fields(event="tls-failed", client=self._raw.get_extra_info("peername"), detail=error.reason)
            )
            self._flush()  # the alert
            self._raw.close()

    def _secure(self) -> None:
        self._handshaking = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._flush()
        if self._on_secure is not None:
            self._on_secure()
            self._on_secure = None
        if not self._connected:
            self._tell_connected()

    def eof_received(self) -> bool | None:
        """The peer sends no more; the inner protocol may still answer, then closes itself."""
        if self._ended:
            return True
        self._ended = True
        return self._inner.eof_received() if self._connected and not self._handshaking else False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._on_secure = None
        if self._connected:
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._connected:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._connected:
            self._inner.resume_writing()

    # the inner protocol's side

    def upgrade(self, on_secure: Callable[[], None] | None = None) -> None:
        """Everything from here on is TLS. The caller drops what it had received and not yet used.

        Raises RuntimeError when it is TLS already.
        """
        if self._tls is not None:
            raise RuntimeError("this connection is under TLS")
        self._on_secure = on_secure
        self._begin()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._tls is None:
            self._raw.write(data)
        elif not self._handshaking and data and not self._raw.is_closing():
            try:
                self._tls.write(data)
            except ssl.SSLError:  # the peer has ended the session
                self._raw.close()
                return
            self._flush()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        """Say close_notify (RFC 8446 6.1), send what is buffered, close."""
        if self._tls is not None and not self._handshaking and not self._raw.is_closing():
            try:
                self._tls.unwrap()
            except ssl.SSLError:
                pass  # the answer to close_notify is not waited for
            self._flush()
        self._raw.close()

    def abort(self) -> None:
        self._raw.abort()

    def is_closing(self) -> bool:
        return self._raw.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "ssl_object":
            return self._tls if self._tls is not None and not self._handshaking else default
        return self._raw.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._paused = True
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        if self._paused:
            self._paused = False
            if self._tls is not None:  # not from within the caller's own data_received
                asyncio.get_running_loop().call_soon(self._pump)
            self._raw.resume_reading()

    def is_reading(self) -> bool:
        return not self._paused

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._inner = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._inner

    def can_write_eof(self) -> bool:
        return False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._raw.get_write_buffer_size()


def version_of(transport: asyncio.BaseTransport) -> str:
    """ "TLSv1.3 TLS_AES_256_GCM_SHA384" for a connection under TLS, "" in the clear."""
    tls = transport.get_extra_info("ssl_object")
    if tls is None:
        return ""
    cipher = tls.cipher()
    return f"{tls.version()} {cipher[0] if cipher else ''}".strip()


class Certificates:
    """The contexts of one process, for one certificate chain and key (PEM); new files are taken when they change."""

    def __init__(self, cert: str, key: str) -> None:
        """Raises OSError, ssl.SSLError (an OSError too) when the files cannot be used."""
        self._cert, self._key = cert, key
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._seen = self._stamp()
        self._make("")

    def _stamp(self) -> tuple[tuple[int, int], ...]:
        facts = (Path(name).stat() for name in (self._cert, self._key))
        return tuple((each.st_mtime_ns, each.st_ino) for each in facts)

    def _make(self, alpn: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        if alpn:
            context.set_alpn_protocols([alpn])
        context.load_cert_chain(self._cert, self._key)
        return context

    def context(self, alpn: str) -> ssl.SSLContext:
        """The current context for a protocol's ALPN name (RFC 7301): imap, pop3, smtp or ""."""
        if alpn not in self._contexts:
            self._contexts[alpn] = self._make(alpn)
        return self._contexts[alpn]

    def refresh(self) -> bool:
        """Take changed files; a pair that does not fit is left aside and the old one stays. True when taken."""
        try:
            stamp = self._stamp()
            if stamp == self._seen:
                return False
            fresh = {alpn: self._make(alpn) for alpn in self._contexts}
        except OSError as error:
            _log.error("%s", fields(event="certificate-refused", file=self._cert, detail=error))
            return False
        self._seen = stamp
        self._contexts = fresh
        _log.info("%s", fields(event="certificate-loaded", file=self._cert))
        return True

    def watch(self) -> None:
        """Look at the files every ten seconds, in the running loop."""
        self.refresh()
        asyncio.get_running_loop().call_later(WATCH_SECONDS, self.watch)
