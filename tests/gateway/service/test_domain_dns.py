"""The verb that looks at a domain's DNS records: what is asked, for whom, and what trouble with the DNS becomes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from directory.memory import MemorySource
from directory.model import Condition, Deferred
from directory.profile import Profile
from directory.raw import RawEntry
from directory.rights import RightsSettings
from directory.settings import DirectorySettings
from directory.view import View
from gateway.control.server import Caller, VerbError
from gateway.deliver.resolve import Kind, Mx, Records, Srv
from gateway.service.domain_dns import DnsVerb, DomainDns
from gateway.service.runner_actors import Actors
from gateway.service.signing import FOLDER, key_path, load_key, make_key

OPERATOR = Caller(0, None)


class Names:
    """A DNS that knows a few records, and is asked for no others."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], tuple[Any, ...]] = {}
        self.asked: list[str] = []

    async def ask(self, name: str, kind: Kind) -> Records:
        self.asked.append(name)
        if name == "_dmarc.example.com":
            raise Deferred(Condition.DNS_UNAVAILABLE, "no answer")
        return Records(self.known.get((name, kind), ()), name)

    async def addresses(self, name: str, families: tuple[str, ...] = ("ipv6", "ipv4")) -> Records:
        self.asked.append(name)
        return Records(self.known.get((name, "A"), ()), name)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever)
    thread.start()
    yield made
    made.call_soon_threadsafe(made.stop)
    thread.join(10)
    made.close()


def verb(names: Names, loop: asyncio.AbstractEventLoop, state: Path) -> Any:
    profile = Profile.of(DirectorySettings(base="o=x"))
    attributes = {
        "objectclass": [b"gatepostEntry", b"gatepostDomain"],
        "cn": [b"example.com"],
        "gatepostdomainname": [b"example.com"],
        "gatepostdkimselector": [b"s1"],
    }
    view = View(MemorySource(profile, (RawEntry("d:1", "cn=example.com,o=x", attributes),)), profile)
    actors = Actors(view, RightsSettings(), None, loop)  # type: ignore[arg-type]
    return DnsVerb(view, actors, names, "mail.example.com", state, "").verbs()["domain-dns"]


def wish(name: str, *also: dict[str, str]) -> DomainDns:
    return msgspec.convert({"name": name, "also": list(also)}, DomainDns)


def test_records_are_wanted_and_looked_for(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    names = Names()
    for selector in ("s1", "s2"):
        make_key(key_path(tmp_path / FOLDER, "example.com", selector), "ed25519-sha256")
    value = load_key(key_path(tmp_path / FOLDER, "example.com", "s1"), "example.com", "s1")[1]
    names.known = {
        ("example.com", "MX"): (Mx(10, "mail.example.com"),),
        ("s1._domainkey.example.com", "TXT"): (value.encode(),),
        ("_imaps._tcp.example.com", "SRV"): (Srv(0, 1, 143, "mail.example.com"),),
    }
    also = {
        "purpose": "programs",
        "name": "_imaps._tcp.example.com",
        "kind": "SRV",
        "value": "0 1 993 mail.example.com.",
    }
    found = verb(names, loop, tmp_path).run(OPERATOR, wish("example.com", also))
    states = {(row["purpose"], row["name"].partition(".")[0]): (row["state"], row["in_use"]) for row in found}
    assert states == {
        ("mx", "example"): ("right", True),
        ("spf", "example"): ("missing", True),
        ("dmarc", "_dmarc"): ("unknown", True),
        ("dkim", "s1"): ("right", True),
        ("dkim", "s2"): ("missing", False),
        ("programs", "_imaps"): ("other", True),
    }
    assert all(name == "example.com" or name.endswith(".example.com") for name in names.asked)


@pytest.mark.parametrize("name", ["example.net", "notexample.com", "_imaps._tcp.example.com.evil.example"])
def test_names_outside_are_not_asked_for(loop: asyncio.AbstractEventLoop, tmp_path: Path, name: str) -> None:
    names = Names()
    also = {"purpose": "x", "name": name, "kind": "TXT", "value": "v=x"}
    with pytest.raises(VerbError, match=r"is not below example\.com"):
        verb(names, loop, tmp_path).run(OPERATOR, wish("example.com", also))
    assert names.asked == []


@pytest.mark.parametrize("name", ["elsewhere.example", "", "a..b", "x" * 300])
def test_a_domain_that_is_not_ours(loop: asyncio.AbstractEventLoop, tmp_path: Path, name: str) -> None:
    with pytest.raises(VerbError):
        verb(Names(), loop, tmp_path).run(OPERATOR, wish(name))
