"""The listening sockets of a host: opened by the master, kept for its life, served by whoever is its worker.

Each listener has one SO_REUSEPORT socket a worker, or one that all share where systemd passed it or it is a
unix socket. A reload keeps every socket whose address stays, so no connection in a backlog is lost.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterable
from typing import TypeAlias

from gateway.config.settings import WEB, Listener, Settings

BACKLOG = 1024

#: what one worker serves
Sockets: TypeAlias = list[tuple[str, Listener, socket.socket]]
#: address and port, or a path and 0
Place: TypeAlias = tuple[str, int]


class PortTaken(Exception):
    """A port cannot be opened; the message names service, address and port."""


def _place(listener: Listener) -> Place:
    return (listener.path, 0) if listener.path else (listener.address, listener.port or 0)


def open_unix(listener: Listener) -> socket.socket:
    """A unix socket with its mode; a file that a killed process left is replaced. Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                probe.connect(listener.path)
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        except ConnectionRefusedError:
            if not stat.S_ISSOCK(os.lstat(listener.path).st_mode):
                raise
            os.unlink(listener.path)
        except FileNotFoundError:
            pass
        before = os.umask(0o177)  # nobody connects before the mode is set
        try:
            sock.bind(listener.path)
        finally:
            os.umask(before)
        os.chmod(listener.path, int(listener.mode, 8))
        sock.setblocking(False)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _family(listener: Listener) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in listener.address else socket.AF_INET


def _check_free(listener: Listener) -> None:
    """SO_REUSEPORT lets a second Gatepost share a port silently: bind once without it."""
    with socket.socket(_family(listener), socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if probe.family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind((listener.address, listener.port))


def _open(listener: Listener) -> socket.socket:
    sock = socket.socket(_family(listener), socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((listener.address, listener.port))
        sock.setblocking(False)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


class Listening:
    """All listening sockets of this host."""

    def __init__(self, passed: Iterable[tuple[str, socket.socket]] = ()) -> None:
        self._passed = list(passed)
        self._open: dict[Place, list[socket.socket]] = {}

    def _from_systemd(self, service: str, listener: Listener) -> socket.socket | None:
        for name, sock in self._passed:
            own = sock.getsockname()
            if listener.path:
                if own == listener.path:
                    return sock
                continue
            if isinstance(own, tuple) and own[1] == listener.port and name in (service, "", "unknown"):
                return sock
            if isinstance(own, tuple) and tuple(own[:2]) == (listener.address, listener.port):
                return sock
        return None

    def open(self, settings: Settings) -> None:
        """Open what `settings` names and is not open yet; nothing is left half opened. Raises PortTaken."""
        fresh: list[tuple[Place, socket.socket]] = []
        for service, listeners in settings.listeners().items():
            for listener in listeners:
                place = _place(listener)
                have = self._open.get(place, [])
                passed = self._from_systemd(service, listener)
                if passed is not None:
                    if not have:
                        fresh.append((place, passed))
                    continue
                try:
                    if listener.path:
                        fresh.extend((place, open_unix(listener)) for _ in range(1 - len(have)))
                        continue
                    if not have:
                        _check_free(listener)
                    wanted = 1 if service == WEB else settings.workers
                    fresh.extend((place, _open(listener)) for _ in range(wanted - len(have)))
                except OSError as error:
                    for _, sock in fresh:
                        if all(sock is not given for _, given in self._passed):
                            sock.close()
                    where = listener.path or f"{listener.address}:{listener.port}"
                    raise PortTaken(f"{service}: {where}: {error.strerror}") from error
        for place, sock in fresh:
            self._open.setdefault(place, []).append(sock)

    def shares(self, settings: Settings) -> list[Sockets]:
        """What each worker serves; every open socket of a listener is served by at least one."""
        shares: list[Sockets] = [[] for _ in range(settings.workers)]
        for service, listeners in settings.listeners().items():
            for listener in listeners if service != WEB else ():
                sockets = self._open[_place(listener)]
                for number in range(max(len(sockets), settings.workers)):
                    # fewer workers than sockets: some serve two; fewer sockets (systemd's): some share one
                    share = shares[number % settings.workers]
                    share.append((service, listener, sockets[number % len(sockets)]))
        return shares

    def of_web(self, settings: Settings) -> Sockets:
        """What the web front end serves."""
        return [
            (WEB, listener, sock)
            for listener in settings.listeners().get(WEB, ())
            for sock in self._open[_place(listener)]
        ]

    def close_unused(self, settings: Settings) -> None:
        """Close the sockets of listeners that are gone from `settings`."""
        wanted = {_place(each) for listeners in settings.listeners().values() for each in listeners}
        for place in [place for place in self._open if place not in wanted]:
            self._close(place)

    def close(self) -> None:
        """Close all of them; the service ends."""
        for place in list(self._open):
            self._close(place)

    def _close(self, place: Place) -> None:
        for sock in self._open.pop(place):
            given = any(sock is each for _, each in self._passed)
            if sock.family == socket.AF_UNIX and not given:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(place[0])
            sock.close()

    def close_in_child(self, keep: Sockets) -> None:
        """In a child: close every socket that it does not serve."""
        kept = {id(sock) for _, _, sock in keep}
        for sockets in (*self._open.values(), [sock for _, sock in self._passed]):
            for sock in sockets:
                if id(sock) not in kept and sock.fileno() >= 0:
                    sock.close()
