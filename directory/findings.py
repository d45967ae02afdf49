"""What is wrong in the directory, found in the local copy: for `gatepost directory check` and `doctor`.

An `error` is mail or a login that does not work for somebody (two owners of one address); a `warning` is
something that is probably not meant. Nothing is read but the copy; `transport` looks at the configuration.
"""

from __future__ import annotations

import ipaddress
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import unquote, urlsplit

from directory.domain_accounts import domain_of_account
from directory.filter import InvalidFilter, compile_filter
from directory.model import (
    Account,
    Alias,
    Domain,
    Entry,
    InvalidAddress,
    MailboxHolder,
    MailingList,
    Recipient,
    canonical_address,
)
from directory.model.attribute import Facts
from directory.model.entries import CLASSES, Group
from directory.profile import Profile
from directory.raw import RawEntry, canonical_dn
from directory.settings import DirectorySettings
from directory.view import RawSource, View

MAX_FINDINGS = 10_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `code` is for programs, `text` for an operator; `dn` says which entry."""

    level: Literal["error", "warning"]
    code: str
    dn: str
    text: str


Check: TypeAlias = Callable[[Entry], Iterable[Finding]]


def reserved_attributes() -> dict[str, str]:
    """Attributes that the schema has and this version does not honour: lower-case name -> name."""
    known: dict[str, bool] = {}
    for cls in CLASSES:
        for field in cls.__dataclass_fields__.values():
            facts: Facts | None = field.metadata.get("ldap")
            if facts is not None and facts.number is not None:
                known[facts.ldap_name] = known.get(facts.ldap_name, False) or facts.since is not None
    return {name.lower(): name for name, honoured in known.items() if not honoured}


class _Survey:
    """One pass over the copy, and what it showed."""

    def __init__(self, source: RawSource, profile: Profile, also: tuple[Check, ...]) -> None:
        self._profile = profile
        self._also = also
        self._view = View(source, profile)
        self._source = source
        self._reserved = reserved_attributes()
        self._accounts: Counter[str] = Counter()
        self._owners: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._members: dict[str, tuple[str, ...]] = {}

    def findings(self) -> Iterator[Finding]:
        for raw in self._source.everything():
            kind = self._profile.kind(raw)
            yield from self._reserved_in(raw)
            if kind is None:
                continue
            for attribute, value, why in self._profile.odd_values(raw):
                yield Finding("warning", "odd-value", raw.dn, f"{attribute}: {value!r} is left out: {why}")
            entry = self._view.by_id(raw.id)
            if entry is None:
                yield Finding("warning", "no-domain-name", raw.dn, "a domain entry without a domain name")
                continue
            self._note(raw)
            yield from self._one(entry)
            for check in self._also:
                yield from check(entry)
        yield from self._shared()
        yield from self._cycles()
        yield from self._without_domain()
        yield from self._too_many()

    def _reserved_in(self, raw: RawEntry) -> Iterator[Finding]:
        for name in raw.attributes:
            if name in self._reserved:
                text = f"{self._reserved[name]} is reserved: this version does not honour it"
                yield Finding("warning", "reserved-attribute", raw.dn, text)

    def _note(self, raw: RawEntry) -> None:
        keys = self._profile.keys(raw)
        for what, values in (("address", keys.addresses), ("login", keys.logins), ("domain", keys.domains)):
            for value in values:
                self._owners[what, value].append(raw.dn)

    # -- one entry -----------------------------------------------------------------------------------------

    def _one(self, entry: Entry) -> Iterator[Finding]:
        if isinstance(entry, Recipient):
            yield from self._recipient(entry)
        if (domain := domain_of_account(self._view, entry)) is not None:
            self._accounts[domain.name] += 1
        if isinstance(entry, Account) and not entry.logins:
            yield Finding("warning", "no-login", entry.dn, "an account without a login name: nobody can log in")
        if isinstance(entry, MailboxHolder) and entry.quota and (entry.quota_soft or 0) > entry.quota:
            yield Finding("warning", "soft-over-hard", entry.dn, "the soft quota is larger than the hard one")
        if isinstance(entry, Alias) and not entry.forwards and not entry.targets:
            yield Finding("error", "leads-nowhere", entry.dn, "an alias without a target: mail to it is refused")
        for network in getattr(entry, "allow_net", ()):
            try:
                ipaddress.ip_network(network.strip(), strict=False)
            except ValueError:
                yield Finding("warning", "odd-value", entry.dn, f"{network!r} is no network: nobody comes in from it")
        if isinstance(entry, MailingList | Group):
            self._members[entry.dn] = tuple(dn for key in ("members", "unique_members") for dn in getattr(entry, key))
        if isinstance(entry, MailingList):
            yield from self._list(entry)
        for what, dn in self._names(entry):
            if not self._source.ids("dn", canonical_dn(dn)):
                yield Finding("warning", "dangling", entry.dn, f"{what}: there is no entry {dn}")

    @staticmethod
    def _names(entry: Entry) -> list[tuple[str, str]]:
        """Every DN that the entry names, with what it is."""
        found = []
        for what in (
            "members", "unique_members", "targets", "owners", "moderators", "member_exclude", "senders",
            "full_access", "read_access", "admins",
        ):  # fmt: skip
            found += [(what.replace("_", " "), dn) for dn in getattr(entry, what, ())]
        return found

    def _recipient(self, entry: Recipient) -> Iterator[Finding]:
        if not entry.addresses:
            yield Finding("warning", "no-address", entry.dn, "no usable address: no mail can reach this entry")
        for address in entry.addresses:
            domain = address.rpartition("@")[2]
            if self._view.domain(domain) is None:
                text = f"{address}: the domain {domain} is not ours, mail for it is not taken"
                yield Finding("warning", "unknown-domain", entry.dn, text)
        if isinstance(entry, MailboxHolder | Alias):
            for target in entry.forwards:
                yield from self._target(entry, target)

    @staticmethod
    def _target(entry: Entry, target: str) -> Iterator[Finding]:
        try:
            canonical_address(target)
        except InvalidAddress as error:
            yield Finding("error", "bad-target", entry.dn, f"{target!r} is no address: {error}")

    def _list(self, entry: MailingList) -> Iterator[Finding]:
        if not (entry.members or entry.unique_members or entry.member_addresses or entry.member_urls):
            yield Finding("warning", "empty-list", entry.dn, "a list without members: mail to it is refused")
        for target in entry.member_addresses:
            yield from self._target(entry, target)
        for url in entry.member_urls:
            try:
                compile_filter(unquote(url.partition("?")[2].partition("?")[2].partition("?")[2]) or "(objectClass=*)")
            except InvalidFilter as error:
                yield Finding("error", "bad-member-url", entry.dn, f"{url}: {error}")

    # -- all entries ---------------------------------------------------------------------------------------

    def _shared(self) -> Iterator[Finding]:
        for (what, value), owners in self._owners.items():
            if len(owners) < 2:
                continue
            meaning = {
                "address": f"the address {value} belongs to several entries: mail for it is deferred (451 4.3.5)",
                "login": f"the login {value} belongs to several entries: nobody can log in with it",
                "domain": f"the domain {value} is described by several entries: one of them counts",
            }[what]
            level: Literal["error", "warning"] = "warning" if what == "domain" else "error"
            others = ", ".join(owners[1:4]) + (" …" if len(owners) > 4 else "")
            yield Finding(level, f"shared-{what}", owners[0], f"{meaning}; also {others}")

    def _cycles(self) -> Iterator[Finding]:
        """Lists and groups that contain themselves. Each is told once, by the first entry on the way round."""
        done: set[str] = set()
        for start in self._members:
            if start in done:
                continue
            path: list[str] = []
            on_path: set[str] = set()
            stack: list[tuple[str, int]] = [(start, 0)]
            while stack:
                dn, position = stack.pop()
                if position == 0:
                    path.append(dn)
                    on_path.add(dn)
                inner = self._members[dn]
                for number in range(position, len(inner)):
                    following = inner[number]
                    if following in on_path:
                        way = [*path[path.index(following) :], following]
                        yield Finding("warning", "cycle", following, "contains itself: " + " > ".join(way))
                    elif following in self._members and following not in done:
                        stack += [(dn, number + 1), (following, 0)]
                        break
                else:
                    done.add(dn)
                    on_path.discard(path.pop())

    def _too_many(self) -> Iterator[Finding]:
        for domain in self._view.domains():
            count = self._accounts[domain.name]
            if domain.max_accounts and count > domain.max_accounts:
                text = f"{domain.name} has {count} accounts, gatepostMaxAccounts allows {domain.max_accounts}"
                yield Finding("warning", "too-many-accounts", domain.dn, f"{text}: all of them work, none can be added")

    def _without_domain(self) -> Iterator[Finding]:
        if not self._view.domains():
            text = "no domain: neither the directory nor directory.domains names one, so all mail is refused"
            yield Finding("error", "no-domains", "", text)
        for domain in self._view.domains():
            for target in domain.catch_all:
                yield from self._target(domain if domain.dn else Domain(id="", dn=domain.name), target)


def transport(settings: DirectorySettings) -> Iterator[Finding]:
    """How passwords travel and lie: everybody's password passes this connection, and Gatepost's own is in a file."""
    for url in settings.servers:
        parts = urlsplit(url)
        if parts.scheme == "ldap" and not settings.tls.starttls and not _is_loopback(parts.hostname or ""):
            text = f"{url}: without TLS all passwords cross the network in the clear; set directory.tls.starttls, or use ldaps"
            yield Finding("warning", "clear-text", "", text)
    if settings.tls.verify == "none":
        text = "directory.tls.verify is none: whoever can redirect the connection learns all passwords"
        yield Finding("warning", "unverified-tls", "", text)
    for path in (settings.bind.password_file, settings.write_bind.password_file, settings.ldif_path):
        try:
            if path and os.stat(path).st_mode & 0o007:
                yield Finding(
                    "warning", "readable-secret", "", f"{path} is open to every user of this host: chmod o-rwx"
                )
        except OSError as error:
            yield Finding("error", "unreadable-file", "", f"{path}: {error.strerror}")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def findings(source: RawSource, profile: Profile, also: tuple[Check, ...] = ()) -> Iterator[Finding]:
    """Everything that is wrong, at most MAX_FINDINGS; `also` are further checks of single entries."""
    for number, finding in enumerate(_Survey(source, profile, also).findings()):
        if number >= MAX_FINDINGS:
            yield Finding("warning", "more", "", f"there is more; the first {MAX_FINDINGS} are shown")
            return
        yield finding
