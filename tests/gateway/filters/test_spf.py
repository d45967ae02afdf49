"""SPF against a name server on loopback: every result, the limits of RFC 7208 4.6.4, trouble."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import NoReturn, TypeVar

import pytest
from scripted_dns import ScriptedDns, scripted_dns

from directory.model import Condition, Deferred
from gateway.deliver.settings import DnsSettings
from gateway.filters.port import Away
from gateway.filters.spf import Result, check
from gateway.service.resolver import Resolver

T = TypeVar("T")
PERMISSIVE = '"v=spf1 ip4:192.0.2.0/24 -all"'
ZONE = {
    "a.test TXT": ['"unrelated"', PERMISSIVE],
    "soft.test TXT": ['"v=spf1 ip4:198.51.100.1 ~all"'],
    "neutral.test TXT": ['"v=spf1 ?all"'],
    "nothing.test A": ["192.0.2.9"],
    "mx.test TXT": ['"v=spf1 mx -all"'],
    "mx.test MX": ["10 in.mx.test.", "20 other.mx.test."],
    "in.mx.test A": ["198.51.100.7"],
    "other.mx.test A": ["192.0.2.7"],
    "other.mx.test AAAA": ["2001:db8::7"],
    "include.test TXT": ['"v=spf1 include:a.test -all"'],
    "redirect.test TXT": ['"v=spf1 redirect=alias.test"'],
    "alias.test CNAME": ["a.test."],
    "macro.test TXT": ['"v=spf1 exists:%{ir}.%{l1r+-}.who.%{d} -all"'],
    "1.2.0.192.jane.who.macro.test A": ["127.0.0.2"],
    "ptr.test TXT": ['"v=spf1 ptr -all"'],
    "1.2.0.192.in-addr.arpa PTR": ["host.ptr.test."],
    "host.ptr.test A": ["192.0.2.1"],
    "two.test TXT": [PERMISSIVE, '"v=spf1 -all"'],
    "typo.test TXT": ['"v=spf1 ipv4:192.0.2.1 -all"'],
    "deep.test TXT": ['"v=spf1 include:deep.test ' + " ".join(f"a:h{n}.deep.test" for n in range(11)) + ' -all"'],
    "many.test TXT": ['"v=spf1 ' + " ".join(f"a:h{n}.many.test" for n in range(10)) + ' -all"'],
    "more.test TXT": ['"v=spf1 ' + " ".join(f"a:h{n}.more.test" for n in range(11)) + ' -all"'],
    **{f"h{n}.{name}.test A": ["198.51.100.9"] for n in range(11) for name in ("many", "more", "deep")},
    "void.test TXT": ['"v=spf1 a:x1.void.test a:x2.void.test a:x3.void.test ip4:192.0.2.1 -all"'],
    "few.test TXT": ['"v=spf1 a:x1.few.test a:x2.few.test ip4:192.0.2.1 -all"'],
    "wide.test TXT": ['"v=spf1 mx -all"'],
    "wide.test MX": [f"{n} h{n}.wide.test." for n in range(11)],
    "explained.test TXT": ['"v=spf1 -all exp=why.explained.test"'],
    "why.explained.test TXT": ['"go away"'],
    "dead.test TXT": ['"v=spf1 a:gone.dead.test -all"'],
    "xn--bro-hoa.test TXT": [PERMISSIVE],
}


def ask(
    script: ScriptedDns,
    return_path: str,
    client: str = "192.0.2.1",
    helo: str = "host.test",
    seconds: float = 10,
    away: Away = asyncio.to_thread,
) -> Result:
    async def main() -> Result:
        resolver = Resolver(DnsSettings(servers=(script.server,), timeout=0.3, lifetime=1))
        return await check(client, return_path, helo, resolver, receiver="here.test", seconds=seconds, away=away)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("return_path", "client", "expected"),
    [
        ("jane@a.test", "192.0.2.1", "pass"),
        ("jane@a.test", "::ffff:192.0.2.1", "pass"),
        ("jane@a.test", "203.0.113.1", "fail"),
        ("jane@soft.test", "192.0.2.1", "softfail"),
        ("jane@neutral.test", "192.0.2.1", "neutral"),
        ("jane@nothing.test", "192.0.2.1", "none"),
        ("jane@absent.test", "192.0.2.1", "none"),
        ("jane@mx.test", "192.0.2.7", "pass"),
        ("jane@mx.test", "2001:db8::7", "pass"),
        ("jane@mx.test", "192.0.2.8", "fail"),
        ("jane@include.test", "192.0.2.1", "pass"),
        ("jane@redirect.test", "192.0.2.1", "pass"),
        ("jane-list@macro.test", "192.0.2.1", "pass"),
        ("jane-list@macro.test", "192.0.2.2", "fail"),
        ("jane@ptr.test", "192.0.2.1", "pass"),
        ("jane@ptr.test", "192.0.2.3", "fail"),
        ("jane@two.test", "192.0.2.1", "permerror"),
        ("jane@typo.test", "192.0.2.1", "permerror"),
        ("jane@many.test", "192.0.2.1", "fail"),
        ("jane@more.test", "192.0.2.1", "permerror"),
        ("jane@deep.test", "192.0.2.1", "permerror"),
        ("jane@void.test", "192.0.2.1", "permerror"),
        ("jane@few.test", "192.0.2.1", "pass"),
        ("jane@wide.test", "192.0.2.1", "permerror"),
        ("jane@büro.test", "192.0.2.1", "pass"),
        ("jane@[192.0.2.1]", "192.0.2.1", "none"),
        ("jane@a.test", "local", "none"),
    ],
)
def test_results(return_path: str, client: str, expected: str) -> None:
    with scripted_dns(dict(ZONE)) as script:
        found = ask(script, return_path, client)
    assert (found.outcome, found.identity) == (expected, "mailfrom"), found
    assert bool(found.reason) == (expected in ("permerror", "temperror"))


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("v=spf1 " + "a " * 3000, Result("permerror", "mailfrom", "the record of long.test has more than 4096 octets")),
        ("v=spf1 a:%{d}." + "a." * 2000 + "x.test ?all", Result("neutral", "mailfrom")),
        ("v=spf1 exists:" + "%{l}" * 1000 + ".test ?all", Result("neutral", "mailfrom")),
    ],
)
def test_a_record_that_would_cost_much(record: str, expected: Result) -> None:
    texts = " ".join(f'"{record[start : start + 255]}"' for start in range(0, len(record), 255))
    began = time.process_time()
    with scripted_dns({"long.test TXT": [texts]}, faults={"cut"}) as script:
        assert ask(script, "jane@long.test") == expected
    print(f"{len(record)} octets: {time.process_time() - began:.3f} s")


async def no_thread(work: object) -> NoReturn:
    raise Deferred(Condition.STORE_UNAVAILABLE, "no thread")


def test_what_takes_long_takes_it_on_a_thread() -> None:
    """One record in another, all as long as they may be: only the first are evaluated in the loop."""
    long = " ".join(["ip4:198.51.100.1/32"] * 200)
    records = {n: f"v=spf1 {long} include:n{n + 1}.long.test ?all" for n in range(9)} | {9: f"v=spf1 {long} ?all"}
    zone = {
        f"n{n}.long.test TXT": [" ".join(f'"{text[at : at + 255]}"' for at in range(0, len(text), 255))]
        for n, text in records.items()
    }
    ways = []

    async def away(work: Callable[[], T]) -> T:
        ways.append(threading.get_ident())
        return await asyncio.to_thread(work)

    with scripted_dns(zone, faults={"cut"}) as script:
        assert ask(script, "jane@n0.long.test", away=away).outcome in ("neutral", "permerror")
        assert ways
        with pytest.raises(Deferred, match="no thread"):  # trouble of this host is no result
            ask(script, "jane@n0.long.test", away=no_thread)


def test_what_is_usual_needs_no_thread() -> None:
    with scripted_dns(dict(ZONE)) as script:
        assert ask(script, "jane@include.test", away=no_thread).outcome == "pass"


def test_the_null_path_is_answered_for_by_the_name_in_helo() -> None:
    with scripted_dns(dict(ZONE)) as script:
        assert ask(script, "", helo="a.test") == Result("pass", "helo")
        assert ask(script, "", helo="[192.0.2.1]").outcome == "none"
        assert ask(script, "", helo="").outcome == "none"
        assert ask(script, "", helo="bad..name").outcome == "none"


def test_no_word_of_a_domain_that_refuses_is_asked_for() -> None:
    with scripted_dns(dict(ZONE)) as script:
        assert ask(script, "jane@explained.test").outcome == "fail"
        assert script.questions == ["explained.test TXT"]


def test_no_question_is_asked_twice() -> None:
    with scripted_dns(dict(ZONE)) as script:
        ask(script, "jane@many.test")
        assert len(script.questions) == len(set(script.questions)) == 11


@pytest.mark.parametrize("fault", ["servfail", "refused", "silent", "garbage"])
def test_trouble_with_the_dns(fault: str) -> None:
    with scripted_dns(dict(ZONE), faults={fault}) as script:
        assert ask(script, "jane@a.test").outcome == "temperror"


def test_trouble_on_the_way() -> None:
    with scripted_dns(dict(ZONE), dead={"gone.dead.test"}) as script:
        assert ask(script, "jane@dead.test").outcome == "temperror"


def test_time_that_runs_out() -> None:
    with scripted_dns(dict(ZONE), faults={"silent"}) as script:
        assert ask(script, "jane@a.test", seconds=0.05).outcome == "temperror"


def test_trouble_with_the_names_of_an_address_means_no_match() -> None:
    with scripted_dns(dict(ZONE), dead={"1.2.0.192.in-addr.arpa"}) as script:
        assert ask(script, "jane@ptr.test").outcome == "fail"
