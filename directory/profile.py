"""Mapping profiles: which entries of a directory are accounts, aliases, lists, shared mailboxes, domains,
and in which attributes their values stand.

A profile is a YAML file. `attributes: gatepost` takes every field from the attribute that the model
names; a kind's `map:` overrides single fields. `Profile.build` gives the model object of a raw entry.
"""

from __future__ import annotations

import calendar
import dataclasses
import hashlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from directory.filter import Predicate, compile_filter
from directory.model import (
    Account,
    Alias,
    Domain,
    Entry,
    InvalidAddress,
    MailingList,
    ServiceAccount,
    SharedMailbox,
    canonical_address,
    canonical_domain,
)
from directory.model.attribute import BOOLEAN, DN, INTEGER, TIME, Facts, Syntax, is_multi
from directory.model.entries import Group
from directory.raw import RawEntry, canonical_dn

#: kind in a profile -> model class; an entry is of the first kind whose filter matches
KINDS: dict[str, type[Entry]] = {
    "domain": Domain,
    "account": Account,
    "shared": SharedMailbox,
    "list": MailingList,
    "alias": Alias,
    "service": ServiceAccount,
    "group": Group,
}

VERSION = 1  #: raise it when the same profile gives other index keys than before

Reader = Callable[[RawEntry], Any]


class InvalidProfile(ValueError):
    """The profile cannot be used; the message names file, key and what is allowed."""


def generalized_time(text: str) -> float:
    """GeneralizedTime (RFC 4517 3.3.13) as unix time. Raises ValueError."""
    match = re.match(r"(\d{10})(\d\d)?(\d\d)?(?:[.,](\d+))?(Z|[+-]\d{4})\Z", text)
    if match is None:
        raise ValueError(f"{text!r} is no generalized time such as 20301231235959Z")
    stamp = f"{match[1]}{match[2] or '00'}{match[3] or '00'}"
    seconds = float(calendar.timegm(time.strptime(stamp, "%Y%m%d%H%M%S")))
    if match[5] != "Z":
        sign = 1 if match[5][0] == "+" else -1
        seconds -= sign * (int(match[5][1:3]) * 3600 + int(match[5][3:5]) * 60)
    return seconds


def _decode(syntax: Syntax, text: str) -> Any:
    if syntax is BOOLEAN:
        return text.strip().upper() == "TRUE"
    if syntax is INTEGER:
        return int(text)
    if syntax is TIME:
        return generalized_time(text)
    if syntax is DN:
        return canonical_dn(text)
    return text


def _reader(name: str, facts: Facts, multi: bool, default: Any) -> Reader:
    syntax, lower = facts.syntax, name.lower()

    def read(entry: RawEntry) -> Any:
        found = []
        for text in entry.texts(lower):
            try:
                found.append(_decode(syntax, text))
            except ValueError:
                continue  # the server's syntax check is loose; one odd value must not hide the entry
        if multi:
            return tuple(found) if found else default
        return found[0] if found else default

    return read


def _canonical_addresses(values: tuple[str, ...]) -> tuple[str, ...]:
    result = []
    for value in values:
        try:
            result.append(str(canonical_address(value)))
        except InvalidAddress:
            continue
    return tuple(dict.fromkeys(result))


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    cls: type[Entry]
    matches: Predicate
    readers: tuple[tuple[str, Reader], ...]
    login: tuple[str, ...]
    address: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Keys:
    """Under which keys an entry is found."""

    addresses: tuple[str, ...] = ()
    logins: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    kind: str | None = None


class Profile:
    """A loaded profile. `id_attribute` holds the entry's immutable id on this server."""

    def __init__(self, data: dict[str, Any], where: str) -> None:
        self.name = str(data.get("profile", where))
        self.id_attribute = str(data.get("id", "entryUUID")).lower()
        self.fingerprint = hashlib.sha256(f"{VERSION}{data!r}".encode()).hexdigest().encode()
        self.static_domains: tuple[str, ...] = ()
        own = data.get("attributes") == "gatepost"
        kinds = []
        for name, cls in KINDS.items():
            section = data.get(name)
            if section is None:
                continue
            overrides = section.get("map", {})
            readers = []
            for field in dataclasses.fields(cls):
                facts: Facts | None = field.metadata.get("ldap")
                if facts is None:
                    continue
                source = overrides.get(field.name, facts.ldap_name if own or facts.number is None else None)
                if source is not None:
                    readers.append(
                        (
                            field.name,
                            _reader(
                                str(source),
                                facts,
                                is_multi(field) or "tuple" in str(field.type),
                                field.default,
                            ),
                        )
                    )
            kinds.append(
                _Kind(
                    name,
                    cls,
                    compile_filter(section["filter"]),
                    tuple(readers),
                    tuple(a.lower() for a in section.get("login", ())),
                    tuple(a.lower() for a in section.get("address", ())),
                )
            )
        self._kinds = tuple(kinds)

    @classmethod
    def load(cls, name: str) -> Profile:
        """A shipped profile by name, or a file by path. Raises InvalidProfile, OSError."""
        if "/" in name:
            text = Path(name).read_text(encoding="utf-8")
        else:
            shipped = resources.files("directory") / "profiles" / f"{name}.yaml"
            if not shipped.is_file():
                raise InvalidProfile(f"profile {name!r} is not shipped; use native or the path of a file")
            text = shipped.read_text(encoding="utf-8")
        data = yaml.safe_load(text)
        if not isinstance(data, dict):
            raise InvalidProfile(f"{name}: a profile is a mapping")
        return cls(data, name)

    def _kind(self, raw: RawEntry) -> _Kind | None:
        for kind in self._kinds:
            if kind.matches(raw):
                return kind
        return None

    def kind(self, raw: RawEntry) -> str | None:
        """The name of the entry's kind, None when the profile does not care for it."""
        found = self._kind(raw)
        return found.name if found else None

    def build(self, raw: RawEntry) -> Entry | None:
        """The model object of `raw`, with the entry's own values only."""
        kind = self._kind(raw)
        if kind is None:
            return None
        values = {name: read(raw) for name, read in kind.readers}
        if "addresses" in {f.name for f in dataclasses.fields(kind.cls)}:
            values["addresses"] = _canonical_addresses(tuple(t for a in kind.address for t in raw.texts(a)))
        if "logins" in values:
            values["logins"] = tuple(dict.fromkeys(t for a in kind.login for t in raw.texts(a)))
        if kind.cls is Domain:
            try:
                values["name"] = canonical_domain(values["name"] or "")
            except InvalidAddress:
                return None
            values["aliases"] = tuple(self._domains(values["aliases"]))
        if "status" in values:
            values["status"] = _status(values["status"])
        return kind.cls(id=raw.id, dn=canonical_dn(raw.dn), **values)

    @staticmethod
    def _domains(names: tuple[str, ...]) -> Iterator[str]:
        for name in names:
            try:
                yield canonical_domain(name)
            except InvalidAddress:
                continue

    def keys(self, raw: RawEntry) -> Keys:
        """The index keys of `raw`; none when the profile does not care for it."""
        entry = self.build(raw)
        if entry is None:
            return Keys()
        addresses: tuple[str, ...] = getattr(entry, "addresses", ())
        if isinstance(entry, Domain):
            return Keys(domains=(entry.name, *entry.aliases), kind="domain")
        logins = tuple(dict.fromkeys(text.casefold() for text in getattr(entry, "logins", ())))
        members = (*getattr(entry, "members", ()), *getattr(entry, "unique_members", ()))
        return Keys(addresses, logins, (), tuple(members), self.kind(raw))


def _status(value: str | None) -> str:
    """An unknown word means suspended: mail is deferred, never refused, because of a typing error."""
    word = (value or "active").strip().lower()
    return word if word in ("active", "noaccess", "suspended", "closed") else "suspended"
