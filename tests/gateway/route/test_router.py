"""Routing as a table: an address, and where its mail goes or what the sender is told."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from native_entries import BASE, PROFILE, entry

from directory.memory import MemorySource
from directory.model import Deferred, MailingList, Refused
from directory.port import Freshness
from directory.raw import RawEntry
from directory.view import View
from gateway.route.plan import Instructions, Local, RemoteLmtp
from gateway.route.router import Router
from gateway.route.settings import RouteSettings
from gateway.service.accept import target_of


def person(uid: str, *, addresses: list[str] | None = None, **more: str | list[str]) -> RawEntry:
    own = [f"{uid}@example.com", *(addresses or [])]
    return entry(
        f"uid={uid}", "inetOrgPerson gatepostAccount", uid=uid, cn=uid, mail=own[0], gatepostAddress=own, **more
    )


def alias(name: str, **more: str | list[str]) -> RawEntry:
    return entry(f"cn={name}", "gatepostEntry gatepostAlias", cn=name, gatepostAddress=f"{name}@example.com", **more)


def mailing_list(name: str, **more: str | list[str]) -> RawEntry:
    return entry(f"cn={name}", "gatepostEntry gatepostList", cn=name, gatepostAddress=f"{name}@example.com", **more)


def domain(name: str, **more: str | list[str]) -> RawEntry:
    return entry(f"cn={name}", "gatepostEntry gatepostDomain", cn=name, gatepostDomainName=name, **more)


def dn(uid: str) -> str:
    return f"{'cn' if uid.startswith('cn:') else 'uid'}={uid.removeprefix('cn:')},{BASE}"


COMPANY = (
    domain("example.com", gatepostDomainAlias=["example.net", "bücher.example"], gatepostDomainAdmin=dn("ann")),
    domain("catch.example", gatepostCatchAll="ann@example.com"),
    domain("relay.example", gatepostDomainKind="relay"),
    domain("closed.example", gatepostStatus="closed"),
    domain("paused.example", gatepostStatus="suspended"),
    person("ann", addresses=["ann.lee@example.com", "literal@example.net"]),
    person("bob"),
    person("bob+vip"),
    person("cat", gatepostForward=["bob@example.com"]),
    person("dan", gatepostForward=["out@far.example"], gatepostKeepCopy="FALSE"),
    person("eve", gatepostForward=["fay@example.com"], gatepostKeepCopy="FALSE"),
    person("fay", gatepostForward=["eve@example.com"], gatepostKeepCopy="FALSE"),
    person("gus", gatepostStatus="suspended"),
    person("hal", gatepostStatus="closed"),
    person("ida", gatepostStatus="noaccess"),
    person("jon", gatepostExpires="20200101000000Z"),
    person("kim", gatepostMailHost="other.example.com"),
    person("two1", addresses=["twice@example.com"]),
    person("two2", addresses=["twice@example.com"]),
    entry("cn=desk", "gatepostEntry gatepostSharedMailbox", cn="desk", gatepostAddress="desk@example.com"),
    entry("cn=staff", "groupOfNames", cn="staff", member=[dn("ann"), dn("bob")]),
    alias("sales", gatepostForward="ann@example.com"),
    alias("bydn", gatepostTarget=[dn("bob"), dn("gone")]),
    alias("stray", gatepostTarget=[dn("gone"), dn("went")]),
    alias("straycopy", gatepostForward="hal@example.com", gatepostTarget=dn("gone")),
    alias("tostray", gatepostForward="stray@example.com"),
    alias("tostraytoo", gatepostForward=["stray@example.com", "bob@example.com"]),
    person("lea", gatepostForward=["stray@example.com"], gatepostKeepCopy="FALSE"),
    person("moe", gatepostForward=["stray@example.com"]),
    alias("both", gatepostForward=["ann@example.com", "ann.lee@example.com"], gatepostTarget=dn("cn:sales")),
    alias("far", gatepostForward="out@far.example"),
    alias("round1", gatepostForward="round2@example.com"),
    alias("round2", gatepostForward="round1@example.com"),
    person("pat", gatepostForward="sam@example.com", gatepostKeepCopy="FALSE"),
    person("sam", gatepostForward="pat@example.com", gatepostKeepCopy="FALSE"),
    alias("topause", gatepostForward="gus@example.com"),
    alias("toclosed", gatepostForward="hal@example.com"),
    mailing_list("all", member=[dn("ann"), dn("bob"), dn("gone"), dn("cn:all")], owner=dn("ann")),
    mailing_list("adrift", member=dn("gone"), uniqueMember=dn("went"), owner=dn("gone")),
    mailing_list("adriftnest", member=[dn("cn:adrift"), dn("cn:adriftgroup")]),
    mailing_list("adriftsome", member=[dn("cn:adrift"), dn("gone"), dn("ann")]),
    entry("cn=adriftgroup", "groupOfNames", cn="adriftgroup", member=dn("gone")),
    mailing_list("typo", memberURL="nonsense"),
    mailing_list("nest", member=dn("cn:all"), gatepostMemberAddress=["x@far.example", "ida@example.com"]),
    mailing_list("group", member=dn("cn:staff"), gatepostMemberExclude=dn("bob")),
    mailing_list("less", member=[dn("ann"), dn("bob")], gatepostExcludeAddress="Ann.Lee@example.com"),
    mailing_list("dynamic", memberURL=f"ldap:///{BASE}??sub?(&(objectClass=gatepostAccount)(uid=a*))"),
    mailing_list("badurl", memberURL=["ldap:///??what", "nonsense", f"ldap:///{BASE}??sub?(uid=bob)"]),
    mailing_list("empty"),
    mailing_list("kept", member=dn("ann"), gatepostArchive=dn("cn:desk")),
    mailing_list("keptnowhere", member=dn("ann"), gatepostArchive=dn("gone")),
    mailing_list("mixed", member=[dn("gus"), dn("ann"), dn("hal")]),
    mailing_list("allpaused", member=[dn("gus"), dn("hal")]),
    mailing_list("twins", gatepostMemberAddress=["twice@example.com", "bob@example.com"]),
)  # fmt: skip


def router(*, fresh: bool = True, braked: str = "", **settings: object) -> Router:
    source = MemorySource(PROFILE, COMPANY)
    source.state = Freshness(True, float("inf") if fresh else 0.0, braked)
    return Router(View(source, PROFILE), RouteSettings(**settings), host_names=("mx.example.com",))  # type: ignore[arg-type]


def shown(step: object) -> str:
    path = getattr(step, "return_path", None)
    mark = "" if path is None else f" from {path}"
    if isinstance(step, Local):
        return f"{step.holder.id.partition('=')[2]}{mark}"
    if isinstance(step, RemoteLmtp):
        return f"lmtp:{step.host}"
    return f"{type(step).__name__.lower()}:{step.recipient}{mark}"  # type: ignore[attr-defined]


ALL = " from all-bounces@example.com"
CASES: list[tuple[str, str]] = [
    ("ann@example.com", "ann"),
    ("ANN.Lee@Example.COM", "ann"),
    ("ann+tag@example.com", "ann"),
    ("bob+vip@example.com", "bob+vip"),
    ("bob+vip+more@example.com", "bob+vip"),
    ("bob+other@example.com", "bob"),
    ("ann@example.net", "ann"),
    ("ann@BÜCHER.example", "ann"),
    ("literal@example.net", "ann"),
    ("literal@example.com", "550 5.1.1"),
    ("nobody@example.com", "550 5.1.1"),
    ("+ann@example.com", "550 5.1.1"),
    ("x@far.example", "550 5.7.1"),
    ("x@closed.example", "550 5.2.1"),
    ("x@paused.example", "451 4.2.1"),
    ("anybody@catch.example", "ann"),
    ("x@relay.example", "remote:x@relay.example"),
    ("desk@example.com", "desk"),
    ("cat@example.com", "bob, cat"),
    ("dan@example.com", "remote:out@far.example"),
    ("eve@example.com", "eve"),
    ("gus@example.com", "451 4.2.1"),
    ("hal@example.com", "550 5.2.1"),
    ("ida@example.com", "ida"),
    ("jon@example.com", "550 5.2.1"),
    ("kim@example.com", "lmtp:other.example.com"),
    ("twice@example.com", "451 4.3.5"),
    ("sales@example.com", "ann"),
    ("bydn@example.com", "bob"),
    ("stray@example.com", "451 4.3.0"),
    ("straycopy@example.com", "451 4.3.0"),
    ("tostray@example.com", "451 4.3.0"),
    ("tostraytoo@example.com", "bob"),
    ("lea@example.com", "451 4.3.0"),
    ("moe@example.com", "moe"),
    ("adrift@example.com", "451 4.3.0"),
    ("adrift-owner@example.com", "451 4.3.0"),
    ("adriftnest@example.com", "451 4.3.0"),
    ("adriftsome@example.com", "ann from adriftsome-bounces@example.com"),
    ("typo@example.com", "451 4.3.0"),
    ("both@example.com", "ann"),
    ("far@example.com", "remote:out@far.example"),
    ("round1@example.com", "550 5.1.1"),
    ("pat@example.com", "pat"),
    ("topause@example.com", "451 4.2.1"),
    ("toclosed@example.com", "550 5.2.1"),
    ("all@example.com", f"ann{ALL}, bob{ALL}"),
    ("nest@example.com", f"ann{ALL}, bob{ALL}, remote:x@far.example from nest-bounces@example.com, "
                         "ida from nest-bounces@example.com"),
    ("group@example.com", "ann from group-bounces@example.com"),
    ("less@example.com", "bob from less-bounces@example.com"),
    ("dynamic@example.com", "ann from dynamic-bounces@example.com"),
    ("badurl@example.com", "bob from badurl-bounces@example.com"),
    ("empty@example.com", "550 5.1.1"),
    ("mixed@example.com", "ann from mixed-bounces@example.com, later:gus@example.com from mixed-bounces@example.com"),
    ("allpaused@example.com", "later:gus@example.com from allpaused-bounces@example.com"),
    ("twins@example.com", "bob from twins-bounces@example.com, later:twice@example.com from twins-bounces@example.com"),
    ("all-bounces@example.com", "listmail:all-bounces@example.com"),
    ("empty-bounces+abc@example.com", "listmail:empty-bounces+abc@example.com"),
    ("ann-bounces+abc@example.com", "550 5.1.1"),
    ("kept@example.com", "ann from kept-bounces@example.com, desk from kept-bounces@example.com"),
    ("all-owner@example.com", "ann"),
    ("ann-bounces@example.com", "550 5.1.1"),
    ("postmaster", "ann"),
    ("PostMaster@example.com", "ann"),
    ("abuse@example.com", "ann"),
    ("mailer-daemon@relay.example", "ann"),
]  # fmt: skip


@pytest.mark.parametrize(("recipient", "expected"), CASES, ids=[case[0] for case in CASES])
def test_case(recipient: str, expected: str) -> None:
    subject = router()
    lines: list[str] = []
    try:
        plan = subject.route(recipient, time.time(), trace=lines)
    except (Deferred, Refused) as error:
        assert f"{error.condition.code} {error.condition.enhanced}" == expected
    else:
        assert ", ".join(shown(step) for step in plan.steps) == expected
        assert lines
        assert plan == subject.route(recipient, time.time())


def test_what_is_missing_is_never_final_while_the_copy_is_old_or_braked() -> None:
    for subject in (router(fresh=False), router(braked="too many deletions")):
        assert subject.route("ann@example.com", time.time()).is_local
        for recipient in ("nobody@example.com", "x@far.example", "empty@example.com", "round1@example.com"):
            with pytest.raises(Deferred):
                subject.route(recipient, time.time())


def test_a_stray_reference_is_named_to_the_operator() -> None:
    lines: list[str] = []
    with pytest.raises(Deferred, match=f"{dn('gone')}: no such entry"):
        router().route("stray@example.com", time.time(), trace=lines)
    assert [line.strip() for line in lines[-2:]] == [
        f"{dn(name)}: no such entry, passed over" for name in ("gone", "went")
    ]


def test_no_complete_copy_defers_everything() -> None:
    source = MemorySource(PROFILE, COMPANY)
    source.state = replace(source.state, complete=False)
    with pytest.raises(Deferred):
        Router(View(source, PROFILE)).route("ann@example.com", time.time())


def test_outside_only_when_allowed() -> None:
    plan = router().route("x@far.example", time.time(), outside=True)
    assert [shown(step) for step in plan.steps] == ["remote:x@far.example"]


def test_lmtp_takes_only_what_is_stored_here() -> None:
    for recipient, error in (("far@example.com", Refused), ("kim@example.com", Deferred)):
        with pytest.raises(error):
            router().route(recipient, time.time(), local_only=True)
    assert router().route("ann@example.com", time.time(), local_only=True).is_local


def test_limits() -> None:
    with pytest.raises(Deferred, match="more than 1 targets"):
        router(max_members=1).route("all@example.com", time.time())
    with pytest.raises(Refused, match="nested deeper"):
        router(max_depth=0).route("sales@example.com", time.time())


def test_configured_postmaster_comes_first() -> None:
    plan = router(postmaster="bob@example.com").route("abuse@example.com", time.time())
    assert [shown(step) for step in plan.steps] == ["bob"]


def test_a_self_test_is_nobody_elses_postmaster() -> None:
    def company(name: str) -> Router:
        own = person("ann", addresses=[f"postmaster@{name}"])
        return Router(View(MemorySource(PROFILE, (domain("example.com"), domain(name), own)), PROFILE))

    for recipient in ("postmaster@example.com", "postmaster", "root@example.com"):
        (step,) = company("other.example").route(recipient, time.time()).steps
        assert shown(step) == "ann"
        with pytest.raises(Deferred, match="nobody reads"):
            company("zz-gatepost-selftest-1.invalid").route(recipient, time.time())


def test_account_is_found_again_by_its_id() -> None:
    assert isinstance(router().route_account("t:uid=cat", "cat@example.com", time.time()), Local)
    with pytest.raises(Refused):
        router().route_account("t:uid=gone", "x", time.time())
    with pytest.raises(Deferred):
        router(fresh=False).route_account("t:uid=gone", "x", time.time())


def test_a_member_that_is_parked_gets_nothing_by_this_list_and_others_outside_have_return_paths_of_their_own() -> None:
    class Facts:
        def parked(self, list_id: str) -> frozenset[str]:
            return frozenset({"ann@example.com", "x@far.example"} if list_id == "t:cn=all" else ())

        def no_copy(self, list_id: str) -> frozenset[str]:
            return frozenset({"bob@example.com", "y@far.example"} if list_id == "t:cn=all" else ())

        def path(self, mailing_list: MailingList, member: str) -> str | None:
            return f"{mailing_list.dn.partition(',')[0]} {member}"

    source = MemorySource(PROFILE, COMPANY)
    source.put(mailing_list("top", member=[dn("cn:all"), dn("dan"), dn("ann")], gatepostMemberAddress="x@far.example"))
    subject = Router(View(source, PROFILE), host_names=("mx.example.com",), lists=Facts())
    assert [shown(step) for step in subject.route("all@example.com", time.time()).steps] == [f"bob{ALL}"]
    for sender, has_copy in (("Bob@Example.com", False), ("ann@example.com", True), ("", True)):
        steps = subject.route("top@example.com", time.time(), sender=sender).steps
        assert any(shown(step).startswith("bob") for step in steps) is has_copy
    assert [shown(step) for step in subject.route("top@example.com", time.time()).steps] == [
        f"bob{ALL}", "remote:out@far.example from cn=top dan@example.com", "ann from top-bounces@example.com",
        "remote:x@far.example from cn=top x@far.example",
    ]  # fmt: skip


def test_an_archive_that_is_not_there_is_said_and_stops_nothing() -> None:
    lines: list[str] = []
    plan = router().route("keptnowhere@example.com", time.time(), trace=lines)
    assert [shown(step) for step in plan.steps] == ["ann from keptnowhere-bounces@example.com"]
    assert any("archive" in line for line in lines)


ELSEWHERE = (
    entry("cn=d", "gatepostEntry gatepostDomain", cn="d", gatepostDomainName="example.com"),
    person("ann"),
    person("zoe", gatepostMailHost="b.example", gatepostForward=["x@far.example", "ann@example.com"]),
    person("yan", gatepostMailHost="b.example", gatepostForward="x@far.example", gatepostKeepCopy="FALSE"),
    person("wim", gatepostMailHost="b.example", gatepostForward="ann@example.com"),
    person("una", gatepostMailHost="b.example", gatepostExtension=["jobs forward x@far.example", "jobs deliver",
                                                                    "out forward x@far.example", "* folder Rest"]),
)  # fmt: skip


def on(host: str, address: str, *, local_only: bool = False) -> list[str]:
    subject = Router(View(MemorySource(PROFILE, ELSEWHERE), PROFILE), host_names=(host,))
    steps = subject.route(address, time.time(), local_only=local_only).steps
    return sorted(f"rules {s.extension!r}" if isinstance(s, Instructions) else shown(s) for s in steps)


@pytest.mark.parametrize(
    ("address", "here", "there"),
    [
        ("zoe@example.com", ["lmtp:b.example"], ["rules ''"]),
        ("wim@example.com", ["lmtp:b.example"], ["ann", "wim"]),
        ("una+jobs@example.com", ["lmtp:b.example"], ["rules 'jobs'"]),
        ("una+else@example.com", ["lmtp:b.example"], ["una"]),
        ("yan@example.com", ["remote:x@far.example"], None),
        ("una+out@example.com", ["remote:x@far.example"], None),
    ],
)
def test_one_host_alone_follows_what_an_account_forwards(
    address: str, here: list[str], there: list[str] | None
) -> None:
    """The one that has the store where it gets the message, which takes it over LMTP although some of it leaves again."""
    assert on("a.example", address) == here
    if there is None:
        with pytest.raises(Refused, match="leads outside"):
            on("b.example", address, local_only=True)
    else:
        assert on("b.example", address, local_only=True) == there


def test_what_was_left_to_another_host_is_followed_here_once_the_account_is() -> None:
    here = Router(View(MemorySource(PROFILE, ELSEWHERE), PROFILE), host_names=("a.example",))
    (step,) = here.route("una+jobs@example.com", time.time()).steps
    target = target_of(step, "me@far.example")
    assert isinstance(step, RemoteLmtp)
    assert (target.account, target.extension) == ("t:uid=una", "jobs")
    there = Router(View(MemorySource(PROFILE, ELSEWHERE), PROFILE), host_names=("b.example",))
    moved = there.route_account(target.account, target.address, time.time(), extension=target.extension)
    assert moved == Instructions(step.holder, "una+jobs@example.com", "jobs")
    kept = here.route_account(target.account, target.address, time.time(), extension=target.extension)
    assert isinstance(kept, RemoteLmtp)
    assert kept.extension == "jobs"
