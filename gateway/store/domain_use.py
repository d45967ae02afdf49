"""How much the mailboxes of a domain hold together (`gatepostDomainQuota`), known without counting for each message.

One process of a host sums the index up every few seconds and puts a small file in place, whole; the others read it when
it has changed and add what they delivered themselves since. So a domain may go over its quota by what the other
processes of the host take in between two sums (`SUM_SECONDS`, longer where a sum takes long), and room that was made is
seen after the next. Where no sum is known nobody is refused.

The domain of an account is that of its primary address.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

import msgspec

from directory.model import Domain, MailboxHolder, domain_of

VERSION = 1
FILE = "domain_use.json"  # in state_dir
SUM_SECONDS = 5.0
#: why a mailbox is full, for operators
DOMAIN_FULL = "its domain is full: gatepostDomainQuota"
LOOK_SECONDS = 0.5  # how often a process asks whether there is a new sum

#: the domain of that name, as `Directory.domain`
FindDomain = Callable[[str], Domain | None]


class Sums(msgspec.Struct, frozen=True):
    """The file: octets by domain, for all domains that have accounts; when the sum began (unix time)."""

    version: int
    at: float
    octets: dict[str, int]
    #: `gatepostDomainQuota` of those that had one then
    quotas: dict[str, int] = {}

    def full(self) -> dict[str, tuple[int, int]]:
        """Octets and quota of the domains that were full, by name."""
        return {
            name: (self.octets.get(name, 0), quota)
            for name, quota in self.quotas.items()
            if self.octets.get(name, 0) >= quota
        }


class DomainRoom(Protocol):
    """What stores ask about the domain of a holder. Waits for nothing, raises nothing."""

    def room(self, holder: MailboxHolder) -> int | None:
        """Octets that the domain may still take in; None = no limit, or nobody knows."""
        ...

    def added(self, holder: MailboxHolder, octets: int) -> None:
        """So much was added."""
        ...


class NoQuota:
    """No domain has a quota."""

    def room(self, holder: MailboxHolder) -> int | None:
        return None

    def added(self, holder: MailboxHolder, octets: int) -> None:
        return None


def domain_name(holder: MailboxHolder) -> str:
    """The domain that an account belongs to, canonical; "" for one without an address."""
    return domain_of(holder.primary or "")


class DomainUse:
    """Implements `DomainRoom` over the file at `path`. Thread-safe."""

    def __init__(self, path: Path, find: FindDomain) -> None:
        self._path, self._find = path, find
        self._lock = threading.Lock()
        self._looked = -LOOK_SECONDS
        self._version = -1
        self._sums: Sums | None = None
        #: octets by domain that this process added since the sum
        self._own: dict[str, int] = {}

    def room(self, holder: MailboxHolder) -> int | None:
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._look()
        sums = self._sums
        if sums is None:
            return None
        limit = self._limit(holder)
        if limit is None:
            return None
        name, quota = limit
        return max(0, quota - sums.octets.get(name, 0) - self._own.get(name, 0))

    def added(self, holder: MailboxHolder, octets: int) -> None:
        limit = self._limit(holder) if self._sums is not None else None
        if limit is not None:
            with self._lock:
                self._own[limit[0]] = self._own.get(limit[0], 0) + octets

    def _limit(self, holder: MailboxHolder) -> tuple[str, int] | None:
        """Name and quota of the domain of a holder, None where it has no quota."""
        name = domain_name(holder)
        domain = self._find(name) if name else None
        return (domain.name, domain.domain_quota) if domain is not None and domain.domain_quota else None

    def _look(self) -> None:
        with self._lock:
            self._looked = time.monotonic()
            try:
                version = os.stat(self._path).st_mtime_ns
            except OSError:
                version = -1
            if version != self._version:
                self._version = version
                self._sums, self._own = read_sums(self._path), {}


def read_sums(path: Path) -> Sums | None:
    """The last sum; None when there is none that can be used."""
    try:
        sums = msgspec.json.decode(path.read_bytes(), type=Sums)
    except (OSError, msgspec.MsgspecError):
        return None
    return sums if sums.version == VERSION else None


def write_sums(path: Path, rows: Iterable[tuple[str, int]], quotas: dict[str, int], at: float) -> None:
    """Put the sum of (domain, octets) of each account in place. Raises OSError."""
    octets: dict[str, int] = {}
    for name, used in rows:
        octets[name] = octets.get(name, 0) + used
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(msgspec.json.encode(Sums(VERSION, at, octets, quotas)))
    os.rename(fresh, path)
