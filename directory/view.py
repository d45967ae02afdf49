"""The `Directory` port over any source of raw entries: profile, effective values, memory of built objects.

A source answers key look-ups (`RawSource`); the LMDB replica and the in-memory one are such sources.
Built objects are remembered until the source's generation changes.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any, Protocol

from directory.effective import Defaults, filled, inherited, limit_status
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
#: not remembered; None is remembered as "no such"
_UNKNOWN: Any = object()


class RawSource(Protocol):
    """Raw entries by key. `generation` changes with every applied change."""

    def generation(self) -> int: ...
    def freshness(self) -> Freshness: ...
    def profile(self) -> bytes:
        """Fingerprint of the profile whose keys the indexes hold."""
        ...

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


class _Memory:
    """What was built from one generation of the source. It is never emptied for a new one but replaced: a thread
    that still works on an old one puts stale things where nobody looks any more."""

    __slots__ = (
        "all_domains", "built", "domains", "forget_at", "generation", "held", "inherited", "logins", "names", "owners",
        "searches",
    )  # fmt: skip

    def __init__(self, generation: int, forget_at: float) -> None:
        self.generation, self.forget_at = generation, forget_at
        self.built: dict[str, Entry | None] = {}
        self.owners: dict[str, tuple[Recipient, ...]] = {}
        self.logins: dict[str, tuple[Account | ServiceAccount, ...]] = {}
        self.names: dict[str, Entry | None] = {}
        self.held: dict[str, bool] = {}
        self.domains: dict[str, Domain | None] = {}
        self.inherited: dict[tuple[type[Entry], str], dict[str, Any]] = {}
        self.searches: dict[tuple[str, str, str], tuple[str, ...]] = {}
        self.all_domains: tuple[Domain, ...] | None = None


def _room(memory: dict[Any, Any]) -> None:
    """Addresses and names that strangers ask for must not fill the memory."""
    if len(memory) >= MAX_REMEMBERED:
        memory.clear()


class View:
    """Implements `directory.port.Directory`. Thread-safe."""

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
        self._defaults = defaults or Defaults()
        self._memory = _Memory(-1, 0.0)

    def _check(self) -> _Memory:
        memory, generation = self._memory, self._source.generation()
        if generation != memory.generation or (self._profile.is_timed and self._now() >= memory.forget_at):
            memory = self._memory = _Memory(generation, self._now() + TIMED_SECONDS)
        return memory

    def freshness(self) -> Freshness:
        found = self._source.freshness()
        if self._source.profile() != self._profile.fingerprint:
            # during a reload: the keys of one profile are not those of the other, so nothing proves an absence
            return dataclasses.replace(found, complete=False, trouble="the copy is indexed for another profile")
        return found

    def _domain(self, memory: _Memory, name: str) -> Domain | None:
        known: Domain | None = memory.domains.get(name, _UNKNOWN)
        if known is not _UNKNOWN:
            return known
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
        _room(memory.domains)
        memory.domains[name] = found
        return found

    def domain(self, name: str) -> Domain | None:
        return self._domain(self._check(), name)

    def domains(self) -> tuple[Domain, ...]:
        memory = self._check()
        if memory.all_domains is None:
            names = (*self._source.keys("domain"), *self._profile.static_domains)
            found = {domain.name: domain for name in names if (domain := self._domain(memory, name)) is not None}
            memory.all_domains = tuple(found[name] for name in sorted(found))
        return memory.all_domains

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

    def _entry(self, memory: _Memory, entry_id: str) -> Entry | None:
        known: Entry | None = memory.built.get(entry_id, _UNKNOWN)
        if known is not _UNKNOWN:
            return known
        raw = self._source.get(entry_id)
        found = self._profile.values(raw, now=self._now(), groups_of=self._raw_groups) if raw is not None else None
        built = None
        if raw is not None and found is not None:
            cls, values = found
            if "addresses" in values:
                primary = values.get("primary_address") or values.get("mail") or values["addresses"][0]
                name = _domain_of(primary, values["addresses"][0])
                domain = self._domain(memory, name)
                values = filled(values, self._inherits(memory, cls, name, domain))
                limit_status(cls, values, domain)
            if self._profile.has_soft_members and issubclass(cls, MailingList | Group):
                values["members"] = tuple(dict.fromkeys((*values.get("members", ()), *self._soft_members(raw))))
            built = cls(id=raw.id, dn=canonical_dn(raw.dn), **values)
        _room(memory.built)
        memory.built[entry_id] = built
        return built

    def _inherits(self, memory: _Memory, cls: type[Entry], name: str, domain: Domain | None) -> dict[str, Any]:
        key = (cls, name if domain is not None else "")
        found = memory.inherited.get(key)
        if found is None:
            found = memory.inherited[key] = inherited(cls, domain, self._defaults)
        return found

    def owners(self, address: str) -> tuple[Recipient, ...]:
        memory = self._check()
        known = memory.owners.get(address)
        if known is None:
            found = (self._entry(memory, entry_id) for entry_id in self._source.ids("address", address))
            known = tuple(entry for entry in found if isinstance(entry, Recipient))
            _room(memory.owners)
            memory.owners[address] = known
        return known

    def by_login(self, login: str) -> tuple[Account | ServiceAccount, ...]:
        memory = self._check()
        known = memory.logins.get(login)
        if known is None:
            found = (self._entry(memory, entry_id) for entry_id in self._source.ids("login", login_key(login)))
            known = tuple(entry for entry in found if isinstance(entry, Account | ServiceAccount))
            _room(memory.logins)
            memory.logins[login] = known
        return known

    def by_id(self, entry_id: str) -> Entry | None:
        return self._entry(self._check(), entry_id)

    def by_dn(self, dn: str) -> Entry | None:
        memory = self._check()
        known: Entry | None = memory.names.get(dn, _UNKNOWN)
        if known is not _UNKNOWN:
            return known
        found, name = None, canonical_dn(dn)
        for entry_id in self._source.ids("dn", name):
            entry = self._entry(memory, entry_id)
            if entry is not None and entry.dn == name:  # keys of an index end after 511 octets
                found = entry
                break
        _room(memory.names)
        memory.names[dn] = found
        return found

    def own_values(self, entry_id: str) -> dict[str, Any]:
        raw = self._source.get(entry_id)
        found = self._profile.values(raw, now=self._now(), groups_of=self._raw_groups) if raw is not None else None
        if raw is None or found is None:
            return {}
        cls, values = found
        login = self._profile.attribute_of(cls, "logins") if "logins" in values else None
        if login is not None:  # addresses serve as logins too, without standing there
            there = {text.casefold() for text in raw.texts(login.lower())}
            values["logins"] = tuple(text for text in values["logins"] if text.casefold() in there)
        return dict(values)

    def attributes(self, entry_id: str) -> tuple[str, dict[str, list[bytes]]] | None:
        raw = self._source.get(entry_id)
        return (raw.dn, dict(raw.attributes)) if raw is not None else None

    def groups_of(self, dn: str) -> tuple[str, ...]:
        memory = self._check()
        dn = canonical_dn(dn)
        raw = None
        if self._profile.has_soft_members:
            raw = next((raw for raw in map(self._source.get, self._source.ids("dn", dn)) if raw is not None), None)
        found = (self._entry(memory, entry_id) for entry_id in self._above(dn, raw))
        return tuple(entry.dn for entry in found if entry is not None)

    def shared_with(self, dns: Collection[str]) -> tuple[MailboxHolder, ...]:
        memory = self._check()
        ids = {entry_id: None for dn in dns for entry_id in self._source.ids("access", canonical_dn(dn))}
        found = (self._entry(memory, entry_id) for entry_id in ids)
        return tuple(entry for entry in found if isinstance(entry, MailboxHolder))

    def search(self, base: str, scope: str, filter_text: str) -> Iterator[Entry]:
        memory = self._check()
        question = (canonical_dn(base), scope, filter_text)
        answer = memory.searches.get(question)
        if answer is None:
            # every message to a dynamic list asks the same
            answer = tuple(self._find(*question))
            _room(memory.searches)
            memory.searches[question] = answer
        for entry_id in answer:
            entry = self._entry(memory, entry_id)
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
        memory = self._check()
        known = memory.held.get(entry_id)
        if known is None:
            _room(memory.held)
            known = memory.held[entry_id] = self._source.held(entry_id)
        return known

    def change_mark(self, entry_id: str) -> str:
        raw = self._source.get(entry_id)
        return version_of(raw) if raw is not None else ""

    def login_mark(self, entry_id: str) -> LoginMark | None:
        raw = self._source.get(entry_id)
        return login_mark(raw) if raw is not None else None


def _domain_of(primary: str, address: str) -> str:
    """The canonical domain of an address as the directory has it, else of one that is canonical already."""
    try:
        return canonical_domain(primary.rpartition("@")[2])
    except InvalidAddress:
        return address.rpartition("@")[2]
