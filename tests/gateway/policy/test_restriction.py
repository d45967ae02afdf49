"""Who may write to a list, as a table; and who may not, however the list is reached."""

from __future__ import annotations

import time

import pytest
from native_entries import BASE, PROFILE, entry

from directory.memory import MemorySource
from directory.model import Condition, MailingList, Recipient, Refused
from directory.raw import RawEntry
from directory.view import View
from gateway.policy.restriction import Sender, refusal, too_large
from gateway.route.plan import Local
from gateway.route.router import Router


def person(uid: str, *more: str) -> RawEntry:
    own = [f"{uid}@example.com", *more]
    return entry(f"uid={uid}", "inetOrgPerson gatepostAccount", uid=uid, cn=uid, mail=own[0], gatepostAddress=own)


def a_list(name: str, **more: str | list[str]) -> RawEntry:
    return entry(f"cn={name}", "gatepostEntry gatepostList", cn=name, gatepostAddress=f"{name}@example.com", **more)


def view(**more: str | list[str]) -> View:
    return View(
        MemorySource(
            PROFILE,
            (
                entry("cn=d", "gatepostEntry gatepostDomain", cn="d", gatepostDomainName="example.com"),
                person("ann", "ann.lee@example.com"),
                person("bob"),
                person("cat"),
                person("dan", "daniel@example.com"),
                person("eve"),
                person("mod"),
                person("own"),
                entry("cn=staff", "groupOfNames", cn="staff", member=f"uid=bob,{BASE}"),
                a_list("inner", gatepostMemberAddress=["x@far.example", "daniel@example.com"],
                       memberURL=f"ldap:///{BASE}??sub?(uid=cat)", member=f"cn=team,{BASE}"),
                a_list("team", member=[f"uid=ann,{BASE}", f"cn=staff,{BASE}", f"cn=inner,{BASE}"],
                       owner=f"uid=own,{BASE}", gatepostOwnerAddress="boss@far.example",
                       gatepostModerator=f"uid=mod,{BASE}", **more),
                entry("cn=way", "gatepostEntry gatepostAlias", cn="way", gatepostAddress="way@example.com",
                      gatepostForward=["team@example.com", "eve@example.com"]),
                a_list("outer", member=f"cn=team,{BASE}"),
            ),
        ),
        PROFILE,
    )  # fmt: skip


WORDS = {
    # who            any   local authenticated members owners moderators @far.example ann@example.com
    "ann (login)": "   yes   yes   yes           yes     no     no         no           yes",
    "ann.lee":     "   yes   yes   no            yes     no     no         no           yes",
    "bob":         "   yes   yes   no            yes     no     no         no           no",
    "cat":         "   yes   yes   no            yes     no     no         no           no",
    "dan":         "   yes   yes   no            yes     no     no         no           no",
    "eve (login)": "   yes   yes   yes           no      no     no         no           no",
    "mod":         "   yes   yes   no            no      no     yes        no           no",
    "own":         "   yes   yes   no            no      yes    no         no           no",
    "x@far.example":   "yes  no    no            yes     no     no         yes          no",
    "boss@far.example":"yes  no    no            no      yes    no         yes          no",
    "y@sub.far.example":"yes no    no            no      no     no         no           no",
    "":            "   yes   no    no            no      no     no         no           no",
}  # fmt: skip
COLUMNS = ["any", "local", "authenticated", "members", "owners", "moderators", "@far.example", "ann@example.com"]


@pytest.mark.parametrize(
    ("who", "word", "may"),
    [(who, word, may) for who, row in WORDS.items() for word, may in zip(COLUMNS, row.split(), strict=True)],
)
def test_words(who: str, word: str, may: str) -> None:
    name = who.partition(" ")[0]
    path = name if "@" in name or not name else f"{name}@example.com"
    for attribute, is_refused in (("gatepostAcceptFrom", may == "no"), ("gatepostRejectFrom", may == "yes")):
        directory = view(**{attribute: word})
        account = directory.owners(path)[0] if "login" in who else None
        (team,) = directory.owners("team@example.com")
        error = refusal(directory, team, Sender(path, account, "+"))
        assert (error is not None) == is_refused, attribute
        assert error is None or error.condition is Condition.NOT_ALLOWED_TO_SEND_HERE


def test_size() -> None:
    (team,) = view(gatepostMaxMessageSize="100").owners("team@example.com")
    assert isinstance(team, MailingList)
    assert too_large(team, 101) is not None
    assert too_large(team, 100) is None


def test_a_list_is_asked_however_it_is_reached_but_not_within_another() -> None:
    asked: list[str] = []

    def gate(recipient: Recipient) -> bool:
        asked.append(recipient.dn.partition(",")[0])
        if recipient.dn.startswith("cn=team"):
            raise Refused(Condition.NOT_ALLOWED_TO_SEND_HERE)
        return False

    router = Router(view())
    with pytest.raises(Refused):
        router.route("team@example.com", time.time(), gate=gate)
    plan = router.route("way@example.com", time.time(), gate=gate)
    assert [step.holder.dn.partition(",")[0] for step in plan.steps if isinstance(step, Local)] == ["uid=eve"]
    assert [lost.reason.condition for lost in plan.lost] == [Condition.NOT_ALLOWED_TO_SEND_HERE]
    assert len(router.route("outer@example.com", time.time(), gate=gate).steps) == 5
    assert asked == ["cn=team", "cn=way", "cn=team", "cn=outer"]


def test_the_copy_is_that_of_the_list_written_to() -> None:
    plan = Router(view()).route("outer@example.com", time.time())
    assert {step.mailing_list.dn.partition(",")[0] for step in plan.steps if step.mailing_list} == {"cn=outer"}
    assert all(step.mailing_list for step in plan.steps)
    assert [step.return_path for step in plan.steps][:1] == ["team-bounces@example.com"]
