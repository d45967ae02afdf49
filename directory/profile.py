"""Mapping profiles: which entries of a directory are accounts, aliases, lists, shared mailboxes, domains,
and in which attributes their values stand.

A profile is a YAML file (docs/reference/profile.md). `attributes: gatepost` takes every field from the
attribute that the model names; a kind's section says what is different. `Profile.build` gives the model
object of a raw entry with the entry's own values and what the profile's rules set; `Profile.keys` under
which keys it is found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from directory.login_mark import BOOKKEEPING
from directory.model import Domain, Entry, InvalidAddress, canonical_address, canonical_domain
from directory.profile_kinds import KINDS, Kind, Rule, compile_kind
from directory.profile_source import WORDS
from directory.profile_text import InvalidProfile, Place, ProfileText
from directory.raw import RawEntry, canonical_dn, is_below, login_key
from directory.settings import DirectorySettings, StaticDomain

__all__ = ["InvalidProfile", "Keys", "Profile"]

VERSION = 4  #: raise it when the same profile gives other index keys or counts than before

#: (canonical DN of an entry, raw entry, nested) -> canonical DNs of the groups that hold it
GroupsOf = Callable[[str, RawEntry, bool], Collection[str]]


@dataclass(frozen=True, slots=True)
class Keys:
    """Under which keys an entry is found."""

    addresses: tuple[str, ...] = ()
    logins: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    #: who may look into its mailbox
    access: tuple[str, ...] = ()
    kind: str | None = None


def _canonical_addresses(values: Collection[str]) -> tuple[str, ...]:
    result: dict[str, None] = {}
    for value in values:
        try:
            result[str(canonical_address(value))] = None
        except InvalidAddress:
            continue
    return tuple(result)


def _canonical_domains(names: Collection[str]) -> tuple[str, ...]:
    result = []
    for name in names:
        try:
            result.append(canonical_domain(name))
        except InvalidAddress:
            continue
    return tuple(result)


def _status(value: str) -> str:
    """An unknown word means suspended: mail is deferred, never refused, because of a typing error."""
    word = value.strip().lower()
    return word if word in WORDS["status"] else "suspended"


class Profile:
    """A compiled profile. `id_attribute` holds the entry's immutable id on this server."""

    def __init__(self, text: ProfileText, *, base: str = "", domains: Collection[str | StaticDomain] = ()) -> None:
        top = Place(text)
        data = top.mapping(text.data, {"profile", "id", "attributes", *KINDS})
        self.name: str = top.at("profile").string(data.get("profile", text.file))
        self.id_attribute = top.at("id").attribute(data.get("id", "entryUUID"))
        self.fingerprint = hashlib.sha256(f"{VERSION}{base}{data!r}".encode()).hexdigest().encode()
        #: what the server notes in entries by itself, as far as this profile has no use for it
        self.bookkeeping = frozenset(name for name in BOOKKEEPING if name not in repr(data).lower())
        #: domains that the configuration names, by name and alias
        self.static_domains = _static_domains(domains)
        schema = data.get("attributes", "none")
        if schema not in ("gatepost", "none"):
            raise top.at("attributes").fail(f"{schema!r} is not one of gatepost, none")
        sections = {name: data[name] for name in KINDS if name in data}
        if "account" not in sections:
            raise top.fail(
                f"account is missing: a profile says which entries are accounts; sections: {', '.join(KINDS)}"
            )
        self._kinds = tuple(
            compile_kind(top.at(name), name, section, own_schema=schema == "gatepost", base=base)
            for name, section in sections.items()
        )
        #: entries of Gatepost's own schema: they can be made through Gatepost too
        self.has_own_schema = schema == "gatepost"
        self._own_keys = {
            (KINDS[name], field): first
            for name, section in sections.items()
            for field, key in (("addresses", "address"), ("logins", "login"))
            if isinstance(section, dict) and (first := _first_attribute(section.get(key)))
        }
        #: where mail to unknown users of a domain goes that names nobody, when that address has an owner
        self.catch_all = _catch_all(top.at("account", "catch_all"), sections["account"])
        self._reverse = tuple({name: None for kind in self._kinds for name in kind.reverse})
        #: members of some groups are not named by DN in the group: `soft_members`, `groups_named`
        self.has_soft_members = bool(self._reverse) or any("login" in _members_of(s) for s in sections.values())
        #: built entries depend on the time of day
        self.is_timed = any(kind.is_timed for kind in self._kinds)

    @classmethod
    def load(cls, name: str) -> Profile:
        """A shipped profile by name, or a file by path, as it stands. Raises InvalidProfile."""
        return cls(ProfileText.load(name))

    @classmethod
    def of(cls, settings: DirectorySettings) -> Profile:
        """The profile that the configuration names, with `directory.map` and `directory.domains`.

        Raises InvalidProfile.
        """
        return cls(ProfileText.load(settings.profile, settings.map), base=settings.base, domains=settings.domains)

    def _kind(self, raw: RawEntry) -> Kind | None:
        for kind in self._kinds:
            if kind.matches(raw):
                if not kind.bases:
                    return kind
                dn = canonical_dn(raw.dn)
                if any(is_below(dn, base) for base in kind.bases):
                    return kind
        return None

    def kind(self, raw: RawEntry) -> str | None:
        """The name of the entry's kind, None when the profile does not care for it."""
        found = self._kind(raw)
        return found.name if found else None

    def attribute_of(self, cls: type[Entry], field: str) -> str | None:
        """The attribute (lower case) in which a field stands as it is, so that it can be written; None when there is none."""
        if (cls, field) in self._own_keys:
            return self._own_keys[cls, field].lower()
        for kind in self._kinds:
            if kind.cls is cls:
                found = [name for name, plain in kind.plain.items() if any(p.field == field for p in plain)]
                return found[0].lower() if len(found) == 1 else None
        return None

    @staticmethod
    def _addresses(kind: Kind, raw: RawEntry, now: float) -> tuple[str, ...]:
        return _canonical_addresses(kind.address(raw, now)) or _canonical_addresses(kind.address_template(raw))

    def build(self, raw: RawEntry, *, now: float = 0.0, groups_of: GroupsOf | None = None) -> Entry | None:
        """The model object of `raw` with what it says itself and what rules set; None when the profile does
        not care for it."""
        found = self.values(raw, now=now, groups_of=groups_of)
        return found[0](id=raw.id, dn=canonical_dn(raw.dn), **found[1]) if found is not None else None

    def values(
        self, raw: RawEntry, *, now: float, groups_of: GroupsOf | None
    ) -> tuple[type[Entry], dict[str, Any]] | None:
        """Class and fields of `raw`: its own values, then what rules set (the first that sets a field).

        `groups_of` answers `when_member_of`; without it such rules do not apply. Open fields are absent.
        """
        kind = self._kind(raw)
        if kind is None:
            return None
        values = kind.values(raw, now)
        if "status" in values:
            values["status"] = _status(values["status"])
        if "services" in values:
            values["services"] = tuple(text.strip().lower() for text in values["services"])
        if kind.rules:
            dn = canonical_dn(raw.dn)
            for rule in kind.rules:
                if _applies(rule, raw, dn, groups_of):
                    for name, value in rule.values.items():
                        values.setdefault(name, value)
        if kind.cls is Domain:
            try:
                values["name"] = canonical_domain(values.get("name") or "")
            except InvalidAddress:
                return None
            values["aliases"] = _canonical_domains(values.get("aliases", ()))
            if "kind" in values:
                values["kind"] = values["kind"].strip().lower()
        else:
            addresses = self._addresses(kind, raw, now)
            if addresses:
                values["addresses"] = addresses
            logins = kind.login(raw, now)
            if logins:
                values["logins"] = tuple(dict.fromkeys(logins))
        return kind.cls, values

    def keys(self, raw: RawEntry) -> Keys:
        """The index keys of `raw`; none when the profile does not care for it."""
        kind = self._kind(raw)
        if kind is None:
            return Keys()
        values = kind.values(raw, 0.0)
        if kind.cls is Domain:
            name = _canonical_domains((values.get("name", ""),))
            return Keys(domains=(*name, *_canonical_domains(values.get("aliases", ()))) if name else (), kind=kind.name)
        logins = tuple({login_key(text): None for text in kind.login(raw, 0.0)})
        members = {dn: None for name in ("members", "unique_members") for dn in values.get(name, ())}
        if self.has_soft_members:
            members.update((f"login:{login_key(text)}", None) for text in kind.member_logins(raw, 0.0))
            members.update((f"in:{name}", None) for _, name in self.groups_named(raw))
        access = tuple({dn: None for name in ("full_access", "read_access") for dn in values.get(name, ())})
        return Keys(self._addresses(kind, raw, 0.0), logins, (), tuple(members), access, kind.name)

    def groups_named(self, raw: RawEntry) -> list[tuple[str, str]]:
        """Lists and groups that the entry itself says it is in: (index, key)."""
        found = []
        for attribute in self._reverse:
            for text in raw.texts(attribute):
                if "=" in text:
                    found.append(("dn", canonical_dn(text)))
                else:
                    found += [("address", address) for address in _canonical_addresses((text,))]
        return found

    def soft_members(self, raw: RawEntry) -> list[tuple[str, str]]:
        """Under which keys members of a list or group are found that it does not name by DN: (index, key)."""
        kind = self._kind(raw)
        if kind is None:
            return []
        found = [("login", login_key(text)) for text in kind.member_logins(raw, 0.0)]
        if kind.reverse:
            names = (canonical_dn(raw.dn), *self._addresses(kind, raw, 0.0))
            found += [("member", f"in:{name}") for name in names]
        return found

    def odd_values(self, raw: RawEntry) -> Iterator[tuple[str, str, str]]:
        """What of `raw` cannot be used and is left out: (attribute or field, value, why)."""
        kind = self._kind(raw)
        if kind is None:
            return
        for name, texts in raw.attributes.items():
            for field in kind.plain.get(name, ()):
                for text in raw.texts(name) if texts else ():
                    why = field.why_not(text)
                    if why:
                        yield name, text, why
        for text in kind.address(raw, 0.0):
            try:
                canonical_address(text)
            except InvalidAddress as error:
                yield "address", text, str(error)


def _members_of(section: Any) -> Any:
    return (section.get("members") or {}) if isinstance(section, dict) else {}


def _catch_all(place: Place, section: dict[str, Any]) -> str:
    if "catch_all" not in section:
        return ""
    text = place.string(section["catch_all"])
    try:
        canonical_address(text.replace("{domain}", "example.com"))
    except InvalidAddress as error:
        raise place.fail(f"{error}; an address such as catchall@{{domain}} is expected") from error
    return text


def _first_attribute(spec: Any) -> str:
    """The attribute that a list of sources names first; "" when that is something else."""
    first = spec[0] if isinstance(spec, list) and spec else spec
    return first if isinstance(first, str) else ""


def _applies(rule: Rule, raw: RawEntry, dn: str, groups_of: GroupsOf | None) -> bool:
    if rule.matches is not None and not rule.matches(raw):
        return False
    if not rule.member_of:
        return True
    return groups_of is not None and not rule.member_of.isdisjoint(groups_of(dn, raw, rule.nested))


def _static_domains(domains: Collection[str | StaticDomain]) -> Mapping[str, Domain]:
    """By name and alias. Raises InvalidProfile for a name that is no domain or stands twice."""
    found: dict[str, Domain] = {}
    for number, given in enumerate(domains):
        wanted = StaticDomain(given) if isinstance(given, str) else given
        steps = ("directory", "domains", str(number))
        try:
            name, *aliases = (canonical_domain(text) for text in (wanted.name, *wanted.aliases))
        except InvalidAddress as error:
            raise InvalidProfile(f"{'.'.join(steps)}: {error}", key=steps, reason=str(error)) from error
        domain = Domain(
            id=f"configuration:{name}",
            dn="",
            name=name,
            aliases=tuple(aliases),
            kind=wanted.kind,
            catch_all=wanted.catch_all,
        )
        for key in (name, *aliases):
            if key in found:
                reason = f"{key} stands here twice"
                raise InvalidProfile(f"{'.'.join(steps)}: {reason}", key=steps, reason=reason)
            found[key] = domain
    return found
