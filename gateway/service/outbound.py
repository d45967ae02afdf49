"""The ways out of this host, put together: couriers with their network, name service, logins and idle connections."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
import time
from collections.abc import Callable
from pathlib import Path

from directory.model import Condition, Deferred
from gateway.config.settings import Settings
from gateway.deliver.connections import Connections
from gateway.deliver.mta_sts import MtaSts
from gateway.deliver.port import Courier
from gateway.deliver.smtp import Outside, SmtpCourier
from gateway.deliver.tls_policy import Protections
from gateway.deliver.tls_store import FILE, FLUSH_SECONDS, TlsStore
from gateway.route.next_hop import NextHop
from gateway.route.relay_settings import RelaySettings
from gateway.service.https import HttpsGet
from gateway.service.network import ClientTls, Dialer
from gateway.service.resolver import Resolver

#: the courier to a next hop
Couriers = Callable[[NextHop], Courier]


def is_own(address: str) -> bool:
    """True for an address of this host other than loopback: the kernel would reach it from the same address."""
    if ipaddress.ip_address(address.partition("%")[0]).is_loopback:
        return False
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, 9))  # sends nothing
            return bool(probe.getsockname()[0] == address)
        except OSError:
            return False


def credentials(relay: RelaySettings, name: str) -> tuple[str, str]:
    """Login and password of `relay.credentials`. Raises Deferred when the file cannot be read."""
    found = relay.credentials[name]
    try:
        password = Path(found.password_file).read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, UnicodeDecodeError) as error:
        raise Deferred(Condition.NO_ROUTE, f"relay.credentials.{name}: {error}") from None
    return found.login, password


class Outbound:
    """Made in the process and loop that sends."""

    def __init__(self, settings: Settings) -> None:
        relay = settings.relay
        self.connections = Connections(
            relay.idle_connections, relay.idle_time, relay.messages_per_connection, time.monotonic, self._sweep_later
        )
        self._idle_time = relay.idle_time
        self._timer: asyncio.TimerHandle | None = None
        self._sweeping: asyncio.Task[None] | None = None
        dial = Dialer(ClientTls(relay.ca_file))
        self.resolver = resolver = Resolver(settings.dns)
        self._flushing: asyncio.TimerHandle | None = None
        self._store = TlsStore(Path(settings.state_dir) / FILE, time.time, self._flush_later)
        fetch = HttpsGet(dial, resolver, may_be_private=relay.allow_private)
        sts = MtaSts(resolver, fetch, self._store, time.time) if relay.mta_sts else None
        self._outside = Outside(
            dial,
            resolver,
            self.connections,
            relay,
            settings.hostname,
            random.shuffle,
            is_own,
            lambda name: credentials(relay, name),
            Protections(resolver, sts, dane=relay.dane),
            self._store.count,
        )

    def courier(self, hop: NextHop) -> Courier:
        """The courier to a next hop."""
        return SmtpCourier(hop, self._outside)

    def _sweep_later(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._idle_time + 0.1, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        self._sweeping = asyncio.ensure_future(self.connections.sweep())
        if len(self.connections):
            self._sweep_later()

    def _flush_later(self) -> None:
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        self._flushing = None
        self._store.flush()

    async def close(self) -> None:
        """End what waits for another message."""
        if self._flushing is not None:
            self._flushing.cancel()
        if self._timer is not None:
            self._timer.cancel()
        await self.connections.close()
        self._store.close()
