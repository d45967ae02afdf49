"""The store of a self-test's account is taken away; one that may be somebody else's never."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from native_entries import PROFILE, entry
from store_bench import Bench

from directory.memory import MemorySource
from directory.model import Account, Deferred
from directory.port import Freshness
from directory.view import View
from gateway.control.server import Caller, VerbError
from gateway.queue.grace import QuotaGrace
from gateway.service.selftest.clean import SelftestDomain, SelftestVerbs
from gateway.service.selftest.entries import Names
from gateway.store import markers

NAMES = Names.fresh()
ME = Account(id=f"t:uid={NAMES.run}", dn=f"uid={NAMES.run},o=test", addresses=(NAMES.address("me"),))


class Cleaning:
    """A store of a self-test's account whose entry is gone."""

    def __init__(self, folder: Path) -> None:
        self.bench, self.source = Bench(folder), MemorySource(PROFILE)
        host: Any = SimpleNamespace(
            stores=self.bench.stores,
            directory=View(self.source, PROFILE),
            grace=QuotaGrace(folder / "over_quota.db", 60.0),
        )
        self.bench.deliver(ME)
        self.maildir = self.bench.maildir(ME)
        self.verb = SelftestVerbs(host).verbs()["selftest-clean"]

    def clean(self, domain: str = NAMES.domain) -> Any:
        return self.verb.run(Caller(0, None), SelftestDomain(domain))

    def mark(self, facts: dict[str, object]) -> None:
        """Other facts in the marker."""
        path = self.maildir / markers.ACCOUNT
        path.write_bytes(msgspec.json.encode({**msgspec.json.decode(path.read_bytes()), **facts}) + b"\n")

    @property
    def is_there(self) -> bool:
        return len(list(self.maildir.glob("*/*"))) == 1 and self.bench.repository.account(ME.id) is not None


@pytest.fixture
def cleaning(tmp_path: Path) -> Iterator[Cleaning]:
    made = Cleaning(tmp_path)
    yield made
    made.bench.stores.close()


def test_the_store_goes_when_the_entry_is_gone(cleaning: Cleaning) -> None:
    assert cleaning.clean() == {"removed": 1}
    assert not cleaning.maildir.exists() and cleaning.bench.repository.account(ME.id) is None
    assert cleaning.clean() == {"removed": 0}


def test_it_stays_while_the_entry_is_there(cleaning: Cleaning) -> None:
    cleaning.source.put(entry(f"uid={NAMES.run}", "gatepostAccount", uid=NAMES.run, mail=NAMES.address("me")))
    with pytest.raises(VerbError, match="still in the directory") as told:
        cleaning.clean()
    assert told.value.code == 4 and cleaning.is_there


@pytest.mark.parametrize(
    "state",
    [
        Freshness(complete=True, fresh_at=1.0),
        Freshness(complete=False, fresh_at=float("inf")),
        Freshness(complete=True, fresh_at=float("inf"), braked="too much would be removed"),
    ],
)
def test_it_stays_while_it_is_not_certain_that_the_entry_is_gone(cleaning: Cleaning, state: Freshness) -> None:
    cleaning.source.state = state
    with pytest.raises(Deferred):
        cleaning.clean()
    assert cleaning.is_there
    cleaning.source.state = Freshness(complete=True, fresh_at=float("inf"))
    assert cleaning.clean() == {"removed": 1}


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"addresses": []}, "does not say whose it is"),
        ({"id": "t:uid=other"}, "does not say whose it is"),
        ({"addresses": [NAMES.address("me"), "ann@example.com"]}, "has addresses of others"),
        ({"addresses": [f"ann@{NAMES.domain}.example.com"]}, "has addresses of others"),
    ],
)
def test_a_store_that_is_not_the_self_tests_stays(cleaning: Cleaning, facts: dict[str, object], why: str) -> None:
    cleaning.mark(facts)
    with pytest.raises(VerbError, match=why) as told:
        cleaning.clean()
    assert told.value.code == 1 and cleaning.is_there


@pytest.mark.parametrize("content", [None, b"", b"{damaged\n"])
def test_a_store_without_its_marker_stays(cleaning: Cleaning, content: bytes | None) -> None:
    marker = cleaning.maildir / markers.ACCOUNT
    marker.unlink()
    if content is not None:
        marker.write_bytes(content)
    with pytest.raises(VerbError, match="remove it by hand"):
        cleaning.clean()
    assert cleaning.is_there


def test_a_store_whose_files_are_gone_is_forgotten(cleaning: Cleaning) -> None:
    cleaning.maildir.rename(cleaning.bench.path / "removed by hand")
    assert cleaning.clean() == {"removed": 1}
    assert cleaning.bench.repository.account(ME.id) is None


def test_other_domains_are_none_of_its_business(cleaning: Cleaning) -> None:
    with pytest.raises(VerbError, match="not the domain of a self-test"):
        cleaning.clean("example.com")
    assert cleaning.is_there
