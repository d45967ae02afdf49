"""A worker's listeners: for each configured service what a new connection is made of."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from directory.model import Condition
from gateway.config.settings import WEB_IMAP, WEB_SUBMISSION, Listener
from gateway.imap import commands as imap_commands
from gateway.imap.session import Session as ImapSession
from gateway.pop3 import commands as pop3_commands
from gateway.pop3.session import Session as Pop3Session
from gateway.service.admission import Admission, Networks, is_loopback
from gateway.service.connection import Connection, Door
from gateway.service.counts import SharedCounts
from gateway.service.deadlines import Deadlines
from gateway.service.driver import Executor
from gateway.service.host import Host
from gateway.service.identity import resolve
from gateway.service.imap_executor import ImapExecutor
from gateway.service.line_connection import Core, LineConnection
from gateway.service.metrics import MetricsConnection
from gateway.service.pop3_executor import Pop3Executor
from gateway.service.smtp_engine import SmtpEngine
from gateway.service.smtp_executor import SmtpExecutor
from gateway.service.sockets import Sockets
from gateway.service.tls import Certificates, TlsLayer, TlsOffer
from gateway.smtp import commands as smtp_commands
from gateway.smtp.reply import condition_reply
from gateway.smtp.session import Client
from gateway.smtp.session import Session as SmtpSession
from gateway.smtp.settings import Role

DEAD_PEER_SECONDS = 300
RESERVED_DESCRIPTORS = 256  # for the index, messages, sockets to agent and queue
SMTP_ROLES = {
    "mx": Role.MX,
    "submission": Role.SUBMISSION,
    "submissions": Role.SUBMISSION,
    "lmtp": Role.LMTP,
    "local": Role.LOCAL,
    WEB_SUBMISSION: Role.SUBMISSION,
}
Factory = Callable[[Connection], asyncio.Protocol]
# the tables are filled by their packages' import, before fork
assert imap_commands.COMMANDS and pop3_commands.COMMANDS and smtp_commands.VERBS


class Listeners:
    """The listeners of one worker; made in its event loop."""

    def __init__(self, host: Host) -> None:
        """Raises OSError when the certificate cannot be used."""
        settings = host.settings
        self._host = host
        self._deadlines = Deadlines()
        counts = SharedCounts(Path(settings.run_dir) / "connections", max(8, 4 * settings.workers))
        self.admission = Admission(settings.limits, settings.workers, counts, _room_for_connections())
        web = resolve(settings.run_as.web).uid if settings.run_as.web else os.getuid()
        self._forwarders = frozenset({0, os.getuid(), web})
        self._certificates = Certificates(settings.tls.cert, settings.tls.key) if settings.tls.cert else None
        if self._certificates is not None:
            self._certificates.watch()

    async def start(self, sockets: Sockets) -> list[asyncio.Server]:
        """Serve on every socket."""
        loop = asyncio.get_running_loop()
        servers = []
        for service, listener, sock in sockets:
            _notice_dead_peers(sock)
            if service == "metrics":
                servers.append(await loop.create_server(partial(MetricsConnection, self._host), sock=sock))
                continue
            door = self._door(service, listener)
            servers.append(await loop.create_server(partial(Connection, door), sock=sock))
        return servers

    def _door(self, service: str, listener: Listener) -> Door:
        role = SMTP_ROLES.get(service)
        refusal: Callable[[Condition], bytes]
        if role is not None:
            name, make, refusal = "smtp", self._smtp(role, listener), condition_reply
        elif service in ("imap", "imaps", WEB_IMAP):
            name, make, refusal = "imap", self._lines(self._imap, listener), _imap_refusal
        else:
            name, make, refusal = "pop3", self._lines(self._pop3, listener), _pop3_refusal
        return Door(
            service,
            self.admission,
            self._secured(make, listener, name),
            refusal,
            listener.tls == "implicit",
            self._forwarders if service in (WEB_IMAP, WEB_SUBMISSION) else None,
            Networks(listener.proxy_from),
            self._host.settings.limits.proxy_timeout,
        )

    def _secured(self, make: Factory, listener: Listener, alpn: str) -> Factory:
        """`make`, under TLS from the first octet or ready to be upgraded, as the listener says."""
        certificates = self._certificates
        if listener.path or listener.tls == "none" or certificates is None:
            if listener.tls == "implicit":
                raise ValueError(f"port {listener.port} is implicit TLS and tls.cert is not set")
            return make
        offer = TlsOffer(
            partial(certificates.context, alpn), alpn.encode(), self._host.settings.limits.handshake_timeout
        )
        at_once = listener.tls == "implicit"
        return lambda connection: TlsLayer(make(connection), offer, at_once=at_once)

    def _plaintext(self, connection: Connection) -> bool:
        """May this client send a password in the clear?"""
        allowed = self._host.settings.auth.plaintext
        return connection.is_near or allowed == "always" or (allowed == "loopback" and is_loopback(connection.address))

    def _upgradable(self, listener: Listener) -> bool:
        return listener.tls == "starttls" and not listener.path and self._certificates is not None

    def _smtp(self, role: Role, listener: Listener) -> Factory:
        host, settings, upgradable = self._host, self._host.settings, self._upgradable(listener)
        deadlines = self._deadlines

        origin = settings.route.origin or settings.hostname

        def make(connection: Connection, tls: str, wake: Callable[[], None]) -> tuple[SmtpSession, Executor]:
            session = SmtpSession(
                role,
                settings.smtp,
                settings.hostname,
                Client(connection.address, connection.port, tls),
                plaintext_auth=self._plaintext(connection),
                starttls_possible=upgradable,
                began=time.time(),
            )
            if role is Role.LOCAL:
                session.origin, session.client.uid = origin, connection.peer_uid()
            return session, SmtpExecutor(session, host, connection)

        return lambda connection: SmtpEngine(make, settings.smtp, connection, deadlines, settings.limits, host.sessions)

    def _lines(self, make: Callable[..., tuple[Core, Executor]], listener: Listener) -> Factory:
        limits, sessions, deadlines = self._host.settings.limits, self._host.sessions, self._deadlines
        prepared = partial(make, self._upgradable(listener))
        return lambda connection: LineConnection(prepared, connection, deadlines, limits, sessions)

    def _imap(
        self, upgradable: bool, connection: Connection, tls: str, wake: Callable[[], None]
    ) -> tuple[Core, Executor]:
        settings, address = self._host.settings, connection.address
        session = ImapSession(settings.imap, settings.hostname, address, tls, self._plaintext(connection), upgradable)
        return session, ImapExecutor(session, self._host, connection, wake)

    def _pop3(
        self, upgradable: bool, connection: Connection, tls: str, wake: Callable[[], None]
    ) -> tuple[Core, Executor]:
        settings, address = self._host.settings, connection.address
        session = Pop3Session(settings.pop3, settings.hostname, address, tls, self._plaintext(connection), upgradable)
        return session, Pop3Executor(session, self._host, connection)


def _room_for_connections() -> int:
    """How many connections this process has descriptors for, beside its files; the system's limit is used up to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(16, hard - RESERVED_DESCRIPTORS) if hard != resource.RLIM_INFINITY else 1_000_000


def _imap_refusal(condition: Condition) -> bytes:
    return f"* BYE [UNAVAILABLE] {condition.text}\r\n".encode()


def _pop3_refusal(condition: Condition) -> bytes:
    return f"-ERR [SYS/TEMP] {condition.text}\r\n".encode()


def _notice_dead_peers(sock: socket.socket) -> None:
    """Connections of `sock` end when the peer acknowledges nothing for five minutes (inherited by accept)."""
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, DEAD_PEER_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_SECONDS * 1000)
