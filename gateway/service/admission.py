"""Who may connect: connections of one address, sessions without a login. One for each worker process."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from functools import lru_cache

LOOPBACK = ("127.0.0.0/8", "::1/128")


class Admission:
    """Counts open connections. Counts are of one process: with several workers each has its own."""

    def __init__(self, per_address: int, unauthenticated: int, exempt: Iterable[str] = LOOPBACK) -> None:
        self._per_address = per_address
        self._unauthenticated = unauthenticated
        networks = [ipaddress.ip_network(network, strict=False) for network in exempt]
        self._open: dict[str, int] = {}
        #: sessions without a login, the one that was idle longest first
        self._idle: dict[object, Callable[[], None]] = {}

        @lru_cache(maxsize=4096)
        def group(address: str) -> str | None:
            """What is counted together; None = not counted."""
            try:
                ip = ipaddress.ip_address(address.partition("%")[0])
            except ValueError:
                return None  # a unix socket
            if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
                ip = ip.ipv4_mapped
            if any(ip.version == network.version and ip in network for network in networks):
                return None
            return str(ip) if ip.version == 4 else str(ipaddress.ip_network((ip, 64), strict=False))

        self._group = group

    def enter(self, address: str, session: object, shed: Callable[[], None]) -> bool:
        """Admit a connection; False when its address has too many. `shed` ends it when others need its place."""
        group = self._group(address)
        if group is not None:
            count = self._open.get(group, 0)
            if count >= self._per_address:
                return False
            self._open[group] = count + 1
        if len(self._idle) >= self._unauthenticated:
            oldest = next(iter(self._idle))
            self._idle.pop(oldest)()
        self._idle[session] = shed
        return True

    def seen(self, session: object, *, logged_in: bool) -> None:
        """The session did something: it is the last to be shed, or after a login never."""
        shed = self._idle.pop(session, None)
        if shed is not None and not logged_in:
            self._idle[session] = shed

    def leave(self, address: str, session: object) -> None:
        """A connection that was admitted has ended."""
        self._idle.pop(session, None)
        group = self._group(address)
        if group is not None:
            count = self._open.get(group, 1) - 1
            if count:
                self._open[group] = count
            else:
                self._open.pop(group, None)
