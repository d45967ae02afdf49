"""Mapping profiles: a foreign schema, every kind of source, rules, domains of the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from directory.effective import Defaults
from directory.memory import MemorySource
from directory.model import Account, Alias, Domain, Entry, Group, MailingList
from directory.profile import Profile
from directory.profile_text import ProfileText
from directory.raw import RawEntry
from directory.settings import DirectorySettings, StaticDomain
from directory.view import View

#: a schema of its own: other names for addresses, forwards and quota, DN and address lists
FOREIGN = """
profile: foreign
account:
  filter: (objectClass=labMailUser)
  login: [mail, uid]
  address: [mail, labAliasAddress]
  primary: [mail]
  map:
    quota: {attr: labQuota, unit: B}
    forwards: {attr: labForward, many: true}
alias:
  filter: (objectClass=labMailAlias)
  address: [labAliasAddress]
  map:
    forwards: labForward
list:
  filter: (objectClass=labMailList)
  address: [labAliasAddress]
  members: {dn: [member]}
"""


def raw(dn: str, **attributes: str | list[str]) -> RawEntry:
    values = {
        name.lower(): [text.encode() for text in ([value] if isinstance(value, str) else value)]
        for name, value in attributes.items()
    }
    return RawEntry(f"t:{dn}", dn, values)


def profile(text: str, **settings: Any) -> Profile:
    found = DirectorySettings(**settings)
    return Profile(ProfileText(text, "test.yaml", found.map), base=found.base, domains=found.domains)


def account(lines: str, *, rules: str = "[]", **attributes: str | list[str]) -> Account:
    """The account that a profile with these `map:` lines makes of the attributes."""
    text = "account:\n  filter: (uid=*)\n  login: [uid]\n  address: [mail]\n  rules: " + rules + "\n  map:\n"
    text += "".join(f"    {line}\n" for line in lines.splitlines())
    built = profile(text).build(raw("uid=j,o=x", uid="j", mail="j@x.example", **attributes), now=1_800_000_000.0)
    assert isinstance(built, Account)
    return built


def test_a_foreign_schema_is_mapped() -> None:
    mapped = profile(FOREIGN, domains=("lab.example",))
    people = [
        raw(
            f"uid=u{n},ou=people,o=lab",
            objectClass=["inetOrgPerson", "labMailUser"],
            uid=f"u{n}",
            mail=f"u{n}@lab.example",
            labAliasAddress=f"anna.{n}@lab.example",
            labQuota="1073741824",
        )
        for n in range(3)
    ]
    alias = raw("cn=a,o=lab", objectClass="labMailAlias", labAliasAddress="a@lab.example", labForward="u1@lab.example")
    mailing_list = raw(
        "cn=l,o=lab",
        objectClass=["groupOfNames", "labMailList"],
        labAliasAddress="l@lab.example",
        member=["uid=U0, ou=people,o=lab", "uid=u2,ou=people,o=lab"],
    )
    view = View(MemorySource(mapped, (*people, alias, mailing_list)), mapped)
    (anna,) = view.owners("anna.1@lab.example")
    assert isinstance(anna, Account) and anna.quota == 1 << 30 and anna.primary == "u1@lab.example"
    assert view.by_login("U1") == view.by_login("u1@lab.example") == (anna,)
    (found,) = view.owners("a@lab.example")
    assert isinstance(found, Alias) and found.forwards == ("u1@lab.example",)
    (found,) = view.owners("l@lab.example")
    assert isinstance(found, MailingList)
    assert [view.by_dn(dn).addresses[0] for dn in found.members] == ["u0@lab.example", "u2@lab.example"]  # type: ignore[union-attr]
    assert view.groups_of("uid=u0,ou=people,o=lab") == ("cn=l,o=lab",)
    domain = view.domain("lab.example")
    assert domain is not None and domain.kind == "local" and view.domain("other.example") is None


def test_static_domains_and_an_entry_of_the_same_name() -> None:
    static = StaticDomain("Bücher.example", aliases=("b.example",), catch_all=("all@bücher.example",))
    mapped = Profile.of(DirectorySettings(domains=("example.com", static)))
    entry = raw("cn=d,o=x", objectClass="gatepostDomain", gatepostDomainName="example.com", gatepostDomainKind="relay")
    view = View(MemorySource(mapped, (entry,)), mapped)
    assert [domain.name for domain in view.domains()] == ["example.com", "xn--bcher-kva.example"]
    assert view.domain("b.example") == view.domain("xn--bcher-kva.example")
    entry_wins = view.domain("example.com")
    assert entry_wins is not None and entry_wins.kind == "relay"


@pytest.mark.parametrize("profile_name", ["native", "inetorg"])
def test_shipped_profiles_load(profile_name: str) -> None:
    assert Profile.load(profile_name).name == profile_name


def test_inetorg_needs_nothing_but_mail() -> None:
    mapped = Profile.of(
        DirectorySettings(profile="inetorg", map={"list": {"filter": "(objectClass=groupOfNames)",
                                                           "address_template": "{cn}@x.example"}})
    )  # fmt: skip
    person = mapped.build(raw("uid=a,o=x", objectClass="inetOrgPerson", uid="a", mail=["a@x.example", "b@x.example"]))
    assert isinstance(person, Account) and person.addresses == ("a@x.example", "b@x.example")
    group = mapped.build(raw("cn=g,o=x", objectClass="groupOfNames", cn="Staff", member="uid=a,o=x"))
    assert isinstance(group, MailingList) and group.addresses == ("staff@x.example",)
    assert group.members == ("uid=a,o=x",)


@pytest.mark.parametrize(
    ("line", "attributes", "field", "expected"),
    [
        ("quota: mailQuota", {"mailQuota": "100"}, "quota", 100),
        ("quota: {attr: mailQuota, unit: KiB}", {"mailQuota": "100"}, "quota", 102400),
        ("quota: {attr: mailQuota, unit: KiB}", {"mailQuota": "5 GiB"}, "quota", 5 << 30),
        ("quota: {attr: mailQuota, default: 1 GiB}", {}, "quota", 1 << 30),
        ("quota: mailQuota", {"mailQuota": "lots"}, "quota", None),
        ("quota: mailQuota", {"mailQuota": "9" * 30}, "quota", None),
        ("quota: [a, {attr: b, unit: MiB}]", {"b": "2"}, "quota", 2 << 20),
        ("quota: {attr: [a, b]}", {"b": "2"}, "quota", 2),
        ("hidden: hide", {"hide": "TRUE"}, "hidden", True),
        ("hidden: {attr: hide, bool: true}", {"hide": "yes"}, "hidden", True),
        ("hidden: {const: true, when: (title=ghost)}", {"title": "Ghost"}, "hidden", True),
        ("hidden: {const: true, when: (title=ghost)}", {"title": "Chef"}, "hidden", False),
        ("status: {attr: s, values: {nopop: noaccess, '*': closed}}", {"s": "NoPop"}, "status", "noaccess"),
        ("status: {attr: s, values: {nopop: noaccess, '*': closed}}", {"s": "gone"}, "status", "closed"),
        ("status: {attr: s, values: {nopop: noaccess}}", {"s": "aktive"}, "status", "suspended"),
        ("status: {attr: s}", {}, "status", "active"),
        ("status: {attr: uac, bit: 2, then: noaccess}", {"uac": "514"}, "status", "noaccess"),
        ("status: {attr: uac, bit: 2, then: noaccess}", {"uac": "512"}, "status", "active"),
        ("status: {attr: e, filetime_past: true, then: closed}", {"e": "116444736000000000"}, "status", "closed"),
        ("status: {attr: e, filetime_past: true, then: closed}", {"e": "0"}, "status", "active"),
        ("status: {attr: e, generalized_past: true, then: closed}", {"e": "20200101000000Z"}, "status", "closed"),
        ("status: {attr: e, generalized_past: true, then: closed}", {"e": "20990101000000Z"}, "status", "active"),
        ("expires: {attr: e, filetime: true}", {"e": "116444736010000000"}, "expires", 1.0),
        ("expires: {attr: e, filetime: true}", {"e": str(0x7FFFFFFFFFFFFFFF)}, "expires", None),
        ("keep_copy: {attr: m, has_none_of: [forwardonly]}", {"m": ["x", "ForwardOnly"]}, "keep_copy", False),
        ("keep_copy: {attr: m, has_none_of: [forwardonly]}", {"m": "normal"}, "keep_copy", True),
        ("keep_copy: {attr: m, has_any_of: [both]}", {"m": "only"}, "keep_copy", False),
        ("maildir: {attr: m, strip: /var/qmail/}", {"m": "/var/qmail/j/q"}, "maildir", "j/q"),
        ("mail_host: {attr: h, prefix: 'smtp:'}", {"h": ["X400:no", "SMTP:h1"]}, "mail_host", "h1"),
        ("mail_host: {attr: h, prefix: 'SMTP:', exact: true}", {"h": ["smtp:no", "SMTP:h1"]}, "mail_host", "h1"),
        (r"mail_host: {attr: h, regex: '/o=\w+/(\w+)', lower: true}", {"h": ["?", "/o=a/HOST"]}, "mail_host", "host"),
        (r"mail_host: {attr: h, regex: '(\w)(\w)', to: '\2.\1'}", {"h": "ab"}, "mail_host", "b.a"),
        ("mail_host: {attr: h, replace: {' ': '-'}}", {"h": "a b c"}, "mail_host", "a-b-c"),
        ("display_name: {template: '{gn} {sn} {{x}}'}", {"gn": ["J", "K"], "sn": "D"}, "display_name", "J D {x}"),
        ("display_name: {template: '{gn} {sn}'}", {"gn": "J"}, "display_name", None),
        ("forwards: [a, b]", {"a": "1@x.example", "b": "2@x.example"}, "forwards", ("1@x.example", "2@x.example")),
        ("forwards: {attr: a, many: false}", {"a": ["1@x.example", "2@x.example"]}, "forwards", ("1@x.example",)),
        ("services: {const: [imap, submission]}", {}, "services", ("imap", "submission")),
    ],
)  # fmt: skip
def test_sources(line: str, attributes: dict[str, str | list[str]], field: str, expected: object) -> None:
    assert getattr(account(line, **attributes), field) == expected


def test_addresses_with_prefix_template_and_fallback() -> None:
    mapped = profile(
        "account:\n  filter: (uid=*)\n  login: [uid]\n"
        "  address: [{attr: proxyAddresses, prefix: 'smtp:'}, mail, {template: '{uid}@alias.example'}]\n"
        "  primary: [{attr: proxyAddresses, prefix: 'SMTP:', exact: true}, mail]\n"
        "list:\n  filter: (cn=*)\n  address: [mail]\n  address_template: '{cn}@x.example'\n"
    )
    built = mapped.build(
        raw(
            "cn=j,dc=x", uid="j", mail="J@x.example", proxyAddresses=["smtp:b@x.example", "SMTP:c@X.example", "X500:/o"]
        )
    )
    assert isinstance(built, Account)
    assert built.addresses == ("b@x.example", "c@x.example", "j@x.example", "j@alias.example")
    assert built.primary == "c@X.example"
    named, plain = mapped.build(raw("cn=g,dc=x", cn="g", mail="gg@x.example")), mapped.build(raw("cn=h,dc=x", cn="h"))
    assert isinstance(named, MailingList) and named.addresses == ("gg@x.example",)
    assert isinstance(plain, MailingList) and plain.addresses == ("h@x.example",)


def test_members_by_dn_address_and_filter_and_bare_names() -> None:
    mapped = profile(
        FOREIGN.replace("members: {dn: [member]}", "members: {dn: [a, b], address: [c], filter: [d]}").replace(
            "  map:\n    forwards: labForward\n", "  members: {dn: [t], address: [c], bare_domain: x.example}\n"
        ),
        base="o=lab",
    )
    built = mapped.build(
        raw("cn=l", objectClass="labMailList", labAliasAddress="l@x.example",
            a="uid=1,o=lab", b="UID=2,o=lab", c="e@x.example", d="(title=a b)", member="uid=3,o=lab")
    )  # fmt: skip
    assert isinstance(built, MailingList) and built.members == ("uid=1,o=lab", "uid=2,o=lab")
    assert built.member_addresses == ("e@x.example",) and built.unique_members == ()
    assert built.member_urls == ("ldap:///o=lab??sub?(title=a%20b)",)
    alias = mapped.build(
        raw("cn=a", objectClass="labMailAlias", labAliasAddress="a@x.example", c=["ann", "b@y.example"])
    )
    assert isinstance(alias, Alias) and alias.forwards == ("ann@x.example", "b@y.example")


def test_a_kind_may_be_bound_to_a_part_of_the_tree() -> None:
    mapped = profile(FOREIGN + "  base: ['ou=lists,{base}']\n", base="o=lab")
    inside, outside = (
        mapped.build(raw(f"cn=l,{ou},o=lab", objectClass="labMailList", labAliasAddress="l@x.example"))
        for ou in ("ou=Lists", "ou=other")
    )
    assert isinstance(inside, MailingList) and outside is None


def test_rules_fill_what_the_entry_leaves_open_and_the_first_wins() -> None:
    rules = "[{when: (employeeType=contractor), set: {quota: 100 MiB, services: [imap]}}, {set: {quota: 1 GiB}}]"
    contractor = account("quota: q", rules=rules, employeeType="Contractor")
    assert contractor.quota == 100 << 20 and contractor.services == ("imap",)
    assert account("quota: q", rules=rules).quota == 1 << 30
    assert account("quota: q", rules=rules, employeeType="contractor", q="7").quota == 7


def test_rules_by_group_direct_nested_and_by_the_servers_member_of() -> None:
    def text(nested: str) -> str:
        return FOREIGN.replace(
            "  primary: [mail]\n",
            f"  rules: [{{when_member_of: 'cn=Dept, o=lab', nested: {nested}, set: {{quota: 5 GiB}}}}]\n",
        ) + "group: {filter: (objectClass=groupOfNames)}\n"  # fmt: skip

    def quotas(nested: str) -> list[int | None]:
        mapped = profile(text(nested))
        people = [
            raw(f"uid={n},o=lab", objectClass="labMailUser", uid=n, mail=f"{n}@x.example", **more)
            for n, more in {"direct": {}, "inner": {}, "told": {"memberOf": "cn=dept,o=lab"}, "none": {}}.items()  # type: ignore[attr-defined]
        ]
        groups = [
            raw("cn=dept,o=lab", objectClass="groupOfNames", member=["uid=direct,o=lab", "cn=sub,o=lab"]),
            raw("cn=sub,o=lab", objectClass="groupOfNames", member=["uid=inner,o=lab", "cn=dept,o=lab"]),
        ]
        view = View(MemorySource(mapped, (*people, *groups)), mapped, Defaults(quota=1))
        found: list[Entry] = [view.owners(f"{n}@x.example")[0] for n in ("direct", "inner", "told", "none")]
        return [entry.quota for entry in found if isinstance(entry, Account)]

    big = 5 << 30
    assert quotas("false") == [big, 1, big, 1]
    assert quotas("true") == [big, big, big, 1]


def test_what_depends_on_the_time_is_seen_when_its_time_comes() -> None:
    now = [0.0]
    mapped = profile(
        FOREIGN.replace(
            "  map:\n    quota", "  map:\n    status: {attr: e, generalized_past: true, then: closed}\n    quota"
        )
    )
    entry = raw("uid=j,o=x", objectClass="labMailUser", uid="j", mail="j@x.example", e="19700101000020Z")
    view = View(MemorySource(mapped, (entry,)), mapped, now=lambda: now[0])
    assert [r.status for r in view.owners("j@x.example")] == ["active"]
    now[0] = 30.0
    assert [r.status for r in view.owners("j@x.example")] == ["closed"]


def test_the_domain_section_maps_names_and_aliases() -> None:
    mapped = profile(
        FOREIGN + "domain:\n  filter: (objectClass=mailDomain)\n  map: {name: dn1, aliases: alt, quota: q}\n"
    )
    built = mapped.build(
        raw("dn1=x", objectClass="mailDomain", dn1="X.example", alt=["y.example", "_bad_.", "-"], q="5")
    )
    assert isinstance(built, Domain) and (built.name, built.quota) == ("x.example", 5)
    assert "y.example" in built.aliases


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(FOREIGN)
    assert Profile.of(DirectorySettings(profile=str(path))).name == "foreign"


def test_members_by_login_name_and_members_that_name_their_lists() -> None:
    mapped = profile(
        "account: {filter: (uid=*), login: [uid], address: [mail]}\n"
        "list: {filter: (objectClass=mailGroup), address: [mail], members: {reverse: [memberOfGroup]}}\n"
        "group:\n  filter: (objectClass=posixGroup)\n  members: {login: [memberUid]}\n"
    )
    entries = (
        raw("uid=a,o=x", uid="A", mail="a@x.example", memberOfGroup="ALL@x.example"),
        raw("uid=b,o=x", uid="b", mail="b@x.example", memberOfGroup=["cn=all, o=x", "no@x.example"]),
        raw("uid=c,o=x", uid="c", mail="c@x.example"),
        raw("cn=all,o=x", objectClass="mailGroup", mail="all@x.example"),
        raw("cn=unix,o=x", objectClass="posixGroup", memberUid=["a", "C", "gone"]),
    )
    view = View(MemorySource(mapped, entries), mapped)
    (everybody,) = view.owners("all@x.example")
    assert isinstance(everybody, MailingList) and set(everybody.members) == {"uid=a,o=x", "uid=b,o=x"}
    unix = view.by_dn("cn=unix,o=x")
    assert isinstance(unix, Group) and unix.members == ("uid=a,o=x", "uid=c,o=x")
    assert set(view.groups_of("uid=a,o=x")) == {"cn=all,o=x", "cn=unix,o=x"}
    assert view.groups_of("uid=b,o=x") == ("cn=all,o=x",) and view.groups_of("uid=c,o=x") == ("cn=unix,o=x",)


def test_a_catch_all_of_the_profile_counts_where_the_address_has_an_owner() -> None:
    mapped = profile(
        "account: {filter: (uid=*), login: [uid], address: [mail], catch_all: 'catchall@{domain}'}\n",
        domains=("x.example", StaticDomain("y.example", catch_all=("y@y.example",)), "z.example"),
    )
    entries = (raw("uid=a,o=x", uid="a", mail=["catchall@x.example", "catchall@y.example"]),)
    view = View(MemorySource(mapped, entries), mapped)
    assert [domain.catch_all for domain in view.domains()] == [("catchall@x.example",), ("y@y.example",), ()]


def test_values_of_an_international_domain_are_inherited() -> None:
    mapped = Profile.load("native")
    domain = raw("cn=d,o=x", objectClass="gatepostDomain", gatepostDomainName="xn--fsqu00a.example", gatepostQuota="7")
    person = raw("uid=u,o=x", objectClass="gatepostAccount", uid="u", gatepostAddress="用户@例子.EXAMPLE")
    view = View(MemorySource(mapped, (domain, person)), mapped)
    (found,) = view.owners("用户@xn--fsqu00a.example")
    assert isinstance(found, Account) and found.quota == 7


def test_a_search_is_remembered_until_something_changes() -> None:
    mapped = Profile.load("native")
    source = MemorySource(mapped, (raw("uid=a,ou=p,o=x", objectClass="gatepostAccount", uid="a", ou="it"),))
    view = View(source, mapped)
    ask = ("OU=p, o=x", "sub", "(ou=it)")
    assert [entry.dn for entry in view.search(*ask)] == [entry.dn for entry in view.search(*ask)] == ["uid=a,ou=p,o=x"]
    source.put(raw("uid=b,ou=p,o=x", objectClass="gatepostAccount", uid="b", ou="IT"))
    assert len(list(view.search(*ask))) == 2 and not list(view.search("o=x", "one", "(ou=it)"))
    with pytest.raises(ValueError, match="filter"):
        list(view.search("o=x", "sub", "(ou=it"))
