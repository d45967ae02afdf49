"""The resolver against a real name server on loopback, well and in every kind of trouble."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from scripted_dns import ScriptedDns, scripted_dns

from directory.model import Condition, Deferred
from gateway.deliver.resolve import Mx, Tlsa
from gateway.deliver.settings import DnsSettings
from gateway.service.resolver import Resolver

T = TypeVar("T")
ZONE = {
    "far.example MX": ["20 Two.far.example.", "10 one.far.example."],
    "one.far.example A": ["192.0.2.1", "192.0.2.2"],
    "one.far.example AAAA": ["2001:db8::1"],
    "null.example MX": ["0 ."],
    "other.example CNAME": ["far.example."],
    "loop.example CNAME": ["loop.example."],
    "v4.example A": ["192.0.2.3"],
    "text.example TXT": ['"v=spf1" " -all"'],
    "_25._tcp.one.far.example TLSA": ["3 1 1 " + "ab" * 32],
}


def settings(script: ScriptedDns, **more: object) -> DnsSettings:
    return DnsSettings(servers=(script.server,), timeout=0.3, lifetime=1.5, **more)  # type: ignore[arg-type]


def run(script: ScriptedDns, work: Callable[[Resolver], Awaitable[T]], **more: object) -> T:
    async def main() -> T:
        return await work(Resolver(settings(script, **more)))

    return asyncio.run(main())


def test_records_of_every_kind() -> None:
    with scripted_dns(ZONE) as script:

        async def work(resolver: Resolver) -> None:
            assert set((await resolver.ask("far.example", "MX")).values) == {
                Mx(20, "two.far.example"), Mx(10, "one.far.example"),
            }  # fmt: skip
            assert (await resolver.ask("NULL.example.", "MX")).values == (Mx(0, ""),)
            behind = await resolver.ask("other.example", "MX")
            assert behind.name == "far.example" and len(behind.values) == 2
            assert (await resolver.ask("text.example", "TXT")).values == (b"v=spf1 -all",)
            assert (await resolver.ask("_25._tcp.one.far.example", "TLSA")).values == (Tlsa(3, 1, 1, b"\xab" * 32),)

        run(script, work)


def test_addresses_of_both_families_in_the_order_wanted(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("192.0.2.9 intern intern.example # ours\n2001:db8::9 intern\nnonsense x\n")
    with scripted_dns(ZONE) as script:

        async def main() -> None:
            resolver = Resolver(settings(script), hosts=hosts)
            both = await resolver.addresses("one.far.example")
            assert both.values[0] == "2001:db8::1" and set(both.values[1:]) == {"192.0.2.1", "192.0.2.2"}
            only = await resolver.addresses("one.far.example", ("ipv4",))
            assert set(only.values) == {"192.0.2.1", "192.0.2.2"}
            assert (await resolver.addresses("v4.example")).values == ("192.0.2.3",)
            assert (await resolver.addresses("[2001:db8::5]")).values == ("2001:db8::5",)
            assert (await resolver.addresses("intern", ("ipv4", "ipv6"))).values == ("192.0.2.9", "2001:db8::9")
            assert not (await resolver.addresses("nowhere.example")).exists
            # one family that cannot be asked hides nothing of the other
            script.dead.add("v4.example")
            fresh = Resolver(settings(script), hosts=hosts)
            with pytest.raises(Deferred):
                await fresh.addresses("v4.example")

        asyncio.run(main())


def test_absence_is_believed_of_a_server_that_works() -> None:
    with scripted_dns(ZONE) as script:

        async def work(resolver: Resolver) -> None:
            missing = await resolver.ask("nowhere.example.org", "MX")
            assert not missing.exists and missing.values == ()
            nothing = await resolver.ask("v4.example", "MX")
            assert nothing.exists and nothing.values == ()

        run(script, work)


@pytest.mark.parametrize("fault", ["servfail", "refused", "silent", "garbage", "bare", "rootless"])
def test_trouble_is_never_absence(fault: str) -> None:
    with scripted_dns(ZONE, faults={fault}) as script:

        async def work(resolver: Resolver) -> None:
            with pytest.raises(Deferred) as error:
                await resolver.ask("nowhere.example.org", "MX")
            assert error.value.condition is Condition.DNS_UNAVAILABLE
            asked = len(script.questions)
            with pytest.raises(Deferred):  # remembered for a moment
                await resolver.ask("nowhere.example.org", "MX")
            assert len(script.questions) == asked

        run(script, work)


def test_a_circle_of_aliases_and_a_dead_server_are_temporary() -> None:
    with scripted_dns(ZONE) as script:

        async def work(resolver: Resolver) -> None:
            with pytest.raises(Deferred):
                await resolver.ask("loop.example", "MX")

        run(script, work)

    async def main() -> None:
        with pytest.raises(Deferred):
            await Resolver(settings(script)).ask("far.example", "MX")  # nobody listens there any more

    asyncio.run(main())


@pytest.mark.parametrize("fault", ["cut", "formerr"])
def test_large_answers_come_over_tcp_and_old_servers_are_asked_plainly(fault: str) -> None:
    with scripted_dns(ZONE, faults={fault}) as script:
        assert len(run(script, lambda resolver: resolver.ask("far.example", "MX")).values) == 2
        assert ("tcp far.example MX" in script.questions) == (fault == "cut")


def test_the_second_server_answers_when_the_first_is_silent() -> None:
    with scripted_dns(ZONE, faults={"servfail"}) as bad, scripted_dns(ZONE) as good:

        async def main() -> None:
            resolver = Resolver(DnsSettings(servers=(bad.server, good.server), timeout=0.3))
            assert len((await resolver.ask("far.example", "MX")).values) == 2

        asyncio.run(main())


def test_one_question_is_asked_once_and_answers_are_kept_within_bounds() -> None:
    now = 1000.0
    with scripted_dns(ZONE, delay=0.05) as script:

        async def main() -> None:
            nonlocal now
            resolver = Resolver(settings(script, cache=2), lambda: now)
            await asyncio.gather(*(resolver.ask("far.example", "MX") for _ in range(20)))
            await resolver.ask("far.example", "MX")
            assert script.questions == ["far.example MX"]
            now += 61
            await resolver.ask("far.example", "MX")
            assert len(script.questions) == 2
            for name in ("null.example", "other.example", "far.example"):
                await resolver.ask(name, "MX")
            assert script.questions.count("far.example MX") == 3  # two later answers took its room

        asyncio.run(main())


def test_who_stops_waiting_takes_nothing_from_the_others() -> None:
    with scripted_dns(ZONE, delay=0.1) as script:

        async def work(resolver: Resolver) -> None:
            first = asyncio.ensure_future(resolver.ask("far.example", "MX"))
            second = asyncio.ensure_future(resolver.ask("far.example", "MX"))
            await asyncio.sleep(0.02)
            first.cancel()
            assert len((await second).values) == 2

        run(script, work)


@pytest.mark.parametrize(("ad", "trusted"), [(True, True), (False, False)])
def test_a_verdict_counts_from_loopback(ad: bool, trusted: bool) -> None:
    with scripted_dns(ZONE, ad=ad) as script:
        assert run(script, lambda resolver: resolver.ask("far.example", "MX")).is_secure is trusted
        assert run(script, lambda resolver: resolver.addresses("one.far.example")).is_secure is trusted


def test_a_verdict_counts_from_listed_servers_only() -> None:
    async def main() -> None:
        resolver = Resolver(DnsSettings(trusted=("192.0.2.53",)))
        assert [resolver._is_trusted(each) for each in ("192.0.2.53", "192.0.2.54", "::1")] == [True, False, True]

    asyncio.run(main())


LATE = """
import asyncio, sys
import gateway.service.outbound
from gateway.deliver.settings import DnsSettings
from gateway.service.resolver import Resolver
before = set(sys.modules)
async def main():
    resolver = Resolver(DnsSettings(servers=(sys.argv[1],)))
    for name, kind in (("far.example", "MX"), ("other.example", "MX"), ("nowhere.org", "A"), ("text.example", "TXT")):
        await resolver.ask(name, kind)
asyncio.run(main())
print(*sorted(set(sys.modules) - before))
"""


def test_nothing_is_imported_when_answers_come() -> None:
    with scripted_dns(ZONE, faults={"cut"}) as script:
        done = subprocess.run(
            [sys.executable, "-c", LATE, script.server], capture_output=True, text=True, timeout=60, cwd=os.getcwd()
        )
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr


def test_servers_of_resolv_conf_are_followed(tmp_path: Path) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text("search example\nnameserver 192.0.2.1\nnameserver nonsense\n")

    async def main() -> None:
        resolver = Resolver(DnsSettings(), resolv_conf=conf)
        assert resolver._servers() == [("192.0.2.1", 53)]
        (tmp_path / "new").write_text("nameserver 2001:db8::1\nnameserver 192.0.2.2\n")
        (tmp_path / "new").rename(conf)
        assert resolver._servers() == [("2001:db8::1", 53), ("192.0.2.2", 53)]

    asyncio.run(main())
