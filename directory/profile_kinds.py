"""The sections of a mapping profile, one a kind of entry, compiled: filter, fields, members, rules.

`compile_kind` checks every key; what it returns only reads. A field is never filled by two keys.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from directory.filter import Predicate
from directory.model import (
    Account,
    Alias,
    Domain,
    Entry,
    MailingList,
    ServiceAccount,
    SharedMailbox,
)
from directory.model.attribute import ADDRESS, DN, NAME, TEXT, Facts, is_multi
from directory.model.entries import Group
from directory.profile_source import WORDS, Target, Values, choice, decoded, is_timed, literal, plain_decoder, template
from directory.profile_text import Place, nearest
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

#: fields with a key of their own in the section
_OWN_KEY = {"addresses": "address", "logins": "login", "primary_address": "primary"}
_MEMBER_FIELDS = ("members", "unique_members", "member_urls", "member_addresses", "targets")
#: key under `members` -> the field it fills, by kind
_MEMBERS: dict[str, dict[str, str]] = {
    "list": {"dn": "members", "address": "member_addresses", "url": "member_urls", "filter": "member_urls"},
    "alias": {"dn": "targets", "address": "forwards"},
    "group": {"dn": "members"},
}
_ADDRESSES, _LOGINS = Target("address", ADDRESS, True), Target("login", NAME, True)
MAX_RULES = 1000


@dataclass(frozen=True, slots=True)
class Rule:
    """What entries get that match: `member_of` are canonical DNs, one of which must hold the entry."""

    matches: Predicate | None
    member_of: frozenset[str]
    nested: bool
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plain:
    """A field whose values stand in one attribute."""

    field: str
    decode: Callable[[str], Any] | None
    multi: bool

    def why_not(self, text: str) -> str:
        """Why the value is not used; "" when it is."""
        if self.decode is not None:
            try:
                self.decode(text)
            except ValueError as error:
                return str(error)
        words = WORDS.get(self.field)
        if words and text.strip().lower() not in words:
            meaning = "which counts as suspended" if self.field == "status" else "which means nothing"
            return f"not one of {', '.join(words)}, {meaning}"
        return ""


@dataclass(frozen=True, slots=True)
class Kind:
    """One compiled section."""

    name: str
    cls: type[Entry]
    matches: Predicate
    bases: tuple[str, ...]
    #: attribute -> fields that are filled from it as it stands
    plain: Mapping[str, tuple[Plain, ...]]
    #: all other fields: (field, values, has several)
    fields: tuple[tuple[str, Values, bool], ...]
    login: Values
    address: Values
    #: used when `address` gives nothing
    address_template: Callable[[RawEntry], Sequence[str]]
    rules: tuple[Rule, ...]
    is_timed: bool
    #: login names of members
    member_logins: Values
    #: attributes in which members name this entry, by address or DN
    reverse: tuple[str, ...]

    def values(self, raw: RawEntry, now: float) -> dict[str, Any]:
        """What the entry itself says, by field; nothing for a field that it leaves open."""
        found: dict[str, Any] = {}
        plain = self.plain
        for name in raw.attributes:
            for field in plain.get(name, ()):
                texts = decoded(raw.texts(name), field.decode)
                if texts:
                    found[field.field] = tuple(texts) if field.multi else texts[0]
        for name, read, multi in self.fields:
            values = read(raw, now)
            if values:
                found[name] = tuple(values) if multi else values[0]
        return found


def _nothing(raw: RawEntry, now: float = 0.0) -> Sequence[Any]:
    return ()


def _facts(cls: type[Entry]) -> dict[str, tuple[Facts, Target]]:
    found = {}
    for field in dataclasses.fields(cls):
        facts: Facts | None = field.metadata.get("ldap")
        if facts is not None:
            multi = is_multi(field) or "tuple" in str(field.type)
            found[field.name] = (facts, Target(field.name, facts.syntax, multi))
    return found


def compile_kind(place: Place, name: str, section: Any, *, own_schema: bool, base: str) -> Kind:
    """Check and compile the section `name`. Raises InvalidProfile."""
    cls = KINDS[name]
    facts = _facts(cls)
    allowed = {"filter", "base", "map", "rules"}
    if "addresses" in facts:
        allowed |= {"address", "address_template", "primary"}
    if name == "account":
        allowed.add("catch_all")
    if "logins" in facts:
        allowed.add("login")
    if name in _MEMBERS:
        allowed.add("members")
    section = place.mapping(section, allowed)
    if "filter" not in section:
        raise place.fail("filter is missing: which entries are of this kind, such as (objectClass=inetOrgPerson)")
    if "logins" in facts and "login" not in section:
        raise place.fail("login is missing: the attributes whose values are login names, such as [uid, mail]")
    if "addresses" in facts and not {"address", "address_template"} & set(section):
        raise place.fail("address is missing: the attributes that hold addresses, such as [mail]")
    mapped = place.at("map").mapping(section.get("map") or {})
    if cls is Domain and not own_schema and "name" not in mapped:
        raise place.fail("map.name is missing: the attribute that holds the domain's name")
    address = section.get("address", [])
    plain, fields = _fields(place, name, section, facts, own_schema=own_schema, base=base)
    members: dict[str, Any] = section.get("members") or {}
    return Kind(
        name,
        cls,
        place.at("filter").filter(section["filter"]),
        _bases(place.at("base"), section.get("base"), base),
        plain,
        fields,
        choice(place.at("login"), section.get("login", []), _LOGINS, union=True),
        choice(place.at("address"), address, _ADDRESSES, union=True) if address else _nothing,
        template(place.at("address_template"), section["address_template"])
        if "address_template" in section
        else _nothing,
        _rules(place.at("rules"), section.get("rules", []), facts),
        any(map(is_timed, mapped.values())),
        choice(place.at("members", "login"), members["login"], _LOGINS, union=True) if "login" in members else _nothing,
        place.at("members", "reverse").attributes(members["reverse"]) if "reverse" in members else (),
    )


def _bases(place: Place, spec: Any, base: str) -> tuple[str, ...]:
    if spec is None:
        return ()
    return tuple(canonical_dn(text.replace("{base}", base)) for text in place.strings(spec))


def _fields(
    place: Place,
    name: str,
    section: dict[str, Any],
    facts: dict[str, tuple[Facts, Target]],
    *,
    own_schema: bool,
    base: str,
) -> tuple[Mapping[str, tuple[Plain, ...]], tuple[tuple[str, Values, bool], ...]]:
    members = _members(place.at("members"), name, section.get("members"), facts, base)
    mapped = place.at("map").mapping(section.get("map") or {})
    settable = [field for field in facts if field not in _OWN_KEY]
    plain: dict[str, tuple[Plain, ...]] = {}
    found = []

    def take(where: Place, field: str, spec: Any, target: Target) -> None:
        if isinstance(spec, str):
            name = where.attribute(spec)
            plain[name] = (*plain.get(name, ()), Plain(field, plain_decoder(target.syntax), target.multi))
        else:
            found.append((field, choice(where, spec, target, union=target.multi), target.multi))

    for field in mapped:
        where = place.at("map", field)
        if field in _OWN_KEY:
            raise where.fail(f"stands outside of map, as {_OWN_KEY[field]}:")
        if field not in settable:
            raise where.fail(f"no field of {name}; {nearest(field, settable)}")
        if field in members:
            raise where.fail("members says this already")
    for field, (fact, target) in facts.items():
        if field in members:
            found.append((field, members[field], True))
        elif field in mapped:
            take(place.at("map", field), field, mapped[field], target)
        elif field == "primary_address" and "primary" in section:
            take(place.at("primary"), field, section["primary"], target)
        elif field in ("addresses", "logins") or ("members" in section and field in _MEMBER_FIELDS):
            continue
        elif own_schema or fact.number is None:
            take(place, field, fact.ldap_name, target)
    return plain, tuple(found)


def _members(
    place: Place, name: str, spec: Any, facts: dict[str, tuple[Facts, Target]], base: str
) -> dict[str, Values]:
    if spec is None:
        return {}
    known = _MEMBERS[name]
    allowed = {*known, "bare_domain"} if "address" in known else set(known)
    spec = place.mapping(spec, allowed | ({"login", "reverse"} if name != "alias" else set()))
    if "bare_domain" in spec and "address" not in spec:
        raise place.at("bare_domain").fail("goes with address: the domain of values without one")
    parts: dict[str, list[Values]] = {}
    for key, field in known.items():
        if key not in spec:
            continue
        target = Target(field, DN if key == "dn" else TEXT, True)
        values = choice(place.at(key), spec[key], target, union=True)
        if key == "address" and "bare_domain" in spec:
            values = _with_domain(values, place.at("bare_domain").string(spec["bare_domain"]))
        elif key == "filter":
            values = _as_url(values, base)
        parts.setdefault(field, []).append(values)
    return {field: _together(tuple(values)) for field, values in parts.items()}


def _with_domain(values: Values, domain: str) -> Values:
    return lambda raw, now: [text if "@" in text else f"{text}@{domain}" for text in values(raw, now)]


def _as_url(values: Values, base: str) -> Values:
    """A search filter in an attribute as the memberURL (RFC 4516) that means the same."""
    head = f"ldap:///{quote(base, safe='=,')}??sub?"
    return lambda raw, now: [head + quote(text, safe="()=*&|!<>~\\") for text in values(raw, now)]


def _together(values: tuple[Values, ...]) -> Values:
    if len(values) == 1:
        return values[0]
    return lambda raw, now: [value for one in values for value in one(raw, now)]


def _rules(place: Place, spec: Any, facts: dict[str, tuple[Facts, Target]]) -> tuple[Rule, ...]:
    if not isinstance(spec, list):
        raise place.fail("a list of rules is expected: - {when: (filter), set: {field: value}}")
    if len(spec) > MAX_RULES:
        raise place.fail(f"{MAX_RULES} rules are allowed")
    return tuple(_rule(place.at(number), rule, facts) for number, rule in enumerate(spec))


def _rule(place: Place, spec: Any, facts: dict[str, tuple[Facts, Target]]) -> Rule:
    spec = place.mapping(spec, {"when", "when_member_of", "nested", "set"})
    if "set" not in spec:
        raise place.fail("set is missing: what entries get that match")
    if "nested" in spec and "when_member_of" not in spec:
        raise place.at("nested").fail("nested goes with when_member_of")
    groups = place.at("when_member_of").strings(spec["when_member_of"]) if "when_member_of" in spec else ()
    settable = [field for field in facts if field not in _OWN_KEY and field not in _MEMBER_FIELDS]
    values = {}
    for field, value in place.at("set").mapping(spec["set"]).items():
        where = place.at("set", field)
        if field not in settable:
            raise where.fail(f"no field that a rule can set; {nearest(field, settable)}")
        values[field] = literal(where, value, facts[field][1])
    return Rule(
        place.at("when").filter(spec["when"]) if "when" in spec else None,
        frozenset(map(canonical_dn, groups)),
        place.at("nested").flag(spec.get("nested", False)),
        values,
    )
