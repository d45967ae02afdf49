"""A worker process: serves its share of every listener."""

from __future__ import annotations

import asyncio
import functools
import logging
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvloop

from directory.model import Condition, Deferred
from directory.port import Directory
from directory.profile import Profile
from directory.replica import ReplicaReader
from directory.view import View
from gateway.config.settings import Listener, Settings
from gateway.filters.hops import HopCheck
from gateway.imap.commands import COMMANDS
from gateway.imap.session import Session as ImapSession
from gateway.observe.log import fields
from gateway.queue.file import QueueFolder
from gateway.queue.grace import QuotaGrace
from gateway.route.router import Router
from gateway.service.accept import Acceptance
from gateway.service.agent_client import AgentClient
from gateway.service.deadlines import Deadlines
from gateway.service.driver import Executor
from gateway.service.host import Host
from gateway.service.imap_executor import ImapExecutor
from gateway.service.line_connection import Core, LineConnection
from gateway.service.pulse import Pulse
from gateway.service.sessions import first_of
from gateway.service.smtp_engine import SmtpEngine
from gateway.service.smtp_executor import SmtpExecutor
from gateway.service.sockets import Sockets
from gateway.service.tls import Certificates, TlsLayer
from gateway.smtp.commands import VERBS
from gateway.smtp.session import Client
from gateway.smtp.session import Session as SmtpSession
from gateway.smtp.settings import Role
from gateway.store.sqlite import SqliteRepository
from gateway.store.stores import Stores

POOL_THREADS = 8
REPLICA_SECONDS = 60.0
DEAD_PEER_SECONDS = 300
SMTP_ROLES = {"mx": Role.MX, "submission": Role.SUBMISSION, "submissions": Role.SUBMISSION, "lmtp": Role.LMTP}
_log = logging.getLogger("gatepost.worker")
assert COMMANDS and VERBS  # the tables are filled by their packages' import, before fork


def _open_replica(path: Path) -> ReplicaReader:
    """The agent makes the replica; a worker started with it waits for that."""
    deadline = time.monotonic() + REPLICA_SECONDS
    while True:
        try:
            return ReplicaReader.open(path)
        except Deferred:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _is_alive(directory: Directory, entry: str) -> bool:
    """False only when the directory is sure that it has no such entry. Raises Deferred when it cannot say."""
    if directory.by_id(entry) is not None:
        return True
    if not directory.freshness().absence_is_final(time.time()):
        raise Deferred(Condition.DIRECTORY_STALE, f"is {entry} still there?")
    return False


def make_host(settings: Settings, number: int) -> Host:
    """Everything a worker's sessions share."""
    state = Path(settings.state_dir)
    queue = QueueFolder(state / "queue", settings.queue)
    grace = QuotaGrace(state / "over_quota.db", settings.queue.quota_grace)
    directory = View(_open_replica(state / "replica"), Profile.of(settings.directory), settings.defaults)
    stores = Stores(
        settings.store,
        SqliteRepository(state / "index"),
        number,
        is_alive=lambda entry: _is_alive(directory, entry),
    )
    return Host(
        settings,
        directory,
        Router(
            directory,
            settings.route,
            host_names=(settings.hostname,),
            can_relay=bool(settings.relay.smarthost),
        ),
        stores,
        AgentClient(Path(settings.run_dir) / "agent.sock", directory),
        ThreadPoolExecutor(POOL_THREADS, thread_name_prefix="files"),
        queue,
        grace,
        Acceptance(stores, queue, grace, Path(settings.run_dir) / "queue.sock"),
        (HopCheck(settings.smtp.max_hops),),
    )


def _secured(
    make: Callable[[], asyncio.Protocol], listener: Listener, certificates: Certificates | None, alpn: str
) -> Callable[[], asyncio.Protocol]:
    """`make`, under TLS from the first octet or ready to be upgraded, as the listener says. Raises ValueError without a certificate."""
    if listener.tls == "none" or (listener.tls == "starttls" and certificates is None):
        return make
    if listener.tls == "starttls" and certificates is not None:
        return lambda: TlsLayer(make(), upgrade=lambda: certificates.context(alpn))
    if certificates is None:
        raise ValueError(f"port {listener.port} is implicit TLS and tls.cert is not set")
    return lambda: TlsLayer(make(), certificates.context(alpn))


def _notice_dead_peers(sock: socket.socket) -> None:
    """Connections of `sock` end when the peer acknowledges nothing for five minutes (inherited by accept)."""
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, DEAD_PEER_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_SECONDS * 1000)


async def _listen(host: Host, sockets: Sockets) -> list[asyncio.Server]:
    loop = asyncio.get_running_loop()
    settings = host.settings
    servers = []
    deadlines = Deadlines()
    certificates = Certificates(settings.tls.cert, settings.tls.key) if settings.tls.cert else None
    if certificates is not None:
        certificates.watch()
    for service, listener, sock in sockets:
        _notice_dead_peers(sock)
        plaintext = settings.auth.plaintext == "always" or (
            settings.auth.plaintext == "loopback" and listener.address.startswith(("127.", "::1"))
        )
        possible = listener.tls == "starttls" and certificates is not None
        if service in SMTP_ROLES:
            role = SMTP_ROLES[service]

            def smtp_session(
                client: Client, role: Role = role, plaintext: bool = plaintext, possible: bool = possible
            ) -> SmtpSession:
                return SmtpSession(
                    role,
                    settings.smtp,
                    settings.hostname,
                    client,
                    plaintext_auth=plaintext,
                    starttls_possible=possible,
                )

            factory = SmtpEngine.prepare(
                smtp_session, lambda session: SmtpExecutor(session, host), settings.smtp.command_timeout, host.sessions
            )
            servers.append(await loop.create_server(_secured(factory, listener, certificates, "smtp"), sock=sock))
        elif service in ("imap", "imaps"):

            def imap(
                address: str, tls: str, wake: Callable[[], None], plaintext: bool = plaintext
            ) -> tuple[Core, Executor]:
                session = ImapSession(settings.imap, settings.hostname, address, tls, plaintext_auth=plaintext)
                return session, ImapExecutor(session, host)

            make = functools.partial(LineConnection, imap, deadlines, settings.limits, host.sessions)
            servers.append(await loop.create_server(_secured(make, listener, certificates, "imap"), sock=sock))
    return servers


def run(settings: Settings, number: int, sockets: Sockets, pulse: Pulse) -> None:
    """The process's life: serve until told to stop, or to drain because a successor serves the same sockets."""

    async def main() -> None:
        stop, drain = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signal_number, stop.set)
        host = make_host(settings, number)
        servers = await _listen(host, sockets)
        pulse.start(stop.set, drain.set, lambda: len(host.sessions))
        pulse.ready()
        _log.info("%s", fields(event="serving", listeners=len(servers)))
        await first_of(stop, drain)
        for server in servers:
            server.close()
        if not stop.is_set():
            _log.info("%s", fields(event="draining", sessions=len(host.sessions)))
            await host.sessions.ended(settings.processes.drain_timeout, stop)
        host.sessions.retire()
        await host.sessions.ended(settings.processes.stop_timeout)
        host.pool.shutdown(wait=True)
        host.stores.repository.close()

    uvloop.run(main())
