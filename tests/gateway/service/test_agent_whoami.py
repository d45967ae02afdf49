"""Who somebody is and what he looks after, asked by every page: without going through the whole directory each time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

from native_entries import BASE, PROFILE, entry

from directory.memory import MemorySource
from directory.model import Account, Entry
from directory.rights import Actor, Rights, RightsSettings
from directory.settings import DirectorySettings
from directory.view import View
from gateway.control.protocol import Claim
from gateway.control.server import Caller
from gateway.service.agent_accounts import Accounts
from gateway.service.agent_reading import Reading, Whoami


def mailing_list(name: str) -> Any:
    mail = f"{name}@example.com"
    classes = "gatepostEntry gatepostList"
    return entry(f"cn={name}", classes, mail=mail, gatepostAddress=mail, owner=f"uid=jane,{BASE}")


class Bench:
    def __init__(self) -> None:
        jane = "jane@example.com"
        self.source = MemorySource(
            PROFILE,
            (
                entry("uid=jane", "inetOrgPerson gatepostAccount", uid="jane", mail=jane, gatepostAddress=jane),
                mailing_list("sales"),
            ),
        )
        self.view, self.now, self.scans = View(self.source, PROFILE), 0.0, 0
        self.reading = Reading(
            cast(Accounts, self), DirectorySettings(base=BASE), self.source.generation, clock=self.tick
        )

    def tick(self) -> float:
        self.now += 1.0  # going through the directory takes a second
        return self.now

    def actor(self, caller: Caller) -> Actor:
        (account,) = self.view.by_login("jane")
        assert isinstance(account, Account)
        return Actor(account.dn, account)

    def search(self, base: str, scope: str, text: str) -> Iterator[Entry]:
        self.scans += 1
        return self.view.search(base, scope, text)

    @contextlib.contextmanager
    def looking(self) -> Iterator[Any]:
        directory = SimpleNamespace(search=self.search, by_id=self.view.by_id)
        yield SimpleNamespace(directory=directory, rights=Rights(self.view, RightsSettings()))

    def lists(self) -> list[str]:
        found = self.reading.verbs()["whoami"].run(Caller(0, Claim("jane")), Whoami())
        assert "list" in found["roles"]
        return list(found["lists"])


def test_the_directory_is_gone_through_behind_a_change_but_not_all_the_time() -> None:
    bench = Bench()
    for _ in range(5):
        assert bench.lists() == ["sales@example.com"]
    assert bench.scans == 1
    bench.source.put(mailing_list("news"))
    assert bench.lists() == ["sales@example.com"], "made a moment ago"
    bench.now += 20
    for _ in range(5):
        assert bench.lists() == ["news@example.com", "sales@example.com"]
    assert bench.scans == 2
