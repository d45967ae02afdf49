"""What `gatepost directory check` finds in a copy, and what it does not complain about."""

from __future__ import annotations

from pathlib import Path

import pytest

from directory.findings import findings, reserved_attributes, transport
from directory.memory import MemorySource
from directory.profile import Profile
from directory.raw import RawEntry
from directory.replica_writer import ReplicaWriter
from directory.settings import Bind, DirectorySettings, Tls

NATIVE = Profile.load("native")


def raw(dn: str, kind: str, **values: str | list[str]) -> RawEntry:
    attributes = {"objectclass": [kind.encode()]}
    for name, value in values.items():
        full = name if name in ("uid", "mail", "member", "owner", "memberURL") else f"gatepost{name}"
        attributes[full.lower()] = [text.encode() for text in ([value] if isinstance(value, str) else value)]
    return RawEntry(f"x:{dn}", dn, attributes)


def jane(**more: str | list[str]) -> RawEntry:
    return raw("uid=jane,o=x", "gatepostAccount", **{"uid": "jane", "Address": "jane@example.com", **more})


DOMAIN = raw("cn=example.com,o=x", "gatepostDomain", DomainName="example.com")
MEMBER = {"member": "uid=jane,o=x"}


def codes(*entries: RawEntry, domain: RawEntry = DOMAIN) -> list[tuple[str, str, str]]:
    found = findings(MemorySource(NATIVE, (domain, *entries)), NATIVE)
    return [(finding.level, finding.code, finding.dn) for finding in found]


def test_a_good_company_has_no_findings() -> None:
    team = raw("cn=team,o=x", "gatepostList", Address="team@example.com", **MEMBER)
    alias = raw("cn=info,o=x", "gatepostAlias", Address="info@example.com", Target="uid=jane,o=x")
    assert codes(jane(Quota="5", QuotaSoft="4", AllowNet="10.0.0.0/8", Service="IMAP"), team, alias) == []


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([jane(Sieve="keep;")], ("warning", "reserved-attribute", "uid=jane,o=x")),
        ([jane(Status="aktive")], ("warning", "odd-value", "uid=jane,o=x")),
        ([jane(Quota="lots")], ("warning", "odd-value", "uid=jane,o=x")),
        ([jane(Expires="tomorrow")], ("warning", "odd-value", "uid=jane,o=x")),
        ([jane(Service="imapp")], ("warning", "odd-value", "uid=jane,o=x")),
        ([jane(AllowNet="10.0.0.0/99")], ("warning", "odd-value", "uid=jane,o=x")),
        ([jane(Address=["jane@example.com", "no address"])], ("warning", "odd-value", "uid=jane,o=x")),
        ([jane(Quota="4", QuotaSoft="5")], ("warning", "soft-over-hard", "uid=jane,o=x")),
        ([jane(Address=["jane@example.com", "j@other.example"])], ("warning", "unknown-domain", "uid=jane,o=x")),
        ([jane(Forward="no address")], ("error", "bad-target", "uid=jane,o=x")),
        ([raw("cn=l,o=x", "gatepostList", Address="l@example.com")], ("warning", "empty-list", "cn=l,o=x")),
        ([raw("cn=l,o=x", "gatepostList", Address="l@example.com", member="uid=gone,o=x")], ("warning", "dangling", "cn=l,o=x")),
        ([raw("cn=l,o=x", "gatepostList", Address="l@example.com", memberURL="ldap:///o=x??sub?(uid=x")], ("error", "bad-member-url", "cn=l,o=x")),
        ([raw("cn=a,o=x", "gatepostAlias", Address="a@example.com")], ("error", "leads-nowhere", "cn=a,o=x")),
        ([raw("cn=d,o=x", "gatepostDomain")], ("warning", "no-domain-name", "cn=d,o=x")),
        ([raw("cn=d,o=x", "gatepostDomain", DomainName="example.com")], ("warning", "shared-domain", "cn=example.com,o=x")),
        ([jane(), raw("cn=l,o=x", "gatepostSharedMailbox", Address="JANE@example.com")], ("error", "shared-address", "uid=jane,o=x")),
        ([jane(), raw("cn=l,o=x", "gatepostAccount", uid="Jane", Address="l@example.com")], ("error", "shared-login", "uid=jane,o=x")),
    ],
)  # fmt: skip
def test_is_found(entries: list[RawEntry], expected: tuple[str, str, str]) -> None:
    assert codes(*entries) == [expected]


def test_more_accounts_than_a_domain_may_have() -> None:
    def company(most: str) -> list[tuple[str, str, str]]:
        domain = raw("cn=example.com,o=x", "gatepostDomain", DomainName="example.com", MaxAccounts=most)
        other = raw("cn=other,o=x", "gatepostDomain", DomainName="other.example", MaxAccounts="1")
        bob = raw("uid=bob,o=x", "gatepostAccount", uid="bob", Address=["bob@example.com", "bob@other.example"])
        desk = raw("cn=desk,o=x", "gatepostSharedMailbox", Address="desk@example.com")
        return codes(jane(), bob, desk, other, domain=domain)

    assert company("1") == [("warning", "too-many-accounts", "cn=example.com,o=x")]
    assert company("2") == company("0") == []


def test_cycles_are_told_once_and_ended() -> None:
    def ring(name: str, *members: str) -> RawEntry:
        return raw(
            f"cn={name},o=x", "gatepostList", Address=f"{name}@example.com", member=[f"cn={m},o=x" for m in members]
        )

    found = codes(ring("a", "b", "a"), ring("b", "c"), ring("c", "a", "d"), ring("d", "e"), ring("e", "d"))
    assert [code for _, code, _ in found] == ["cycle"] * 3


def test_no_domain_at_all() -> None:
    alone = findings(MemorySource(NATIVE, (jane(),)), NATIVE)
    assert {(finding.level, finding.code) for finding in alone} == {
        ("warning", "unknown-domain"),
        ("error", "no-domains"),
    }


def test_reserved_are_those_that_no_class_honours() -> None:
    names = reserved_attributes()
    assert (
        "gatepostsieve" in names
        and "gatepostvacation" not in names
        and "gatepostquota" not in names
        and "gatepostaddress" not in names
    )


def test_the_copy_names_addresses_of_several_entries(tmp_path: Path) -> None:
    writer = ReplicaWriter(tmp_path, NATIVE)
    writer.begin_refresh()
    writer.stage(
        [DOMAIN, jane(), raw("cn=l,o=x", "gatepostAccount", uid="l", Address=["jane@example.com", "l@example.com"])]
    )
    writer.finish_refresh(None, by_presence=True)
    reader = writer.reader()
    assert reader.shared("address", 10) == (("jane@example.com", ("cn=l,o=x", "uid=jane,o=x")),)
    assert reader.shared("address", 0) == () and reader.counts() == {"accounts": 2, "domains": 1}


def test_how_passwords_travel_and_lie(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o644)

    def codes_of(*servers: str, **more: object) -> list[str]:
        return [finding.code for finding in transport(DirectorySettings(servers=servers, **more))]  # type: ignore[arg-type]

    assert codes_of("ldap://dir.example", "ldaps://dir.example", "ldap://127.0.0.1", "ldap://[::1]:3890") == [
        "clear-text"
    ]
    assert codes_of("ldap://dir.example", tls=Tls(starttls=True, verify="none")) == ["unverified-tls"]
    assert codes_of("ldaps://dir.example", bind=Bind(dn="cn=g", password_file=str(secret))) == ["readable-secret"]
    assert codes_of(f"file://{secret}") == ["readable-secret"]
    secret.chmod(0o600)
    assert codes_of(f"file://{secret}") == []
    assert codes_of("ldaps://dir.example", bind=Bind(password_file=str(tmp_path / "none"))) == ["unreadable-file"]
