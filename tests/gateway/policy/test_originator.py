"""Who may write as whom, with the separators of extensions that the configuration names."""

from __future__ import annotations

import time

import pytest
from native_entries import BASE, PROFILE, entry

from directory.memory import MemorySource
from directory.model import Account, InvalidAddress
from directory.raw import RawEntry
from directory.view import View
from gateway.policy.originator import forms, may_write_as
from gateway.policy.restriction import Sender, is_of
from gateway.route.plan import Local
from gateway.route.router import Router
from gateway.route.settings import RouteSettings


def person(uid: str, **more: str) -> RawEntry:
    mail = f"{uid}@example.com"
    return entry(f"uid={uid}", "inetOrgPerson gatepostAccount", uid=uid, mail=mail, gatepostAddress=mail, **more)


DIRECTORY = View(
    MemorySource(
        PROFILE,
        (
            entry("cn=d", "gatepostEntry gatepostDomain", gatepostDomainName="example.com", gatepostDomainAlias="ex.example"),
            person("mary", gatepostSendAs="desk@example.com"),
            person("mary-jane"),
            person("mary+boss", gatepostSender=f"uid=mary,{BASE}"),
            person("mary+own"),
            entry("cn=t", "gatepostEntry gatepostList", gatepostAddress="team@example.com", member=f"uid=mary,{BASE}"),
        ),
    ),
    PROFILE,
)  # fmt: skip


@pytest.mark.parametrize(
    ("address", "separators", "may"),
    [
        ("mary@example.com", "+", True),
        ("mary@ex.example", "-", True),
        ("mary+a+b@example.com", "+", True),
        ("mary-a-b@example.com", "+", False),
        ("mary-a-b@example.com", "-", True),
        ("mary-a+b@ex.example", "+-", True),
        ("mary+a@example.com", "-", False),
        ("mary+a@example.com", "", False),
        # the longest form that anybody owns decides
        ("mary-jane@example.com", "-", False),
        ("mary-jane-x@example.com", "-", False),
        ("mary+boss@example.com", "+", True),
        ("mary+own@example.com", "+", False),
        ("desk+1@example.com", "+", True),
        ("desk-1@example.com", "+", False),
    ],
)
def test_own_addresses_with_extensions(address: str, separators: str, may: bool) -> None:
    (mary,) = DIRECTORY.owners("mary@example.com")
    assert isinstance(mary, Account)
    assert may_write_as(DIRECTORY, mary, address, separators) is may


def test_forms() -> None:
    assert forms(DIRECTORY, "A-b+c@ex.example", "+-") == [
        "a-b+c@ex.example", "a-b+c@example.com", "a-b@ex.example", "a-b@example.com", "a@ex.example", "a@example.com",
    ]  # fmt: skip
    with pytest.raises(InvalidAddress):
        forms(DIRECTORY, "nobody", "+")


ALIASED = View(
    MemorySource(
        PROFILE,
        (
            entry("cn=d", "gatepostEntry gatepostDomain", gatepostDomainName="example.com", gatepostDomainAlias="ex.example"),
            person("mary"),
            person("mary-jane"),
            person("bob"),
            entry("uid=own", "inetOrgPerson gatepostAccount", uid="own", mail="own@example.com",
                  gatepostAddress=["own@example.com", "bob@ex.example", "mary@ex.example"]),
            entry("cn=t", "gatepostEntry gatepostList", gatepostAddress="team@ex.example", gatepostOwnerAddress="mary@example.com"),
        ),
    ),
    PROFILE,
)  # fmt: skip


@pytest.mark.parametrize(
    ("address", "owner"),
    [
        ("mary@example.com", "mary"),
        ("mary@ex.example", "own"),  # who has the address itself comes before its namesake in the domain
        ("bob@example.com", "bob"),
        ("bob@ex.example", "own"),
        ("bob-x@ex.example", "own"),
        ("bob-x@example.com", "bob"),
        ("own@ex.example", "own"),
        ("mary-jane@ex.example", "mary-jane"),  # the longest form comes before the domain as it was given
        ("mary-jane-x@ex.example", "mary-jane"),
        ("mary-x@ex.example", "own"),
    ],
)
def test_who_gets_the_mail_of_an_address_may_write_as_it_and_nobody_else(address: str, owner: str) -> None:
    (step,) = Router(ALIASED, RouteSettings(extension_separator="-")).route(address, time.time()).steps
    assert isinstance(step, Local) and step.holder.dn == f"uid={owner},{BASE}"
    accounts = [ALIASED.owners(f"{uid}@example.com")[0] for uid in ("mary", "mary-jane", "bob", "own")]
    may = [each.dn for each in accounts if may_write_as(ALIASED, each, address, "-")]  # type: ignore[arg-type]
    assert may == [step.holder.dn]


def test_the_owners_of_a_list_whose_address_is_in_an_alias_domain() -> None:
    (step,) = Router(ALIASED, RouteSettings(extension_separator="-")).route("team-owner@ex.example", time.time()).steps
    assert isinstance(step, Local) and step.holder.dn == f"uid=mary,{BASE}"


@pytest.mark.parametrize(("separators", "known"), [("-", True), ("+", False)])
def test_a_member_who_writes_with_an_extension(separators: str, known: bool) -> None:
    (team,) = DIRECTORY.owners("team@example.com")
    assert is_of(DIRECTORY, team, Sender("mary-x@example.com", None, separators), "members") is known  # type: ignore[arg-type]
