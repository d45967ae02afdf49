"""The quota of a domain: sums that another process writes, own deliveries since, the edge, what is not known."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from directory.model import Account, Condition, Domain, Refused
from gateway.store import domain_use, markers
from gateway.store.domain_use import DOMAIN_FULL, DomainUse, read_sums, write_sums
from gateway.store.memory import MemoryRepository
from gateway.store.repository import INBOX, MessageRow
from gateway.store.settings import StoreSettings, Volume
from gateway.store.stores import Stores, Target

ANN = Account(id="t:ann", dn="uid=ann", addresses=("ann@example.com",), mail="Ann@Example.COM")
BOB = Account(id="t:bob", dn="uid=bob", addresses=("bob@example.com",))
EVE = Account(id="t:eve", dn="uid=eve", addresses=("eve@example.org", "eve@example.com"))


class Domains:
    def __init__(self) -> None:
        self.quota = 1000

    def __call__(self, name: str) -> Domain | None:
        return Domain(id="d", dn="d", name=name, domain_quota=self.quota if name == "example.com" else None)


class Desk:
    def __init__(self, folder: Path) -> None:
        self.file, self.domains = folder / "domain_use.json", Domains()
        self.use = DomainUse(self.file, self.domains)
        (folder / "volume").mkdir()
        markers.prepare_volume(folder / "volume")
        settings = StoreSettings(volumes={"main": Volume(path=str(folder / "volume"))})
        self.stores = Stores(settings, MemoryRepository(), domain_room=self.use)

    def sum(self, **octets: int) -> None:
        """What the process that sums up does."""
        write_sums(
            self.file, [(name.replace("_", "."), used) for name, used in octets.items()], {"example.com": 1000}, 1.0
        )
        os.utime(self.file, ns=(1, os.stat(self.file).st_mtime_ns + 1))

    def deliver(self, *holders: Account, size: int = 100) -> list[str]:
        body = b"Subject: x\n\n" + b"x" * (size - 13) + b"\n"
        targets = [Target(holder, "x") for holder in holders]
        outcomes = self.stores.deliver_many(targets, [body], size, size + 3)
        return ["ok" if isinstance(each, MessageRow) else each.condition.name for each in outcomes]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(domain_use, "LOOK_SECONDS", 0.0)
    made = Desk(tmp_path)
    yield made
    made.stores.close()


def test_without_a_sum_nobody_is_refused(desk: Desk) -> None:
    assert desk.use.room(ANN) is None
    assert desk.deliver(ANN, size=5000) == ["ok"]
    desk.file.write_text("{")  # damaged, or of a later version
    assert (desk.use.room(ANN), read_sums(desk.file)) == (None, None)
    desk.file.write_text('{"version": 2, "at": 1.0, "octets": {"example.com": 5000}}')
    assert desk.use.room(ANN) is None


def test_room_is_shared_by_the_accounts_whose_primary_address_is_in_the_domain(desk: Desk) -> None:
    desk.sum(example_com=700, example_org=10**9)
    assert (desk.use.room(ANN), desk.use.room(BOB), desk.use.room(EVE)) == (300, 300, None)
    assert desk.deliver(ANN, size=100) == ["ok"]
    assert desk.use.room(BOB) == 200  # own deliveries count at once
    desk.sum(example_com=800)
    assert desk.use.room(BOB) == 200  # and once


def test_the_edge_is_exact_to_the_octet(desk: Desk) -> None:
    desk.sum(example_com=800)
    assert desk.deliver(ANN, size=201) == ["MAILBOX_FULL"]
    assert desk.deliver(ANN, size=200) == ["ok"]
    assert desk.deliver(BOB, size=20) == ["MAILBOX_FULL"]
    assert desk.deliver(EVE, size=500) == ["ok"]
    with pytest.raises(Refused, match=DOMAIN_FULL) as caught:
        desk.stores.append(BOB, INBOX, [b"x"])
    assert caught.value.condition is Condition.MAILBOX_FULL


def test_one_message_for_many_counts_for_each(desk: Desk) -> None:
    desk.sum(example_com=800)
    assert desk.deliver(ANN, BOB, EVE, size=150) == ["ok", "MAILBOX_FULL", "ok"]


def test_copies_count_and_moves_within_a_store_do_not(desk: Desk) -> None:
    desk.sum(example_com=0)
    desk.deliver(ANN, size=400)
    desk.stores.create_mailbox(ANN, "Work")
    inbox = desk.stores.repository.mailbox(ANN.id, INBOX)
    assert inbox is not None
    assert len(desk.stores.copy(ANN, inbox, [1], "Work")) == 1
    assert desk.use.room(ANN) == 200
    with pytest.raises(Refused, match=DOMAIN_FULL):
        desk.stores.copy(ANN, inbox, [1], "Work")
    assert len(desk.stores.move(ANN, inbox, [1], "Work")) == 1


def test_a_quota_that_changes_in_the_directory_counts_at_once(desk: Desk) -> None:
    desk.sum(example_com=900)
    assert desk.use.room(ANN) == 100
    desk.domains.quota = 500
    assert desk.use.room(ANN) == 0
    desk.domains.quota = 0
    assert desk.use.room(ANN) is None


def test_full_domains_are_told(desk: Desk) -> None:
    desk.sum(example_com=1000)
    sums = read_sums(desk.file)
    assert sums is not None
    assert sums.full() == {"example.com": (1000, 1000)}
