"""Whatever stands in a profile, loading it gives a profile or InvalidProfile; and no entry breaks a profile."""

from __future__ import annotations

import copy
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from directory.findings import findings
from directory.memory import MemorySource
from directory.profile import InvalidProfile, Profile
from directory.profile_text import ProfileText
from directory.raw import RawEntry
from directory.view import View

WHOLE = yaml.safe_load("""
profile: whole
id: entryUUID
attributes: none
domain: {filter: (objectClass=d), map: {name: dn1, aliases: alt, catch_all: all}}
account:
  filter: (|(objectClass=a)(uid=*))
  base: ["ou=p,{base}"]
  login: [uid, {attr: mail, lower: true}]
  address: [{attr: proxy, prefix: "smtp:"}, mail, {template: "{uid}@x.example"}]
  primary: [{attr: proxy, prefix: "SMTP:", exact: true}, mail]
  catch_all: "catchall@{domain}"
  map:
    quota: {attr: q, unit: KiB, default: 1 GiB}
    status: [{attr: s, values: {a: active, "*": closed}}, {attr: u, bit: 2, then: noaccess}, {attr: f, filetime_past: true, then: closed}]
    keep_copy: {attr: d, has_none_of: [x], default: true}
    hidden: {attr: h, bool: true, when: (title=ghost)}
    expires: {attr: e, filetime: true}
    maildir: {attr: m, strip: /var/, replace: {" ": "-"}}
    store: {attr: m, regex: "(x)(y)", to: '\\\\2'}
    services: {const: [imap]}
  rules: [{when: (a=b), when_member_of: "cn=g,o=x", nested: true, set: {quota: 5, services: [imap]}}, {set: {hidden: true}}]
list: {filter: (objectClass=l), address_template: "{cn}@x.example",
       members: {dn: [member], address: [rfc], url: [u], filter: [f], bare_domain: x.example, login: [memberUid], reverse: [inGroup]}}
alias: {filter: (objectClass=al), address: [mail], members: {dn: [t], address: [r], bare_domain: x.example}}
group: {filter: (objectClass=g), members: {dn: [member]}}
""")
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=6), st.just([]), st.just({}), st.just([[]]),
    st.just({"attr": "x"}), st.just(["a", 7]), st.just({"a": {"b": []}}), st.floats(allow_nan=False), st.just("(a=b"),
)  # fmt: skip


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [here] if here else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += paths(inner, (*here, key))
    return found


PATHS = paths(WHOLE)


@settings(deadline=None)
@given(st.sampled_from(PATHS), ODD)
def test_an_odd_value_anywhere_is_told_or_harmless(path: tuple[Any, ...], odd: object) -> None:
    data = copy.deepcopy(WHOLE)
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = odd
    try:
        Profile(ProfileText(yaml.safe_dump(data), "odd.yaml"))
    except InvalidProfile as error:
        assert str(error).startswith("odd.yaml:")
    try:
        Profile(ProfileText(yaml.safe_dump(WHOLE), "odd.yaml", {path[0]: data.get(path[0])}))
    except InvalidProfile as error:
        assert "odd.yaml:" in str(error) or str(error).startswith("directory.map.")


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    try:
        Profile(ProfileText(text, "odd.yaml"))
    except InvalidProfile as error:
        assert str(error).startswith("odd.yaml")


NAMES = sorted({"objectclass", "uid", "mail", "proxy", "cn", "q", "s", "u", "f", "d", "h", "e", "m", "member", "memberuid",
                "ingroup", "rfc", "t", "dn1", "alt", "title", "memberof", "modifytimestamp"})  # fmt: skip
VALUES = st.one_of(
    st.binary(max_size=8), st.sampled_from([b"a", b"d", b"l", b"al", b"g", b"2", b"-1", b"9" * 40, b"cn=g,o=x", b"x@y.example",
                                            b"smtp:j@x.example", b"ghost", b"20200101000000Z", b"=", b"@", b"\xff", b"+=,"]),
)  # fmt: skip
ENTRIES = st.lists(
    st.tuples(st.sampled_from(["uid=j,ou=p,", "cn=g,o=x", "", "=", "a=b,,"]), st.dictionaries(st.sampled_from(NAMES), st.lists(VALUES, min_size=1, max_size=3))),
    max_size=4,
)  # fmt: skip
PROFILES = [Profile(ProfileText(yaml.safe_dump(WHOLE), "whole.yaml")), Profile.load("native"), Profile.load("inetorg")]


@settings(deadline=None)
@given(st.sampled_from(PROFILES), ENTRIES)
def test_no_entry_breaks_anything(profile: Profile, given_entries: list[tuple[str, dict[str, list[bytes]]]]) -> None:
    entries = tuple(RawEntry(f"t:{n}", dn, attributes) for n, (dn, attributes) in enumerate(given_entries))
    source = MemorySource(profile, entries)
    view = View(source, profile)
    for raw in entries:
        built = view.by_id(raw.id)
        for address in getattr(built, "addresses", ()):
            assert built in view.owners(address)
        for login in getattr(built, "logins", ()):
            assert built in view.by_login(login)
        view.groups_of(raw.dn)
    list(findings(source, profile))
    view.domains()
