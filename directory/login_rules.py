"""Who a login name means, and what the directory says about his logging in, whatever his password.

Used by the authenticator and, for what it remembers, by every worker: a disabled account is refused by
whoever sees the change first.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from directory.model import (
    Account,
    Condition,
    Deferred,
    InvalidAddress,
    Refused,
    ServiceAccount,
    canonical_address,
)
from directory.port import Directory

MAX_LOGIN_OCTETS = 512
MAX_PASSWORD_OCTETS = 4096


def possible(login: str, password: str) -> None:
    """Raise Refused for what can be no login. An empty password never reaches a directory (RFC 4513 5.1.2:
    it would be an unauthenticated bind, which succeeds)."""
    if not password or not login.strip():
        raise Refused(Condition.AUTHENTICATION_FAILED, "empty login or password")
    try:
        if len(login.encode()) > MAX_LOGIN_OCTETS or len(password.encode()) > MAX_PASSWORD_OCTETS:
            raise Refused(Condition.AUTHENTICATION_FAILED, "login or password too long")
    except UnicodeEncodeError:
        raise Refused(Condition.AUTHENTICATION_FAILED, "login or password is no text") from None
    if "\0" in password or not login.isprintable():
        raise Refused(Condition.AUTHENTICATION_FAILED, "control character in login or password")


def named(directory: Directory, login: str) -> tuple[Account | ServiceAccount, ...]:
    """Every entry that `login` means: by login name, else by address in canonical form."""
    found = directory.by_login(login)
    if not found and "@" in login:
        try:
            address = canonical_address(login.strip())
        except InvalidAddress:
            return ()
        found = tuple(entry for entry in directory.owners(str(address)) if isinstance(entry, Account))
    return found


def the_one(directory: Directory, login: str, now: float) -> Account | ServiceAccount:
    """The entry that `login` means. Raises Refused when there is certainly none, Deferred when that or which is unclear."""
    found = named(directory, login)
    if len(found) > 1:
        owners = "; ".join(entry.dn for entry in found)
        raise Deferred(Condition.AUTHENTICATION_UNAVAILABLE, f"{len(found)} entries have this login: {owners}")
    if not found:
        freshness = directory.freshness()
        if not freshness.absence_is_final(now):
            raise Deferred(Condition.AUTHENTICATION_UNAVAILABLE, freshness.braked or "the directory copy is not fresh")
        raise Refused(Condition.AUTHENTICATION_FAILED, "no entry has this login")
    if directory.is_held(found[0].id):
        raise Deferred(Condition.AUTHENTICATION_UNAVAILABLE, f"{found[0].dn}: held by the deletion brake")
    return found[0]


@lru_cache(maxsize=1024)
def network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """The network that `text` (CIDR or a single address) names; None when it is none."""
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def inside(address: str, networks: tuple[str, ...]) -> bool:
    """True when `address` lies in one of the networks; a value that is no network allows nothing."""
    try:
        client = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(client, ipaddress.IPv6Address) and client.ipv4_mapped is not None:
        client = client.ipv4_mapped
    return any(found is not None and client in found for found in map(network, networks))


def may_come(entry: Account | ServiceAccount, address: str, now: float) -> None:
    """Raise Refused when the entry may not log in at all or not from `address`: asked before the password, so
    the client learns nothing but "failed"."""
    if entry.status != "active":
        raise Refused(Condition.AUTHENTICATION_FAILED, f"{entry.dn}: status {entry.status}")
    if entry.expires is not None and entry.expires <= now:
        raise Refused(Condition.AUTHENTICATION_FAILED, f"{entry.dn}: expired")
    if entry.allow_net and not inside(address, entry.allow_net):
        raise Refused(Condition.AUTHENTICATION_FAILED, f"{entry.dn}: {address or 'no address'} not in gatepostAllowNet")


def may_use(entry: Account | ServiceAccount, service: str) -> None:
    """Raise Refused, with the reason for the client, when the proven owner may not use `service`."""
    if isinstance(entry, ServiceAccount) and service != "submission":
        raise Refused(Condition.SERVICE_NOT_ALLOWED, f"{entry.dn}: a service account only sends")
    if entry.services is not None and service not in entry.services:
        raise Refused(Condition.SERVICE_NOT_ALLOWED, f"{entry.dn}: {service} not in gatepostService")
    if isinstance(entry, Account) and entry.must_change_password:
        raise Refused(Condition.PASSWORD_MUST_CHANGE, f"{entry.dn}: gatepostMustChangePassword")
