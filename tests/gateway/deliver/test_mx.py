"""From a domain to the hosts and addresses that are tried."""

from __future__ import annotations

import asyncio

import pytest
from scripted_dns import scripted_dns

from directory.model import Condition, Deferred, Refused
from gateway.deliver.mx import MxHost, is_public, mx_hosts, places
from gateway.deliver.resolve import Mx
from gateway.deliver.settings import DnsSettings
from gateway.service.resolver import Resolver

ZONE = {
    "far.example MX": ["20 c.far.example.", "10 b.far.example.", "10 a.far.example."],
    "bare.example A": ["9.9.9.9"],
    "text.example TXT": ["nothing"],
    "null.example MX": ["0 ."],
    "backup.example MX": ["10 main.backup.example.", "20 US.example.com.", "30 worse.example."],
    "loop.example MX": ["10 us.example.com.", "20 other.example."],
    "many.example MX": [f"{number} h{number}.many.example." for number in range(50)],
    "empty.example MX": ["10 gone.empty.example."],
    "inside.example MX": ["10 inside.example."],
    "inside.example A": ["127.0.0.1", "10.0.0.1", "169.254.1.1"],
    "half.example MX": ["10 half.example."],
    "half.example A": ["10.0.0.1", "9.9.9.9"],
    "dead.example MX": ["10 dead.example."],
}


def hosts(domain: str) -> list[str]:
    with scripted_dns(ZONE) as script:

        async def main() -> list[str]:
            resolver = Resolver(DnsSettings(servers=(script.server,), timeout=0.3, lifetime=1))

            def turn(records: list[Mx]) -> None:
                records.sort(reverse=True)

            return [host.name for host in await mx_hosts(domain, resolver, {"us.example.com"}, turn)]

        return asyncio.run(main())


def addresses(name: str, *, may_be_private: bool = False, own: str = "") -> list[str]:
    with scripted_dns(ZONE, dead={"dead.example"}) as script:

        async def main() -> list[str]:
            resolver = Resolver(DnsSettings(servers=(script.server,), timeout=0.3, lifetime=1))
            found = await places(
                MxHost(name), name, resolver, families=("ipv6", "ipv4"), may_be_private=may_be_private,
                is_own=lambda address: address == own,
            )  # fmt: skip
            return [place.address for place in found]

        return asyncio.run(main())


def test_preference_decides_and_equals_are_shuffled() -> None:
    assert hosts("far.example") == ["b.far.example", "a.far.example", "c.far.example"]


def test_a_domain_without_mx_is_its_own_host() -> None:
    assert hosts("bare.example") == ["bare.example"]


def test_a_backup_delivers_to_better_hosts_only() -> None:
    assert hosts("backup.example") == ["main.backup.example"]


def test_hosts_are_bounded() -> None:
    assert hosts("many.example") == [f"h{number}.many.example" for number in range(20)]


@pytest.mark.parametrize(
    ("domain", "status"),
    [("null.example", "5.1.10"), ("loop.example", "5.4.6"), ("nowhere.org", "5.1.2"), ("us.example.com", "5.1.2")],
)
def test_domains_that_never_take_mail(domain: str, status: str) -> None:
    with pytest.raises(Refused) as error:
        hosts(domain)
    assert error.value.condition.enhanced == status


def test_private_addresses_are_left_out_unless_allowed() -> None:
    with pytest.raises(Deferred, match="only private addresses"):
        addresses("inside.example")
    assert addresses("half.example") == ["9.9.9.9"]
    assert set(addresses("inside.example", may_be_private=True)) == {"127.0.0.1", "10.0.0.1", "169.254.1.1"}


def test_an_address_of_ours_is_a_loop() -> None:
    with pytest.raises(Refused) as error:
        addresses("half.example", own="9.9.9.9")
    assert error.value.condition is Condition.MAIL_LOOP


def test_no_address() -> None:
    with pytest.raises(Refused) as error:  # an existing name without mail
        addresses("text.example")
    assert error.value.condition is Condition.NO_SUCH_MAIL_DOMAIN
    with pytest.raises(Deferred) as trouble:
        addresses("dead.example")
    assert trouble.value.condition is Condition.DNS_UNAVAILABLE


@pytest.mark.parametrize(
    ("address", "public"),
    [("9.9.9.9", True), ("2620:fe::fe", True), ("127.0.0.1", False), ("::1", False), ("10.1.1.1", False),
     ("::ffff:127.0.0.1", False), ("0.0.0.0", False), ("224.0.0.1", False), ("fe80::1%eth0", False),
     ("100.64.0.1", False), ("fd00::1", False)],
)  # fmt: skip
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public
