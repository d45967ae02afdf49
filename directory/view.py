"""The `Directory` port over any source of raw entries: profile, effective values, memory of built objects.

A source answers key look-ups (`RawSource`); the LMDB replica and the in-memory one are such sources.
Built objects are remembered until the source's generation changes.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any, Protocol

from directory.effective import Defaults, inherited, limit_status
from directory.filter import compile_filter
from directory.login_mark import LoginMark, login_mark, version_of
from directory.model import (
    Account,
    Domain,
    Entry,
    Group,
    InvalidAddress,
    MailboxHolder,
    MailingList,
    Recipient,
    ServiceAccount,
    canonical_address,
    canonical_domain,
)
from directory.port import Freshness
from directory.profile import Profile
from directory.raw import RawEntry, canonical_dn, is_below, login_key, parent_dn

MAX_REMEMBERED = 20_000
TIMED_SECONDS = 5.0  # so long is remembered what depends on the time of day
MAX_GROUPS = 10_000  # groups above one entry


class RawSource(Protocol):
    """Raw entries by key. `generation` changes with every applied change."""

    def generation(self) -> int: ...
    def freshness(self) -> Freshness: ...
    def get(self, entry_id: str) -> RawEntry | None: ...
    def held(self, entry_id: str) -> bool:
        """True for an entry that only the deletion brake keeps."""
        ...

    def ids(self, index: str, key: str) -> tuple[str, ...]:
        """Entry ids under `key` of index address, login, domain, dn or member."""
        ...

    def keys(self, index: str) -> tuple[str, ...]:
        """All keys of a small index (domain)."""
        ...

    def everything(self) -> Iterator[RawEntry]: ...


class View:
    """Implements `directory.port.Directory`."""

    def __init__(
        self,
        source: RawSource,
        profile: Profile,
        defaults: Defaults | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._profile = profile
        self._now = now
        self._forget_at = 0.0
        self._defaults = defaults or Defaults()
        self._generation = -1
        self._built: dict[str, Entry | None] = {}
        self._owners: dict[str, tuple[Recipient, ...]] = {}
        self._logins: dict[str, tuple[Account | ServiceAccount, ...]] = {}
        self._names: dict[str, Entry | None] = {}
        self._held: dict[str, bool] = {}
        self._domains: dict[str, Domain | None] = {}
        self._inherited: dict[tuple[type[Entry], str], dict[str, Any]] = {}
        self._all_domains: tuple[Domain, ...] | None = None
        self._searches: dict[tuple[str, str, str], tuple[str, ...]] = {}
        self._remembered = (
            self._searches,
            self._built, self._owners, self._logins, self._names, self._held, self._domains, self._inherited,
        )  # fmt: skip

    def _check(self) -> None:
        generation = self._source.generation()
        if generation != self._generation or (self._profile.is_timed and self._now() >= self._forget_at):
            self._generation = generation
            self._forget_at = self._now() + TIMED_SECONDS
            self._all_domains = None
            for memory in self._remembered:
                memory.clear()

    @staticmethod
    def _room(memory: dict[Any, Any]) -> None:
        """Addresses and names that strangers ask for must not fill the memory."""
        if len(memory) >= MAX_REMEMBERED:
            memory.clear()

    def freshness(self) -> Freshness:
        return self._source.freshness()

    def _domain(self, name: str) -> Domain | None:
        if name in self._domains:
            return self._domains[name]
        found = None
        for entry_id in self._source.ids("domain", name):
            raw = self._source.get(entry_id)
            built = self._build(raw) if raw is not None else None
            if isinstance(built, Domain):
                found = built
                break
        found = found or self._profile.static_domains.get(name)
        if found is not None and self._profile.catch_all and not found.catch_all:
            address = self._profile.catch_all.replace("{domain}", found.name)
            if self._source.ids("address", str(canonical_address(address))):
                found = dataclasses.replace(found, catch_all=(address,))
        self._room(self._domains)
        self._domains[name] = found
        return found

    def domain(self, name: str) -> Domain | None:
        self._check()
        return self._domain(name)

    def domains(self) -> tuple[Domain, ...]:
        self._check()
        if self._all_domains is None:
            names = (*self._source.keys("domain"), *self._profile.static_domains)
            found = {domain.name: domain for name in names if (domain := self._domain(name)) is not None}
            self._all_domains = tuple(found[name] for name in sorted(found))
        return self._all_domains

    def _build(self, raw: RawEntry) -> Entry | None:
        return self._profile.build(raw, now=self._now(), groups_of=self._raw_groups)

    def _raw_groups(self, dn: str, raw: RawEntry, nested: bool) -> set[str]:
        """Canonical DNs of the groups that hold the entry, as `memberOf` and the groups themselves say."""
        found: set[str] = set()
        waiting = [(dn, raw)]
        while waiting and len(found) < MAX_GROUPS:
            dn, entry = waiting.pop()
            groups = {canonical_dn(text) for text in entry.texts("memberof")}
            ids = self._above(dn, entry)
            above = [group for group in map(self._source.get, ids) if group is not None]
            groups.update(canonical_dn(group.dn) for group in above)
            if nested:
                for name in groups - found:
                    above.extend(group for group in map(self._source.get, self._source.ids("dn", name)) if group)
                known = {canonical_dn(group.dn): group for group in above}
                waiting.extend((name, group) for name, group in known.items() if name not in found)
            found |= groups
        return found

    def _above(self, dn: str, raw: RawEntry | None) -> tuple[str, ...]:
        """Ids of the groups that hold the entry directly, however it is written down."""
        found = dict.fromkeys(self._source.ids("member", dn))
        if raw is not None and self._profile.has_soft_members:
            for login in self._profile.keys(raw).logins:
                found.update(dict.fromkeys(self._source.ids("member", f"login:{login}")))
            for index, key in self._profile.groups_named(raw):
                found.update(dict.fromkeys(self._source.ids(index, key)))
        return tuple(found)

    def _soft_members(self, raw: RawEntry) -> Iterator[str]:
        """DNs of members that a list or group does not name by DN."""
        for index, key in self._profile.soft_members(raw):
            for entry_id in self._source.ids(index, key):
                member = self._source.get(entry_id)
                if member is not None:
                    yield canonical_dn(member.dn)

    def _entry(self, entry_id: str) -> Entry | None:
        if entry_id in self._built:
            return self._built[entry_id]
        raw = self._source.get(entry_id)
        found = self._profile.values(raw, now=self._now(), groups_of=self._raw_groups) if raw is not None else None
        built = None
        if raw is not None and found is not None:
            cls, values = found
            if "addresses" in values:
                primary = values.get("primary_address") or values.get("mail") or values["addresses"][0]
                name = _domain_of(primary, values["addresses"][0])
                domain = self._domain(name)
                values = self._inherits(cls, name, domain) | values
                limit_status(cls, values, domain)
            if self._profile.has_soft_members and issubclass(cls, MailingList | Group):
                values["members"] = tuple(dict.fromkeys((*values.get("members", ()), *self._soft_members(raw))))
            built = cls(id=raw.id, dn=canonical_dn(raw.dn), **values)
        self._room(self._built)
        self._built[entry_id] = built
        return built

    def _inherits(self, cls: type[Entry], name: str, domain: Domain | None) -> dict[str, Any]:
        key = (cls, name if domain is not None else "")
        if key not in self._inherited:
            self._inherited[key] = inherited(cls, domain, self._defaults)
        return self._inherited[key]

    def owners(self, address: str) -> tuple[Recipient, ...]:
        self._check()
        known = self._owners.get(address)
        if known is None:
            found = (self._entry(entry_id) for entry_id in self._source.ids("address", address))
            known = tuple(entry for entry in found if isinstance(entry, Recipient))
            self._room(self._owners)
            self._owners[address] = known
        return known

    def by_login(self, login: str) -> tuple[Account | ServiceAccount, ...]:
        self._check()
        known = self._logins.get(login)
        if known is None:
            found = (self._entry(entry_id) for entry_id in self._source.ids("login", login_key(login)))
            known = tuple(entry for entry in found if isinstance(entry, Account | ServiceAccount))
            self._room(self._logins)
            self._logins[login] = known
        return known

    def by_id(self, entry_id: str) -> Entry | None:
        self._check()
        return self._entry(entry_id)

    def by_dn(self, dn: str) -> Entry | None:
        self._check()
        if dn in self._names:
            return self._names[dn]
        found, name = None, canonical_dn(dn)
        for entry_id in self._source.ids("dn", name):
            entry = self._entry(entry_id)
            if entry is not None and entry.dn == name:  # keys of an index end after 511 octets
                found = entry
                break
        self._room(self._names)
        self._names[dn] = found
        return found

    def groups_of(self, dn: str) -> tuple[str, ...]:
        self._check()
        dn = canonical_dn(dn)
        raw = None
        if self._profile.has_soft_members:
            raw = next((raw for raw in map(self._source.get, self._source.ids("dn", dn)) if raw is not None), None)
        found = (self._entry(entry_id) for entry_id in self._above(dn, raw))
        return tuple(entry.dn for entry in found if entry is not None)

    def shared_with(self, dns: Collection[str]) -> tuple[MailboxHolder, ...]:
        self._check()
        ids = {entry_id: None for dn in dns for entry_id in self._source.ids("access", canonical_dn(dn))}
        found = (self._entry(entry_id) for entry_id in ids)
        return tuple(entry for entry in found if isinstance(entry, MailboxHolder))

    def search(self, base: str, scope: str, filter_text: str) -> Iterator[Entry]:
        self._check()
        question = (canonical_dn(base), scope, filter_text)
        if question not in self._searches:
            # every message to a dynamic list asks the same
            self._room(self._searches)
            self._searches[question] = tuple(self._find(*question))
        for entry_id in self._searches[question]:
            entry = self._entry(entry_id)
            if entry is not None:
                yield entry

    def _find(self, base: str, scope: str, filter_text: str) -> Iterator[str]:
        predicate = compile_filter(filter_text)
        for raw in self._source.everything():
            dn = canonical_dn(raw.dn)
            inside = dn == base if scope == "base" else parent_dn(dn) == base if scope == "one" else is_below(dn, base)
            if inside and predicate(raw) and self._profile.kind(raw) is not None:
                yield raw.id

    def is_held(self, entry_id: str) -> bool:
        self._check()
        known = self._held.get(entry_id)
        if known is None:
            self._room(self._held)
            known = self._held[entry_id] = self._source.held(entry_id)
        return known

    def change_mark(self, entry_id: str) -> str:
        self._check()
        raw = self._source.get(entry_id)
        return version_of(raw) if raw is not None else ""

    def login_mark(self, entry_id: str) -> LoginMark | None:
        self._check()
        raw = self._source.get(entry_id)
        return login_mark(raw) if raw is not None else None


def _domain_of(primary: str, address: str) -> str:
    """The canonical domain of an address as the directory has it, else of one that is canonical already."""
    try:
        return canonical_domain(primary.rpartition("@")[2])
    except InvalidAddress:
        return address.rpartition("@")[2]
