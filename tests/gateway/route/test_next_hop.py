"""Next hops as a table: a recipient and a sender, and the host that gets the message."""

from __future__ import annotations

import pytest
from native_entries import PROFILE, entry

from directory.memory import MemorySource
from directory.model import Condition, Deferred
from directory.port import Freshness
from directory.raw import RawEntry
from directory.view import View
from gateway.route.next_hop import NextHop, by_domain, host_and_port, next_hop, parse_way
from gateway.route.plan import Remote, RemoteLmtp
from gateway.route.relay_settings import Credentials, RelaySettings


def domain(name: str, **more: str | list[str]) -> RawEntry:
    return entry(f"cn={name}", "gatepostEntry gatepostDomain", cn=name, gatepostDomainName=name, **more)


def person(uid: str, **more: str | list[str]) -> RawEntry:
    address = f"{uid}@example.com"
    return entry(f"uid={uid}", "inetOrgPerson gatepostAccount", uid=uid, cn=uid, gatepostAddress=address, **more)


DIRECTORY = MemorySource(
    PROFILE,
    (
        domain("example.com", gatepostDomainAlias="example.net"),
        domain("shop.example", gatepostDomainAlias="laden.example", gatepostRelayHost="shop@smtp.provider.example:587"),
        domain("stray.example", gatepostRelayHost="shop@evil.example"),
        domain("unnamed.example", gatepostRelayHost="nobody@smtp.provider.example"),
        domain("relay.example", gatepostDomainKind="relay", gatepostNextHop=["inside.example:26", "b.example"]),
        domain("lmtp.example", gatepostDomainKind="relay", gatepostNextHop="lmtp:store.example"),
        domain("bare.example", gatepostDomainKind="relay"),
        domain("backup.example", gatepostDomainKind="backup"),
        domain("typo.example", gatepostDomainKind="relay", gatepostNextHop="a b:c"),
        domain("halftypo.example", gatepostDomainKind="relay", gatepostNextHop=["a b:c", "good.example"]),
        domain("direct.example", gatepostRelayHost="mx"),
        person("ann"),
        entry("uid=bo", "inetOrgPerson gatepostAccount", uid="bo", cn="bo", gatepostAddress="bob@example.net"),
        person("bob+own", gatepostRelayHost="mx"),
        person("eve", gatepostRelayHost="eve.example"),
        person("bob", gatepostRelayHost="own.example:2525"),
    ),
)
DIRECTORY.state = Freshness(True, float("inf"))
VIEW = View(DIRECTORY, PROFILE)
SHOP = Credentials(("smtp.provider.example",), "shop", "/none")
HALL = RelaySettings(
    smarthost="hall.example",
    routes={"fax.example": "fax@[2001:db8::5]:26", "direct.org": "mx", ".sub.example": "sub.example:2525",
            "relay.example": "elsewhere.example"},
    credentials={"shop": SHOP, "fax": Credentials(("2001:db8::5",), "fax", "/none")},
    tls={"must.example": "must", "hall.example": "verify", ".old.example": "never", "*": "may"},
    source={"example.com": ("192.0.2.7", "2001:db8::7"), "*": ("192.0.2.1",)},
)  # fmt: skip
PLAIN = RelaySettings()


def shown(hop: NextHop) -> str:
    others = "".join(f" {host}:{port}" for host, port in hop.others)
    return f"{hop.kind} {hop.login + '@' if hop.login else ''}{hop.host}:{hop.port} {hop.tls}{others}"


CASES = [
    (PLAIN, "x@far.example", "me@else.example", "mx far.example:25 may"),
    (PLAIN, "x@BÜCHER.example", "", "mx xn--bcher-kva.example:25 may"),
    (PLAIN, "x@backup.example", "", "mx backup.example:25 may"),
    (PLAIN, "x@lmtp.example", "", "lmtp store.example:24 may"),
    (PLAIN, "x@far.example", "bob@example.com", "smtp own.example:2525 may"),
    (HALL, "x@far.example", "ann@example.com", "smtp hall.example:25 verify"),
    (HALL, "x@far.example", "bob@example.com", "smtp own.example:2525 may"),
    (HALL, "x@far.example", "BOB@Example.com", "smtp own.example:2525 may"),
    (HALL, "x@far.example", "bob+news@example.com", "smtp own.example:2525 may"),
    (HALL, "x@far.example", "bob+own@example.com", "mx far.example:25 may"),  # an address of somebody else
    (HALL, "x@far.example", "eve@example.net", "smtp eve.example:25 may"),
    (HALL, "x@far.example", "eve+news@Example.Net", "smtp eve.example:25 may"),
    (HALL, "x@far.example", "bob@example.net", "smtp hall.example:25 verify"),  # somebody else's, who has no way
    (HALL, "x@far.example", "any@laden.example", "smtp shop@smtp.provider.example:587 verify"),
    (HALL, "x@far.example", "any@direct.example", "mx far.example:25 may"),
    (HALL, "x@far.example", "any@shop.example", "smtp shop@smtp.provider.example:587 verify"),
    (HALL, "x@fax.example", "any@shop.example", "smtp fax@2001:db8::5:26 verify"),
    (HALL, "x@direct.org", "", "mx direct.org:25 may"),
    (HALL, "x@a.b.sub.example", "", "smtp sub.example:2525 may"),
    (HALL, "x@sub.example", "", "smtp hall.example:25 verify"),
    (HALL, "x@relay.example", "bob@example.com", "smtp elsewhere.example:25 may"),
    (PLAIN, "x@relay.example", "bob@example.com", "smtp b.example:25 may inside.example:26"),
    (HALL, "x@bare.example", "bob@example.com", "mx bare.example:25 may"),
    (HALL, "x@halftypo.example", "", "smtp good.example:25 may"),
]


@pytest.mark.parametrize(("relay", "recipient", "sender", "expected"), CASES)
def test_the_host_that_gets_a_message(relay: RelaySettings, recipient: str, sender: str, expected: str) -> None:
    assert shown(next_hop(Remote(recipient), sender, VIEW, relay, "+")) == expected


@pytest.mark.parametrize(
    ("recipient", "sender", "why"),
    [
        ("x@typo.example", "", "gatepostNextHop"),
        # whoever writes the directory cannot have a password sent to a host of his own
        ("x@far.example", "any@stray.example", "are not for evil.example"),
        ("x@far.example", "any@unnamed.example", "there are no relay.credentials.nobody"),
    ],
)
def test_a_way_that_cannot_be_used_is_temporary(recipient: str, sender: str, why: str) -> None:
    with pytest.raises(Deferred, match=why) as error:
        next_hop(Remote(recipient), sender, VIEW, HALL, "+")
    assert error.value.condition is Condition.NO_ROUTE


def test_another_gateway_that_holds_the_mailbox() -> None:
    holder = VIEW.owners("ann@example.com")[0]
    step = RemoteLmtp("h2.example.com", holder, "ann@example.com")  # type: ignore[arg-type]
    assert shown(next_hop(step, "", VIEW, RelaySettings(lmtp_port=2424), "+")) == "lmtp h2.example.com:2424 may"


def test_protection_and_source_follow_domains() -> None:
    relay = RelaySettings(tls=HALL.tls, source=HALL.source)
    hop = next_hop(Remote("x@must.example"), "ann@example.com", VIEW, relay, "+")
    assert (hop.tls, hop.source) == ("must", "192.0.2.7 2001:db8::7")
    hop = next_hop(Remote("x@very.old.example"), "", VIEW, relay, "+")
    assert (hop.tls, hop.source) == ("never", "192.0.2.1")


def test_limits_count_by_destination_not_by_who_sends() -> None:
    relay = RelaySettings(source=HALL.source)
    one, two = (next_hop(Remote("x@far.example"), sender, VIEW, relay, "+") for sender in ("ann@example.com", ""))
    assert one != two and one.key == two.key == "mx far.example"
    assert parse_way("lmtp:a.example").key == "lmtp a.example:24"  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["", "a b", "host:0", "host:99999", "host:x", "a@", "lmtp:", "mx:25:26"])
def test_what_is_no_way(text: str) -> None:
    with pytest.raises(ValueError, match="is not mx, host"):
        parse_way(text)


def test_the_nearest_domain_decides() -> None:
    table = {"a.example": 1, ".example": 2, ".b.example": 3}
    assert [by_domain(table, name) for name in ("a.example", "x.a.example", "c.b.example", "example", "")] == [
        1, 2, 3, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [("h", ("h", 25)), ("h:26", ("h", 26)), ("[::1]:26", ("::1", 26)), ("[::1]", ("::1", 25)), ("::1", ("::1", 25))],
)
def test_host_and_port(text: str, expected: tuple[str, int]) -> None:
    assert host_and_port(text, 25) == expected
