"""The filter evaluator finds in the copy what slapd finds in the directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ldap3
import pytest
from following import SUFFIX, Slapd, company

from directory.filter import compile_filter
from directory.raw import RawEntry

GROUP = f"""
dn: cn=team,{SUFFIX}
objectClass: groupOfNames
cn: The  Team
cn: team
member: uid=bob,ou=people,{SUFFIX}
owner: uid=jane,ou=people,{SUFFIX}
description: a (b) * c
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ldap3.Connection, list[RawEntry]]]:
    slapd = Slapd(Path(tmp_path_factory.mktemp("filter")) / "ldap", company("jane", "bob", "ann") + GROUP)
    with slapd.admin() as admin:
        admin.search(SUFFIX, "(objectClass=*)", attributes=["*"])
        entries = [
            RawEntry(e["dn"], e["dn"], {k.lower(): list(v) for k, v in e["raw_attributes"].items()})
            for e in admin.response
        ]
        yield admin, entries
    slapd.stop()


@pytest.mark.parametrize(
    "text",
    [
        "(objectClass=*)", "(objectClass=top)", "(objectClass=person)", "(objectClass=organizationalPerson)",
        "(objectClass=INETORGPERSON)", "(objectClass=groupOfNames)", "(!(objectClass=inetOrgPerson))", "(uid=jane)",
        "(uid= JANE )", "(uid=*a*)", "(uid=*n)", "(uid=a*n)", "(uid=*)", "(cn=the team)", "(cn=the   team)",
        "(mail=JANE@example.com)", "(gatepostAddress=*@example.com)", "(sn=ja*e)", "(!(telephoneNumber=1))",
        f"(owner=UID=jane, ou=people,{SUFFIX})", f"(member=uid=bob,ou=People,{SUFFIX})", "(member=uid=nobody)",
        f"(entryDN=uid=jane,ou=people,{SUFFIX})", r"(description=a \28b\29 \2a c)", r"(description=*\28b\29*)",
        "(&(objectClass=person)(|(uid=bob)(uid=ann))(!(uid=ann)))", "(|(uid=bob)(cn=team))",
    ],
)  # fmt: skip
def test_as_slapd(directory: tuple[ldap3.Connection, list[RawEntry]], text: str) -> None:
    admin, entries = directory
    admin.search(SUFFIX, text, attributes=["1.1"])
    server = sorted(entry["dn"] for entry in admin.response if entry["type"] == "searchResEntry")
    assert sorted(entry.dn for entry in entries if compile_filter(text)(entry)) == server
