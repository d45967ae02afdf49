"""Rules of a mailbox as a table: which rule counts, and where the mail goes."""

from __future__ import annotations

import time

import pytest
from native_entries import PROFILE, entry

from directory.memory import MemorySource
from directory.model import Deferred, Refused
from directory.model.extension_rule import parse_rule
from directory.port import Freshness
from directory.raw import RawEntry
from directory.view import View
from gateway.route.extension import chosen
from gateway.route.plan import Discard, Instructions, Local
from gateway.route.router import Router
from gateway.route.settings import RouteSettings


def person(uid: str, *rules: str, **more: str) -> RawEntry:
    return entry(
        f"uid={uid}", "inetOrgPerson gatepostAccount", uid=uid, mail=f"{uid}@example.com",
        gatepostAddress=f"{uid}@example.com", gatepostExtension=list(rules), **more,
    )  # fmt: skip


# the extensions of the founding list: user1-s1 to q1, -s2 to q2, -21 outside, -list to several, -other to the default qq
QMAIL = ("s1 forward q1@example.com", "s2 forward q2@example.com", "21 forward user2@21cn.example",
         "list forward q1@example.com q2@example.com", "* forward qq@example.com")  # fmt: skip
COMPANY = (
    entry("cn=d", "gatepostEntry gatepostDomain", gatepostDomainName="example.com",
          gatepostDomainAdmin="uid=q1,dc=example,dc=com"),
    entry("cn=t", "gatepostEntry gatepostDomain", gatepostDomainName="ttt.example", gatepostCatchAll="tttother@example.com"),
    entry("cn=c", "gatepostEntry gatepostDomain", gatepostDomainName="ctl.example", gatepostCatchAll="ctl+*@example.com"),
    entry("cn=w", "gatepostEntry gatepostAlias", gatepostAddress="webmaster@ttt.example", gatepostForward="tttweb@example.com"),
    entry("cn=h", "gatepostEntry gatepostAlias", gatepostAddress="help@ttt.example", gatepostForward="out@far.example"),
    entry("cn=l", "gatepostEntry gatepostList", gatepostAddress="team@example.com", member="uid=q1,dc=example,dc=com",
          owner="uid=q2,dc=example,dc=com"),
    *(person(uid) for uid in ("q1", "q2", "qq", "tttweb", "tttother", "plain")),
    person("user1", *QMAIL),
    person("ctl", "webmaster forward tttweb@example.com", "help forward out@far.example", "* forward tttother@example.com"),
    person("ann", "lists+* folder Lists", "lists+dev folder Dev", "void discard", "secret reject ask at the desk",
           "copy deliver", "copy forward x@far.example", "loop forward ann+loop@example.com", "hop forward ann+copy@example.com",
           "broken teleport home", "cond if sender boss@example.com forward q1@example.com", "cond folder Rest",
           "only unless sender @example.com reject outsiders no", "Mixed deliver"),
    person("dev", "prog program tool", "prog deliver", "list if header List-Id dev folder Dev", "list deliver",
           "say if program judge reject no", "both if sender <> discard", "both if header X y deliver"),
    person("out", gatepostForward="x@far.example", gatepostKeepCopy="FALSE"),
    person("both", gatepostForward=["x@far.example", "q1@example.com"], gatepostKeepCopy="FALSE"),  # type: ignore[arg-type]
    person("run", gatepostDelivery="tool"),
    person("bea", "@ if sender <> discard", "@ if sender @spam.example reject", gatepostForward="q1@example.com"),
    person("sam", "* reject no such thing"),
)  # fmt: skip


def router(separator: str = "+", *, fresh: bool = True, **settings: str) -> Router:
    source = MemorySource(PROFILE, COMPANY)
    source.state = Freshness(True, float("inf") if fresh else 0.0, "")
    return Router(View(source, PROFILE), RouteSettings(extension_separator=separator, **settings))  # type: ignore[arg-type]


def shown(step: object) -> str:
    if isinstance(step, Instructions):
        return f"rules {step.holder.id.partition('=')[2]} {step.extension}"
    if isinstance(step, Local):
        return step.holder.id.partition("=")[2] + (f"/{step.mailbox}" if step.mailbox else "")
    return f"discard {step.holder.id.partition('=')[2]}" if isinstance(step, Discard) else step.recipient  # type: ignore[attr-defined, no-any-return]


def went(address: str, separator: str = "+", sender: str | None = "friend@far.example") -> str:
    try:
        plan = router(separator).route(address, time.time(), sender=sender)
    except (Deferred, Refused) as error:
        return f"{error.condition.name}: {error.text}"
    return " ".join(sorted(shown(step) for step in plan.steps))


@pytest.mark.parametrize(
    ("address", "where"),
    [
        ("plain+anything@example.com", "plain"),
        ("ann@example.com", "ann"),
        ("ann+nothing@example.com", "ann"),
        ("ann+lists+dev@example.com", "ann/Dev"),
        ("ann+lists+dev+more@example.com", "ann/Lists"),
        ("ann+lists+users@example.com", "ann/Lists"),
        ("ann+lists@example.com", "ann"),
        ("ann+VOID@example.com", "discard ann"),
        ("ann+mixed@example.com", "ann"),
        ("ann+secret@example.com", "REFUSED_BY_RULE: ask at the desk"),
        ("ann+copy@example.com", "ann x@far.example"),
        ("ann+loop@example.com", "ann"),
        ("ann+hop@example.com", "ann x@far.example"),
        ("ann+broken@example.com", "RULE_UNUSABLE: the rules of this address cannot be used, try again later"),
        ("sam@example.com", "sam"),
        ("sam+x@example.com", "REFUSED_BY_RULE: no such thing"),
        ("root@example.com", "q1"),
        ("dev+prog@example.com", "rules dev prog"),
        ("dev+list@example.com", "rules dev list"),
        ("dev+say@example.com", "rules dev say"),
        ("dev@example.com", "dev"),
        ("run@example.com", "rules run "),
        ("run+x@example.com", "rules run x"),
        ("Mailer-Daemon@example.com", "q1"),
        ("team@example.com", "q1"),
    ],
)
def test_the_longest_rule_counts(address: str, where: str) -> None:
    assert went(address) == where


@pytest.mark.parametrize(
    ("address", "where"),
    [
        ("user1-s1@example.com", "q1"),
        ("user1-s2@example.com", "q2"),
        ("user1-21@example.com", "user2@21cn.example"),
        ("user1-list@example.com", "q1 q2"),
        ("user1-other@example.com", "qq"),
        ("user1-s1-more@example.com", "qq"),
        ("user1+s1@example.com", "q1"),
        ("user1@example.com", "user1"),
        ("team-owner@example.com", "q2"),
    ],
)
def test_extensions_of_qmail(address: str, where: str) -> None:
    assert went(address, "-+") == where


@pytest.mark.parametrize("controlled", ["ttt.example", "ctl.example"])
def test_a_virtual_domain(controlled: str) -> None:
    assert went(f"webmaster@{controlled}") == "tttweb"
    assert went(f"help@{controlled}") == "out@far.example"
    assert went(f"anybody@{controlled}") == "tttother"


@pytest.mark.parametrize(
    ("address", "sender", "where"),
    [
        ("ann+cond@example.com", "boss@example.com", "q1"),
        ("ann+cond@example.com", "Boss@Example.COM", "q1"),
        ("ann+cond@example.com", "friend@far.example", "ann/Rest"),
        ("ann+cond@example.com", None, "ann/Rest"),
        ("ann+only@example.com", "friend@far.example", "REFUSED_BY_RULE: outsiders no"),
        ("ann+only@example.com", "q1@example.com", "ann"),
        ("bea@example.com", "", "discard bea"),
        ("bea+x@example.com", "", "discard bea"),
        ("bea@example.com", "x@spam.example", "REFUSED_BY_RULE: this address takes no such message"),
        ("bea@example.com", "x@ham.example", "bea q1"),
    ],
)
def test_conditions_on_the_sender(address: str, sender: str | None, where: str) -> None:
    assert went(address, sender=sender) == where


def test_each_step_is_told_to_the_operator() -> None:
    lines: list[str] = []
    router().route("ann+lists+dev@example.com", time.time(), trace=lines)
    assert any("rule lists+dev: folder Dev" in line for line in lines)
    assert any("into Dev" in line for line in lines)


def test_an_unreadable_rule_holds_up_only_what_it_stands_for() -> None:
    rules = ("broken teleport home", "fine deliver")
    assert [rule.action for rule in chosen(rules, "fine", "+", "")] == ["deliver"]
    with pytest.raises(Deferred, match="teleport"):
        chosen(rules, "broken", "+", "")


@pytest.mark.parametrize(
    "text",
    [
        "", "jobs", "jobs forward", "jobs forward no-address", "jobs folder", "jobs folder a b", "a*b deliver",
        "x@y deliver", "jobs deliver here", "jobs if", "jobs if sender", "jobs if sender a@b.example", "jobs if moon full deliver", "jobs program", "jobs if header x", "jobs if program x",
        "jobs if sender nonsense deliver", "jobs reject " + "x" * 300, "jobs reject nö", "jobs\ndeliver",
    ],
)  # fmt: skip
def test_what_is_no_rule(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_rule(text)


def test_an_extension_in_quotes_counts_too() -> None:
    (rule,) = chosen(('"Jobs" reject no', "* deliver"), "jobs", "+", "")
    assert (rule.extension, rule.action) == ("jobs", "reject")


def test_words_with_blanks() -> None:
    assert parse_rule('x folder "Old mail"').arguments == ("Old mail",)
    assert parse_rule('x reject I don\'t live here, "ask" Bob').arguments == ('I don\'t live here, "ask" Bob',)


@pytest.mark.parametrize(
    ("address", "where"),
    [
        ("out@example.com", "out"),
        ("both@example.com", "q1"),
        ("user1+21@example.com", "user1"),
        ("user1+s1@example.com", "q1"),
        ("help@ttt.example", "out@far.example"),
    ],
)
def test_forwards_to_outside_may_be_forbidden(address: str, where: str) -> None:
    """An alias of the administrator is no forward of a person."""
    plan = router(external_forward="refuse").route(address, time.time())
    assert " ".join(sorted(shown(step) for step in plan.steps)) == where
