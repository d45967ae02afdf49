"""A worker's listeners: for each configured service what a new connection is made of."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from functools import partial

from gateway.config.settings import Listener
from gateway.imap import commands as imap_commands
from gateway.imap.session import Session as ImapSession
from gateway.pop3 import commands as pop3_commands
from gateway.pop3.session import Session as Pop3Session
from gateway.service.deadlines import Deadlines
from gateway.service.driver import Executor
from gateway.service.host import Host
from gateway.service.imap_executor import ImapExecutor
from gateway.service.line_connection import Core, LineConnection
from gateway.service.pop3_executor import Pop3Executor
from gateway.service.smtp_engine import SmtpEngine
from gateway.service.smtp_executor import SmtpExecutor
from gateway.service.sockets import Sockets
from gateway.service.tls import Certificates, TlsLayer
from gateway.smtp import commands as smtp_commands
from gateway.smtp.session import Client
from gateway.smtp.session import Session as SmtpSession
from gateway.smtp.settings import Role

DEAD_PEER_SECONDS = 300
SMTP_ROLES = {"mx": Role.MX, "submission": Role.SUBMISSION, "submissions": Role.SUBMISSION, "lmtp": Role.LMTP}
Factory = Callable[[], asyncio.Protocol]
# the tables are filled by their packages' import, before fork
assert imap_commands.COMMANDS and pop3_commands.COMMANDS and smtp_commands.VERBS


class Listeners:
    """The listeners of one worker; made in its event loop."""

    def __init__(self, host: Host) -> None:
        """Raises OSError when the certificate cannot be used."""
        self._host = host
        self._deadlines = Deadlines()
        files = host.settings.tls
        self._certificates = Certificates(files.cert, files.key) if files.cert else None
        if self._certificates is not None:
            self._certificates.watch()
        self._makers: dict[str, tuple[Callable[[Listener], Factory], str]] = {
            **{service: (partial(self._smtp, role), "smtp") for service, role in SMTP_ROLES.items()},
            **dict.fromkeys(("imap", "imaps"), (partial(self._lines, self._imap), "imap")),
            **dict.fromkeys(("pop3", "pop3s"), (partial(self._lines, self._pop3), "pop3")),
        }

    async def start(self, sockets: Sockets) -> list[asyncio.Server]:
        """Serve on every socket."""
        loop = asyncio.get_running_loop()
        servers = []
        for service, listener, sock in sockets:
            _notice_dead_peers(sock)
            make, alpn = self._makers[service]
            servers.append(await loop.create_server(self._secured(make(listener), listener, alpn), sock=sock))
        return servers

    def _secured(self, make: Factory, listener: Listener, alpn: str) -> Factory:
        """`make`, under TLS from the first octet or ready to be upgraded, as the listener says."""
        certificates = self._certificates
        if listener.tls == "none" or certificates is None:
            if listener.tls == "implicit":
                raise ValueError(f"port {listener.port} is implicit TLS and tls.cert is not set")
            return make
        if listener.tls == "starttls":
            return lambda: TlsLayer(make(), upgrade=lambda: certificates.context(alpn))
        return lambda: TlsLayer(make(), certificates.context(alpn))

    def _plaintext(self, listener: Listener) -> bool:
        """May a password cross this listener in the clear?"""
        allowed = self._host.settings.auth.plaintext
        return allowed == "always" or (allowed == "loopback" and listener.address.startswith(("127.", "::1")))

    def _upgradable(self, listener: Listener) -> bool:
        return listener.tls == "starttls" and self._certificates is not None

    def _smtp(self, role: Role, listener: Listener) -> Factory:
        host, settings = self._host, self._host.settings
        plaintext, upgradable = self._plaintext(listener), self._upgradable(listener)

        def session(client: Client) -> SmtpSession:
            return SmtpSession(
                role, settings.smtp, settings.hostname, client, plaintext_auth=plaintext, starttls_possible=upgradable
            )

        return SmtpEngine.prepare(
            session, lambda session: SmtpExecutor(session, host), settings.smtp.command_timeout, host.sessions
        )

    def _lines(self, make: Callable[..., tuple[Core, Executor]], listener: Listener) -> Factory:
        core = partial(make, self._plaintext(listener), self._upgradable(listener))
        return partial(LineConnection, core, self._deadlines, self._host.settings.limits, self._host.sessions)

    def _imap(
        self, plaintext: bool, upgradable: bool, address: str, tls: str, wake: Callable[[], None]
    ) -> tuple[Core, Executor]:
        settings = self._host.settings
        session = ImapSession(settings.imap, settings.hostname, address, tls, plaintext_auth=plaintext)
        return session, ImapExecutor(session, self._host)

    def _pop3(
        self, plaintext: bool, upgradable: bool, address: str, tls: str, wake: Callable[[], None]
    ) -> tuple[Core, Executor]:
        settings = self._host.settings
        session = Pop3Session(settings.pop3, settings.hostname, address, tls, plaintext, upgradable)
        return session, Pop3Executor(session, self._host)


def _notice_dead_peers(sock: socket.socket) -> None:
    """Connections of `sock` end when the peer acknowledges nothing for five minutes (inherited by accept)."""
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, DEAD_PEER_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_SECONDS * 1000)
