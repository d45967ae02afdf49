"""Connections to the directory servers: order of servers, time limits, verified TLS, the service bind.

Every connection is opened here, so the settings that experience demands hold everywhere: no schema
read, no alias dereference (slapd refuses syncrepl with it), referrals never chased, both time limits.
"""

from __future__ import annotations

import contextlib
import math
import socket
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

import ldap3
from ldap3.core.exceptions import LDAPException

from directory.model import Condition, Deferred
from directory.settings import DirectorySettings
from directory.tls import HELP, VerifiedTls, tls_context

#: a server that did not answer is tried last for so long
AVOID_SECONDS = 60.0


#: how long a receiving thread may take to see the end of its connection
RECEIVER_SECONDS = 10.0
#: what keeps a socket's descriptor until its connection is closed here, however often ldap3 closes the socket:
#: OpenSSL reads and writes by number, and a thread of ldap3 that is in it would go on in whatever has the number next
_descriptors: weakref.WeakKeyDictionary[ldap3.Connection, IO[bytes]] = weakref.WeakKeyDictionary()


def close(connection: ldap3.Connection | None) -> None:
    """Close a connection in whatever state it is. No thread of it touches the descriptor afterwards."""
    if connection is None:
        return
    sock = connection.socket
    receiver = getattr(connection.strategy, "receiver", None)
    if receiver is not None and receiver.is_alive() and receiver is not threading.current_thread():
        if isinstance(sock, socket.socket):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # it reads the end, under TLS too, and ends
        receiver.join(RECEIVER_SECONDS)
        if receiver.is_alive():
            return  # the descriptor goes with the thread
    try:
        connection.unbind()
    except (LDAPException, OSError):
        pass
    if isinstance(sock, socket.socket):
        sock.close()  # ldap3 forgets it when the other end is gone already
    held = _descriptors.pop(connection, None)
    if held is not None:
        held.close()


def _keep_alive(connection: ldap3.Connection) -> None:
    """A peer that vanished without a word is noticed by the kernel within ten seconds."""
    sock = connection.socket
    if isinstance(sock, socket.socket) and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in ((socket.TCP_KEEPIDLE, 4), (socket.TCP_KEEPINTVL, 2), (socket.TCP_KEEPCNT, 2)):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


class Servers:
    """Opens connections to the first server that answers. Thread-safe."""

    def __init__(self, settings: DirectorySettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._avoid: dict[str, float] = {}
        self._urls: weakref.WeakKeyDictionary[ldap3.Connection, str] = weakref.WeakKeyDictionary()

    @property
    def op_seconds(self) -> float:
        """How long an answer may take."""
        return self._settings.timeout.op

    def url_of(self, connection: ldap3.Connection) -> str:
        """The server that a connection made here goes to."""
        return self._urls.get(connection, "")

    def _order(self) -> list[str]:
        now = self._clock()
        return sorted(self._settings.servers, key=lambda url: self._avoid.get(url, 0.0) > now)

    def avoid(self, url: str) -> None:
        """Try this server last for a while: it answers, but not well."""
        self._avoid[url] = self._clock() + AVOID_SECONDS

    def should_return(self, url: str) -> bool:
        """True when `url` is not the preferred server and the preferred one answers again."""
        first = self._settings.servers[0]
        if url == first or self._avoid.get(first, 0.0) > self._clock():
            return False
        try:
            close(self.open(url=first, timeout=self._settings.timeout.connect))
        except Deferred:
            return False
        return True

    def _server(self, url: str) -> ldap3.Server:
        parts = urlsplit(url)
        timeout = self._settings.timeout.connect
        if parts.scheme == "ldapi":
            return ldap3.Server(f"ldapi://{unquote(parts.netloc)}", get_info=ldap3.NONE, connect_timeout=timeout)
        starttls = parts.scheme == "ldap" and self._settings.tls.starttls
        secure = parts.scheme == "ldaps" or starttls
        return ldap3.Server(
            parts.hostname or "127.0.0.1",
            parts.port or (636 if parts.scheme == "ldaps" else 389),
            use_ssl=secure,
            tls=VerifiedTls(tls_context(self._settings.tls), starttls=starttls) if secure else None,
            get_info=ldap3.NONE,
            connect_timeout=timeout,
        )

    def service_password(self) -> str:
        """The password of the service bind, read anew so that a rotated file counts at once."""
        path = self._settings.bind.password_file
        if not path:
            return ""
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\n")
        except OSError as error:
            raise Deferred(Condition.DIRECTORY_UNAVAILABLE, f"directory.bind.password_file: {error}") from error

    def open(
        self,
        strategy: str = ldap3.SAFE_SYNC,
        *,
        user: str | None = None,
        password: str | None = None,
        bind: bool = True,
        patient: bool = False,
        timeout: float | None = None,
        url: str = "",
    ) -> ldap3.Connection:
        """A connection to the first server that answers, bound as the service account unless told otherwise.

        `patient`: no time limit on answers, for a search that never ends; `timeout`: another limit than
        `directory.timeout.op`; `url`: this server and no other.

        Raises Deferred when no server answers or the service bind is refused.
        """
        options: dict[str, Any] = {}
        if self._settings.bind.sasl_external and user is None:
            options = {"authentication": ldap3.SASL, "sasl_mechanism": ldap3.EXTERNAL, "sasl_credentials": ""}
        else:
            options = {
                "user": user if user is not None else self._settings.bind.dn,
                "password": password if password is not None else self.service_password(),
            }
        reasons = []
        wanted = [url] if url else self._order()
        limit = timeout if timeout is not None else self._settings.timeout.op
        for candidate in wanted:
            connection = None
            try:
                connection = ldap3.Connection(
                    self._server(candidate),
                    client_strategy=strategy,  # type: ignore[arg-type]
                    auto_referrals=False,
                    check_names=False,
                    raise_exceptions=False,
                    receive_timeout=None if patient else math.ceil(limit),
                    return_empty_attributes=False,
                    **options,
                )
                connection.open()
                _descriptors[connection] = connection.socket.makefile("rb", buffering=0)
                if patient:
                    # ldap3 leaves its connect time limit on the socket: a quiet search would end by it
                    connection.socket.settimeout(None)
                if bind:
                    connection.bind()
                    if not connection.bound:
                        result = connection.result or {}
                        reasons.append(
                            f"{candidate}: bind as {options.get('user', 'EXTERNAL')}: {result.get('description', 'refused')}"
                        )
                        close(connection)
                        self._avoid[candidate] = self._clock() + AVOID_SECONDS
                        continue
            except (LDAPException, OSError) as error:
                close(connection)
                help_text = f"; {HELP}" if "CERTIFICATE_VERIFY_FAILED" in str(error) else ""
                reasons.append(f"{candidate}: {error}{help_text}")
                self._avoid[candidate] = self._clock() + AVOID_SECONDS
                continue
            self._avoid.pop(candidate, None)
            self._urls[connection] = candidate
            if patient:
                _keep_alive(connection)
            return connection
        raise Deferred(Condition.DIRECTORY_UNAVAILABLE, "; ".join(reasons) or "directory.servers is empty")
