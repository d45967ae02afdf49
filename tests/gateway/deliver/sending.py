"""A courier with real sockets and a scripted name service, and parcels for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, TypeVar

from scripted_dns import scripted_dns

from directory.model import Deferred, Refused
from gateway.deliver.connections import Connections
from gateway.deliver.content import converted
from gateway.deliver.mta_sts import MtaSts, StsPolicy
from gateway.deliver.port import Addressee, Outcome, Parcel, Taken
from gateway.deliver.settings import DnsSettings
from gateway.deliver.smtp import Outside, SmtpCourier
from gateway.deliver.tls_policy import Protections
from gateway.route.next_hop import NextHop
from gateway.route.relay_settings import RelaySettings, Timeouts
from gateway.service.https import HttpsGet
from gateway.service.network import ClientTls, Dialer
from gateway.service.resolver import Resolver

T = TypeVar("T")
QUICK = Timeouts(connect=3, greeting=1, command=1, data=1, block=2, end=1, tls=3)
BODY = b"Subject: hello\nFrom: me@here.example\n\n.one\n..two\nthree\n"
WIRE = BODY.replace(b"\n", b"\r\n")


def parcel(
    *recipients: str | Addressee, body: bytes = BODY, path: str = "me@here.example", **parameters: str
) -> Parcel:
    def content() -> Iterator[bytes]:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    addressees = tuple(
        Addressee(each) if isinstance(each, str) else each for each in recipients or ("you@far.example",)
    )

    async def in_7bit() -> bytes:
        return converted(content())

    return Parcel("m1", path, addressees, content, len(body), len(body) + body.count(b"\n"), in_7bit, parameters)


def told(outcomes: list[Outcome]) -> list[str]:
    """Outcomes as a test reads them: taken, or 4 / 5 with the status."""
    kinds = {Taken: "taken", Deferred: "deferred", Refused: "refused"}
    return [kinds[type(each)] if isinstance(each, Taken) else f"{kinds[type(each)]} {each.status}" for each in outcomes]


class Sending:
    """What a test has inside the loop."""

    def __init__(self, dns: str, relay: RelaySettings, own: str, login: tuple[str, str], https: int) -> None:
        self.now: Callable[[], float] = time.monotonic
        self.connections = Connections(
            relay.idle_connections, relay.idle_time, relay.messages_per_connection, lambda: self.now(), lambda: None
        )
        dial, resolver = (
            Dialer(ClientTls(relay.ca_file)),
            Resolver(DnsSettings(servers=(dns,), timeout=0.3, lifetime=1)),
        )
        #: (domain, kind, policy, host, result) of every connection that was counted
        self.counted: list[tuple[str, ...]] = []
        self.policies: dict[str, StsPolicy] = {}
        fetch = HttpsGet(dial, resolver, may_be_private=True, port=https)
        sts = MtaSts(resolver, fetch, self, time.time)
        self.outside = Outside(
            dial, resolver, self.connections, relay, "us.example.com", lambda records: records.sort(), lambda address: address == own,
            lambda name: login, Protections(resolver, sts, dane=True), lambda *facts: self.counted.append(facts),
        )  # fmt: skip

    def policy(self, domain: str) -> StsPolicy | None:
        return self.policies.get(domain)

    def keep_policy(self, domain: str, policy: StsPolicy) -> None:
        self.policies[domain] = policy

    async def send(self, hop: NextHop, message: Parcel) -> list[Outcome]:
        return await SmtpCourier(hop, self.outside).deliver(message)


def sending(
    work: Callable[[Sending], Awaitable[T]],
    zone: dict[str, list[str]] | None = None,
    *,
    own: str = "",
    login: tuple[str, str] = ("", ""),
    ad: bool = False,
    dead: Iterable[str] = (),
    https: int = 1,
    **relay: Any,
) -> T:
    """Run `work` in a loop."""
    settings = RelaySettings(**{"allow_private": True, "timeouts": QUICK, **relay})
    with scripted_dns(zone or {}, ad=ad, dead=set(dead)) as dns:

        async def main() -> T:
            bench = Sending(dns.server, settings, own, login, https)
            try:
                return await work(bench)
            finally:
                await bench.connections.close()
                await asyncio.sleep(0)

        return asyncio.run(main())


def send_one(hop: NextHop, message: Parcel, zone: dict[str, list[str]] | None = None, **more: Any) -> list[Outcome]:
    """One message through one courier."""
    return sending(lambda bench: bench.send(hop, message), zone, **more)
