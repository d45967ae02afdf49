"""Proves who somebody is: a simple bind with the DN found in the replica. One a host, in the agent.

An empty password is refused before the directory sees it (RFC 4513 5.1.2: it would be an
unauthenticated bind, which succeeds). Failures of the infrastructure are Deferred, never "wrong".
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable
from typing import Literal

import ldap3
import msgspec
from ldap3.core.exceptions import LDAPException

from directory.connection import Servers
from directory.model import Account, Condition, Deferred, Refused, ServiceAccount
from directory.port import Directory, Login

POOL = 4
INVALID_CREDENTIALS, CONSTRAINT_VIOLATION = 49, 19


def _inside(address: str, networks: tuple[str, ...]) -> bool:
    """True when `address` lies in one of the networks; a value that is no network allows nothing."""
    try:
        client = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    for text in networks:
        try:
            if client in ipaddress.ip_network(text.strip(), strict=False):
                return True
        except ValueError:
            continue
    return False


class AuthSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `auth`."""

    plaintext: Literal["never", "loopback", "always"] = "never"


class BindAuthenticator:
    """Checks passwords by simple bind on its own connections. Thread-safe; blocks."""

    def __init__(self, directory: Directory, servers: Servers, now: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._servers = servers
        self._now = now
        self._idle: list[ldap3.Connection] = []
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(POOL)

    def authenticate(self, login: str, password: str, service: str, address: str) -> Login:
        """As `directory.port.Authenticator.authenticate`, synchronously."""
        if not password or not login or "\0" in password or "\0" in login:
            raise Refused(Condition.AUTHENTICATION_FAILED, "empty or impossible credentials")
        found = self._directory.by_login(login)
        if len(found) != 1:
            freshness = self._directory.freshness()
            if not found and not freshness.absence_is_final(self._now()):
                raise Deferred(Condition.AUTHENTICATION_UNAVAILABLE, "directory copy is not fresh")
            raise Refused(Condition.AUTHENTICATION_FAILED, f"{len(found)} entries have this login")
        account = found[0]
        if self._directory.is_held(account.id):
            raise Deferred(Condition.AUTHENTICATION_UNAVAILABLE, f"{account.dn}: held by the deletion brake")
        self.check(account, service, address)
        if not self._bind(account.dn, password):
            raise Refused(Condition.AUTHENTICATION_FAILED, f"{account.dn}: wrong password")
        return Login(account.id, "bind")

    def check(self, account: Account | ServiceAccount, service: str, address: str) -> None:
        """Raise Refused when the entry may not log in to `service` from `address` whatever its password."""
        if account.status != "active" or (account.expires is not None and account.expires <= self._now()):
            raise Refused(Condition.AUTHENTICATION_FAILED, f"{account.dn}: {account.status} or expired")
        if account.allow_net and not _inside(address, account.allow_net):
            raise Refused(Condition.AUTHENTICATION_FAILED, f"{account.dn}: {address} not in gatepostAllowNet")
        if isinstance(account, ServiceAccount) and service != "submission":
            raise Refused(Condition.SERVICE_NOT_ALLOWED, f"{account.dn}: a service account only sends")
        if account.services is not None and service not in account.services:
            raise Refused(Condition.SERVICE_NOT_ALLOWED, f"{account.dn}: {service} not in gatepostService")
        if isinstance(account, Account) and account.must_change_password:
            raise Refused(Condition.PASSWORD_MUST_CHANGE, account.dn)

    def _bind(self, dn: str, password: str) -> bool:
        if not self._slots.acquire(timeout=10):
            raise Deferred(Condition.AUTHENTICATION_UNAVAILABLE, "all bind connections are busy")
        try:
            for _ in range(POOL + 1):  # idle connections may all have died with the server: at last a new one
                with self._lock:
                    connection = self._idle.pop() if self._idle else None
                reused = connection is not None
                if connection is None:
                    try:
                        connection = self._servers.open(bind=False)
                    except Deferred as error:
                        raise Deferred(Condition.AUTHENTICATION_UNAVAILABLE, error.detail) from error
                try:
                    _, result, _, _ = connection.rebind(user=dn, password=password, authentication=ldap3.SIMPLE)
                except (LDAPException, OSError) as error:
                    self._drop(connection)
                    if reused:
                        continue
                    raise Deferred(Condition.AUTHENTICATION_UNAVAILABLE, f"bind: {error}") from error
                code = result["result"]
                with self._lock:
                    self._idle.append(connection)
                if code == 0:
                    return True
                if code in (INVALID_CREDENTIALS, CONSTRAINT_VIOLATION):
                    return False
                raise Deferred(Condition.AUTHENTICATION_UNAVAILABLE, f"bind: {code} {result['description']}")
            raise Deferred(Condition.AUTHENTICATION_UNAVAILABLE, "bind connections keep breaking")
        finally:
            self._slots.release()

    @staticmethod
    def _drop(connection: ldap3.Connection) -> None:
        try:
            connection.unbind()
        except (LDAPException, OSError):
            pass
