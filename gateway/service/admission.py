"""Who may connect: connections of one address, sessions without a login, sessions of one account.

Before the login a connection counts for its address (IPv6: its /64), after it for account and address
together, on all workers of the host. Networks in `limits.exempt_networks` are not counted. Of sessions
without a login a worker keeps its share of the host's limit and ends those that were silent longest.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from collections import OrderedDict
from functools import lru_cache
from itertools import islice
from typing import Protocol

from directory.model import Condition, Deferred
from gateway.observe.log import fields
from gateway.service.counts import Places, SharedCounts
from gateway.service.settings import LimitSettings

TOLD_SECONDS = 60.0  # one line of the log for an address in this time
_MAX_TOLD = 4096
_MAX_TRIED = 16  # busy sessions passed over in the search for one to end
_log = logging.getLogger("gatepost.connections")


class Admitted(Protocol):
    """A connection. `places` is what it counts for, `account` who logged in there, the registry's own."""

    address: str
    places: Places | None
    account: str

    def evict(self) -> bool:
        """End, since the account may not be here any more; False when it is in the middle of something."""
        ...

    def shed(self) -> bool:
        """End, since others need the place; False when it is busy."""
        ...

    def __hash__(self) -> int: ...


class Admission:
    """One a worker; used in its event loop only."""

    def __init__(
        self, limits: LimitSettings, workers: int, counts: SharedCounts, most_connections: int = 1_000_000
    ) -> None:
        """`most_connections` is what this process has descriptors for."""
        self._limits = limits
        self._most = most_connections
        self._open = 0
        self._counts = counts
        self._share = max(1, limits.unauthenticated_connections // workers)
        #: connections without a login, the one that was silent longest first
        self._waiting: OrderedDict[Admitted, None] = OrderedDict()
        self._logged_in: dict[str, set[Admitted]] = {}
        self._told: dict[str, float] = {}
        exempt = [ipaddress.ip_network(network, strict=False) for network in limits.exempt_networks]

        @lru_cache(maxsize=8192)
        def places(address: str) -> Places | None:
            ip = _ip(address)
            if ip is None or any(ip.version == network.version and ip in network for network in exempt):
                return None
            return counts.places(group_of(address))

        self._places = places

    def enter(self, connection: Admitted) -> Condition | None:
        """Count a new connection; why it may not stay, or None."""
        places = self._places(connection.address)
        if places is not None and self._counts.total(places) >= self._limits.connections_per_address:
            self._tell(connection.address)
            return Condition.TOO_MANY_CONNECTIONS
        if self._open >= self._most:
            return Condition.OVERLOADED
        if len(self._waiting) >= self._share and not self._shed_one():
            return Condition.OVERLOADED
        self._open += 1
        connection.places = places
        if places is not None:
            self._counts.add(places, 1)
        self._waiting[connection] = None
        return None

    @property
    def is_busy(self) -> bool:
        """True when four fifths of this worker's share have not logged in."""
        return 5 * len(self._waiting) > 4 * self._share

    def _shed_one(self) -> bool:
        for connection in list(islice(self._waiting, _MAX_TRIED)):
            if connection.shed():
                self._waiting.pop(connection, None)
                return True
        return False

    def seen(self, connection: Admitted) -> None:
        """It said something: it is the last one to be ended now."""
        if connection in self._waiting:
            self._waiting.move_to_end(connection)

    def log_in(self, connection: Admitted, account: str) -> None:
        """Count it for its account. Raises Deferred(TOO_MANY_CONNECTIONS)."""
        address = self._places(connection.address)
        if address is not None:
            places = self._counts.places(f"{account} {group_of(connection.address)}")
            if self._counts.total(places) >= self._limits.connections_per_account:
                raise Deferred(
                    Condition.TOO_MANY_CONNECTIONS, f"{account}: limits.connections_per_account from one address"
                )
            self._uncount(connection)
            connection.places = places
            self._counts.add(places, 1)
        self._waiting.pop(connection, None)
        self._forget(connection)
        connection.account = account
        self._logged_in.setdefault(account, set()).add(connection)

    def accounts(self) -> list[str]:
        """Who is logged in at this worker."""
        return list(self._logged_in)

    def of(self, account: str) -> tuple[Admitted, ...]:
        """The connections of an account."""
        return tuple(self._logged_in.get(account, ()))

    def _forget(self, connection: Admitted) -> None:
        if connection.account:
            others = self._logged_in.get(connection.account, set())
            others.discard(connection)
            if not others:
                self._logged_in.pop(connection.account, None)
            connection.account = ""

    def log_out(self, connection: Admitted) -> None:
        """Count one that had logged in for its address again."""
        places = self._places(connection.address)
        self._uncount(connection)
        self._forget(connection)
        connection.places = places
        if places is not None:
            self._counts.add(places, 1)
        self._waiting[connection] = None

    def leave(self, connection: Admitted) -> None:
        """One that was admitted has ended."""
        self._open -= 1
        self._forget(connection)
        self._waiting.pop(connection, None)
        self._uncount(connection)

    def _uncount(self, connection: Admitted) -> None:
        if connection.places is not None:
            self._counts.add(connection.places, -1)
            connection.places = None

    def _tell(self, address: str) -> None:
        now = time.monotonic()
        if now - self._told.get(address, -TOLD_SECONDS) < TOLD_SECONDS:
            return
        if len(self._told) >= _MAX_TOLD:
            self._told.clear()
        self._told[address] = now
        _log.warning("%s", fields(event="too-many-connections", client=address))


def group_of(address: str) -> str:
    """What is counted together: an IPv4 address, an IPv6 /64; "" for a unix socket."""
    ip = _ip(address)
    if ip is None:
        return ""
    return str(ip) if ip.version == 4 else str(ipaddress.ip_network((ip, 64), strict=False))


def _ip(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip


@lru_cache(maxsize=8192)
def is_loopback(address: str) -> bool:
    """True for a client on this host: a loopback address, or a unix socket."""
    ip = _ip(address)
    return ip is None or ip.is_loopback


class Networks:
    """A set of networks, asked for the same few addresses again and again."""

    def __init__(self, networks: tuple[str, ...]) -> None:
        self._networks = [ipaddress.ip_network(network, strict=False) for network in networks]
        self._known: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, address: str) -> bool:
        known = self._known.get(address)
        if known is None:
            ip = _ip(address)
            known = ip is not None and any(ip.version == n.version and ip in n for n in self._networks)
            if len(self._known) < _MAX_TOLD:
                self._known[address] = known
        return known
