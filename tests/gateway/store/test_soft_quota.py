"""The soft quota: exceeded for its grace, a hard one from then on, forgotten once there is room again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from directory.model import Account, Condition, Deferred, Refused
from gateway.queue.grace import QuotaGrace, over_since
from gateway.store import markers
from gateway.store.limits import limits_of, note_use
from gateway.store.memory import MemoryRepository
from gateway.store.repository import AccountRow, Limits
from gateway.store.settings import StoreSettings, Volume
from gateway.store.stores import Stores

ANN = Account(id="t:ann", dn="uid=ann", addresses=("ann@example.com",), quota=1000, quota_soft=100, quota_grace=3600)


@pytest.fixture
def grace(tmp_path: Path) -> Iterator[QuotaGrace]:
    made = QuotaGrace(tmp_path / "over_quota.db", 100)
    yield made
    made.close()


class Use:
    """A store that holds as much as it is told."""

    def __init__(self, octets: int) -> None:
        self.octets = octets
        self.asked = 0

    def __call__(self, account: str) -> AccountRow | None:
        self.asked += 1
        return AccountRow(account, "/x", self.octets, 1)


def octets(holder: Account, grace: QuotaGrace, use: Use, now: float, *, note: bool = True) -> int:
    return limits_of(holder, grace, use, now, note=note).bytes


def test_exactly_at_the_soft_quota_is_not_over_it(grace: QuotaGrace) -> None:
    note_use(ANN, grace, Use(100), 1000.0)
    assert grace.since(ANN.id) is None
    note_use(ANN, grace, Use(101), 2000.0)
    note_use(ANN, grace, Use(500), 3000.0)
    assert grace.since(ANN.id) == 2000.0, "the first time counts"


def test_the_grace_ends_to_the_second(grace: QuotaGrace) -> None:
    use = Use(101)
    note_use(ANN, grace, use, 2000.0)
    assert octets(ANN, grace, use, 2000.0 + 3599.9) == 1000
    assert octets(ANN, grace, use, 2000.0 + 3600) == 100
    assert octets(replace(ANN, quota=None), grace, use, 2000.0 + 3600) == 100, "a soft quota alone is one too"
    assert octets(replace(ANN, quota=50), grace, use, 2000.0 + 3600) == 50, "a hard one below it stays"
    assert octets(replace(ANN, quota_soft=0), grace, use, 2000.0 + 3600) == 1000
    assert octets(replace(ANN, quota_soft=101), grace, use, 2000.0 + 3600) == 1000, "it was raised"


def test_room_ends_the_grace_and_the_next_time_it_begins_anew(grace: QuotaGrace) -> None:
    note_use(ANN, grace, Use(101), 2000.0)
    assert octets(ANN, grace, Use(100), 9000.0, note=False) == 1000
    assert grace.since(ANN.id) == 2000.0, "not noted"
    assert octets(ANN, grace, Use(100), 9000.0) == 1000
    assert grace.since(ANN.id) is None
    note_use(ANN, grace, Use(101), 9001.0)
    assert octets(ANN, grace, Use(101), 9001.0 + 3599) == 1000
    grace.has_room(ANN.id, has_soft=True)
    assert grace.since(ANN.id) == 9001.0
    grace.has_room(ANN.id, has_soft=False)
    assert grace.since(ANN.id) is None, "no soft quota any more"


def test_without_grace_it_is_a_hard_one_from_the_start(grace: QuotaGrace) -> None:
    use = Use(0)
    assert octets(replace(ANN, quota_grace=0), grace, use, 1.0) == 100
    assert octets(replace(ANN, quota_grace=None), grace, use, 1.0) == 1000
    assert octets(ANN, grace, use, 1.0) == 1000
    assert use.asked == 0, "who was not over it costs no look at the index"


def test_trouble_refuses_nobody(tmp_path: Path, grace: QuotaGrace) -> None:
    def down(account: str) -> AccountRow | None:
        raise Deferred(Condition.STORE_UNAVAILABLE)

    note_use(ANN, grace, down, 1.0)
    assert grace.since(ANN.id) is None
    note_use(ANN, grace, Use(101), 2.0)
    assert limits_of(ANN, grace, down, 9e9, note=True) == Limits(1000)
    grace.close()
    assert grace.since(ANN.id) is None
    grace.note(ANN.id, True, 1.0)
    assert octets(ANN, grace, Use(101), 9e9) == 1000


def test_what_the_delivery_knows_is_not_asked_again(grace: QuotaGrace) -> None:
    use = Use(0)
    note_use(ANN, grace, use, 1000.0, 100)
    assert grace.since(ANN.id) is None
    note_use(ANN, grace, use, 2000.0, 101)
    assert grace.since(ANN.id) == 2000.0
    assert use.asked == 0


def test_processes_see_each_other(tmp_path: Path, grace: QuotaGrace) -> None:
    other = QuotaGrace(tmp_path / "over_quota.db", 100)
    grace.note(ANN.id, True, 5.0)
    assert other.since(ANN.id) == 5.0
    assert over_since(tmp_path / "over_quota.db", ANN.id, "over_soft") == 5.0
    assert over_since(tmp_path / "over_quota.db", ANN.id) is None
    other.note(ANN.id, False, 6.0)
    assert grace.since(ANN.id) is None
    other.close()


def test_each_way_into_a_store(tmp_path: Path, grace: QuotaGrace) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    markers.prepare_volume(volume)
    stores = Stores(StoreSettings(volumes={"main": Volume(str(volume))}), MemoryRepository(), over_soft=grace)
    body = b"x" * 59 + b"\n"

    def over_for(seconds: float) -> None:
        grace.note(ANN.id, False, 0.0)
        grace.note(ANN.id, True, time.time() - seconds)

    stores.deliver(ANN, [body], 60, 61, "")
    assert grace.since(ANN.id) is None
    stores.append(ANN, "INBOX", [body])
    began = grace.since(ANN.id)
    assert began is not None and abs(began - time.time()) < 60
    stores.deliver(ANN, [body], 60, 61, "")
    assert grace.since(ANN.id) == began
    inbox = stores.open_mailbox(ANN, "INBOX")
    over_for(3601)
    for refused in (
        lambda: stores.deliver(ANN, [body], 60, 61, ""),
        lambda: stores.append(ANN, "INBOX", [body]),
        lambda: stores.copy(ANN, inbox, [1], "INBOX"),
    ):
        with pytest.raises(Refused) as caught:
            refused()
        assert caught.value.condition is Condition.MAILBOX_FULL
    stores.move(ANN, inbox, [3], "INBOX")  # moving within a store takes no room
    over_for(3500)
    stores.copy(ANN, inbox, [1], "INBOX")
    over_for(3601)
    stores.expunge(ANN, inbox, [1, 2, 4])
    stores.append(ANN, "INBOX", [b"x" * 40])
    assert grace.since(ANN.id) is None, "exactly at it again"
    stores.append(ANN, "INBOX", [b"x"])
    assert (grace.since(ANN.id) or 0) >= began
    stores.close()
