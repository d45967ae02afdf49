"""From a domain to the hosts that take its mail: MX records, or the domain itself (RFC 5321 5.1).

Hosts of equal preference come in random order. A host that is ourselves, and all that are no better, are left
out: what remains is what a backup MX delivers to; nothing remaining is a loop.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import groupby

from directory.model import Condition, Deferred, Refused
from gateway.deliver.resolve import Mx, Resolve

MAX_HOSTS = 20


@dataclass(frozen=True, slots=True)
class MxHost:
    """A host to try. `is_secure`: DNSSEC vouches for its being the domain's."""

    name: str
    is_secure: bool = False


async def mx_hosts(
    domain: str, resolve: Resolve, own_names: Collection[str], shuffle: Callable[[list[Mx]], None]
) -> list[MxHost]:
    """Hosts in the order to try them, at most 20; there is at least one.

    Raises Deferred; Refused where the domain takes no mail, does not exist or leads back to us.
    """
    found = await resolve.ask(domain, "MX")
    if not found.exists:
        raise Refused(Condition.NO_SUCH_MAIL_DOMAIN, f"{domain} does not exist")
    if not found.values:
        # without MX records the domain is its own host
        return _others([Mx(0, domain)], domain, own_names, shuffle, found.is_secure)
    records: list[Mx] = sorted(found.values)
    if all(record.host in ("", ".") for record in records):
        raise Refused(Condition.TAKES_NO_MAIL, f"{domain} has a null MX")
    usable = [record for record in records if record.host not in ("", ".")]
    return _others(usable, domain, own_names, shuffle, found.is_secure)


def _others(
    records: Sequence[Mx],
    domain: str,
    own_names: Collection[str],
    shuffle: Callable[[list[Mx]], None],
    is_secure: bool,
) -> list[MxHost]:
    ours = [record.preference for record in records if record.host in own_names]
    better = [record for record in records if not ours or record.preference < min(ours)]
    if not better:
        raise Refused(Condition.MAIL_LOOP, f"{domain}: its mail host is this host ({', '.join(sorted(own_names))})")
    ordered: list[MxHost] = []
    for _, same in groupby(better, key=lambda record: record.preference):
        group = list(same)
        shuffle(group)
        ordered += [MxHost(record.host, is_secure) for record in group]
    return ordered[:MAX_HOSTS]


def is_public(address: str) -> bool:
    """True for an address that a mail host on the Internet may have."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip.is_global and not ip.is_multicast


@dataclass(frozen=True, slots=True)
class Place:
    """One address to connect to. `name` is what the host is called, `is_secure` as in MxHost, addresses included;
    `port` 0 is the next hop's."""

    name: str
    address: str
    is_secure: bool = False
    port: int = 0


async def places(
    host: MxHost,
    domain: str,
    resolve: Resolve,
    *,
    families: tuple[str, ...],
    may_be_private: bool,
    is_own: Callable[[str], bool],
) -> list[Place]:
    """Addresses of a host that MX records named.

    Raises Deferred where nothing can be connected to, Refused where the domain has neither MX nor address.
    """
    found = await resolve.addresses(host.name, families)
    if not found.values:
        if host.name == domain:
            condition = Condition.NO_SUCH_MAIL_DOMAIN
            raise Refused(condition, f"{domain} has neither MX records nor an address")
        raise Deferred(Condition.NO_ROUTE, f"{host.name}, which takes mail for {domain}, has no address")
    usable = []
    for address in found.values:
        if is_own(address):
            raise Refused(Condition.MAIL_LOOP, f"{domain}: {host.name} is this host ({address})")
        if may_be_private or is_public(address):
            usable.append(Place(host.name, address, host.is_secure and found.is_secure))
    if not usable:
        raise Deferred(Condition.NO_ROUTE, f"{host.name}, which takes mail for {domain}, has only private addresses")
    return usable
