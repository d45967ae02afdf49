"""What every connection begins as: from whom it comes (PROXY), whether it may stay, then the service's protocol.

A PROXY header is taken from the addresses in `proxy_from` only, must be there, and comes before TLS and
before the greeting; without `proxy_from` its octets are what they are for the protocol: nonsense.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

from directory.model import Condition
from gateway.control.server import peer_uid
from gateway.observe import maillog, metrics
from gateway.observe.log import fields
from gateway.service import proxy
from gateway.service.admission import Admission, Networks
from gateway.service.counts import Places

_log = logging.getLogger("gatepost.connections")


class Speaker(Protocol):
    """The session at the inner end, which knows how to say something in its protocol."""

    def cut(self, last_words: bytes) -> bool:
        """Say it and close, at once; False when something is under way that must not be cut off."""
        ...


@dataclass(frozen=True, slots=True)
class Door:
    """A listener, for its connections."""

    service: str
    admission: Admission
    #: makes the protocol of an admitted connection
    make: Callable[[Connection], asyncio.Protocol]
    #: what a client is told that may not stay
    refusal: Callable[[Condition], bytes]
    #: nothing can be said before the handshake
    implicit_tls: bool
    #: who may connect to a unix socket; each of its connections begins with a PROXY header. None = everybody, and none does
    forwarders: frozenset[int] | None
    proxies: Networks
    proxy_timeout: float


class Connection(asyncio.Protocol):
    """One connection. `address` is the client's, "local" for a unix socket."""

    __slots__ = (
        "_door",
        "_header",
        "_inner",
        "_timer",
        "_transport",
        "account",
        "address",
        "places",
        "port",
        "speaker",
    )

    def __init__(self, door: Door) -> None:
        self._door = door
        self._inner: asyncio.Protocol | None = None
        self._header = b""
        self._timer: asyncio.TimerHandle | None = None
        self.places: Places | None = None
        self.address, self.port = "local", 0
        self.account = ""
        #: set by the session when it begins
        self.speaker: Speaker | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop has a class of its own
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple) and peer:
            self.address, self.port = str(peer[0]), int(peer[1])
        door = self._door
        if door.forwarders is not None and self.peer_uid() not in door.forwarders:
            _log.warning("%s", fields(event="not-the-web-front-end", service=door.service, uid=self.peer_uid()))
            self._transport.abort()
        elif door.forwarders is not None or (door.proxies and self.address in door.proxies):
            self._timer = asyncio.get_running_loop().call_later(door.proxy_timeout, self._transport.abort)
        else:
            self._enter()

    def _enter(self) -> None:
        door = self._door
        condition = door.admission.enter(self)
        if condition is not None:
            metrics.count(metrics.NOT_ADMITTED, door.service, condition.name.lower())
            if not door.implicit_tls:
                self._transport.write(door.refusal(condition))
            self._transport.close()
            return
        try:
            self._inner = door.make(self)
        except BaseException:
            door.admission.leave(self)
            self._transport.abort()
            raise
        metrics.count(metrics.CONNECTIONS, door.service)
        self._inner.connection_made(self._transport)

    def _read_header(self, data: bytes) -> None:
        self._header += data
        try:
            header = proxy.parse(self._header)
        except proxy.Malformed as error:
            _log.warning("%s", fields(event="proxy-header-refused", client=self.address, detail=error))
            self._transport.abort()
            return
        if header is None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        rest, self._header = self._header[header.size :], b""
        if header.address:
            self.address, self.port = header.address, header.port
        self._enter()
        if rest and self._inner is not None:
            self._inner.data_received(rest)

    def data_received(self, data: bytes) -> None:
        if self._inner is not None:
            self._door.admission.seen(self)
            self._inner.data_received(data)
        elif self._timer is not None:
            self._read_header(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._inner is not None else False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._inner is not None:
            self._door.admission.leave(self)
            self._inner.connection_lost(exc)
        self.speaker = None

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.resume_writing()

    def peer_uid(self) -> int:
        """The uid at the other end of a unix socket, from the kernel."""
        return peer_uid(self._transport)

    def log_in(self, account: str) -> None:
        """The session has proven who it is. Raises Deferred(TOO_MANY_CONNECTIONS)."""
        self._door.admission.log_in(self, account)

    def log_out(self) -> None:
        """The session is nobody's again and may prove anew who it is."""
        self._door.admission.log_out(self)

    @property
    def is_near(self) -> bool:
        """True when it came through the web front end, so that a session token is good for it wherever the client sits."""
        return self._door.forwarders is not None

    @property
    def is_busy(self) -> bool:
        """True when the host has nearly as many sessions without a login as it may."""
        return self._door.admission.is_busy

    def last_words(self, condition: Condition) -> bytes:
        """What is said in the service's protocol when a session is ended for this."""
        return self._door.refusal(condition)

    def log_cut(self, reason: str) -> None:
        """Note why the session was ended, for whoever asks."""
        maillog.cut(client=self.address, service=self._door.service, reason=reason)

    def evict(self) -> bool:
        """Its account may not be here any more; False when it is in the middle of something."""
        if self._transport.is_closing() or self.speaker is None:
            return False
        if not self.speaker.cut(self.last_words(Condition.AUTHENTICATION_FAILED)):
            return False
        self.log_cut("its account may not log in any more")
        return True

    def shed(self) -> bool:
        """Others need the place."""
        if self._transport.is_closing():
            return True
        if self.speaker is None:
            self._transport.abort()  # in its handshake
            return True
        if not self.speaker.cut(self.last_words(Condition.OVERLOADED)):
            return False
        self.log_cut("others need its place")
        return True
