"""A host without an index: it delivers into new/, the host with the index takes it in."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from store_bench import BODY, Bench, person

from directory.model import Condition, Deferred, MailboxHolder
from gateway.service.pools import Pools
from gateway.service.upkeep import tend_all
from gateway.store import markers
from gateway.store.settings import StoreSettings, Volume
from gateway.store.stores import Stores

ANN = person()
WIRE = len(BODY) + BODY.count(b"\n")


@pytest.fixture(params=["sqlite", "memory"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return Bench(tmp_path, request.param)


def without_index(bench: Bench, template: str = Volume.__struct_defaults__[1]) -> Stores:
    return Stores(StoreSettings(volumes={"main": Volume(path=str(bench.volume), path_template=template)}), None)


def tend(bench: Bench, *people: MailboxHolder) -> list[Deferred]:
    by_id = {holder.id: holder for holder in people}
    directory: Any = SimpleNamespace(by_id=by_id.get, search=lambda *_: iter(people))
    settings: Any = SimpleNamespace(directory=SimpleNamespace(base="o=test"))

    async def main() -> list[Deferred]:
        pools = Pools(StoreSettings())
        host: Any = SimpleNamespace(
            stores=bench.stores, directory=directory, settings=settings, in_pool=lambda w, v="": pools.of(v).run(w)
        )
        _, troubles = await tend_all(host)
        pools.shutdown()
        return troubles

    return asyncio.run(main())


def test_mail_waits_in_new_and_is_taken_in(bench: Bench) -> None:
    bench.deliver(ANN)
    other = without_index(bench)
    assert not other.has_index
    assert other.deliver(ANN, [BODY], len(BODY), WIRE, "ann@example.com") == (0, 0)
    assert len(bench.files(ANN)["new"]) == 1
    assert tend(bench, ANN) == []
    assert bench.files(ANN)["new"] == []
    assert [m.uid for m in bench.inbox(ANN)[1]] == [1, 2]
    other.close()


def test_a_store_that_it_made_is_found(bench: Bench) -> None:
    other = without_index(bench)
    other.deliver(ANN, [BODY], len(BODY), WIRE, "ann@example.com")
    assert bench.repository.account(ANN.id) is None
    assert tend(bench, ANN, person("nobody")) == []
    assert [m.uid for m in bench.inbox(ANN)[1]] == [1]
    assert bench.repository.account("t:nobody") is None


def test_a_store_beside_the_kept_one_is_fetched_from(bench: Bench) -> None:
    bench.deliver(ANN)
    moved = person(maildir="somewhere/else")
    without_index(bench).deliver(moved, [BODY], len(BODY), WIRE, "ann@example.com")
    assert [m.uid for m in bench.inbox(ANN)[1]] == [1]
    assert tend(bench, moved) == []
    row, messages = bench.inbox(ANN)
    assert [m.uid for m in messages] == [1, 2]
    assert bench.stores.read(ANN.id, row, messages[1]) == BODY
    assert os.listdir(bench.volume / "somewhere" / "else" / "new") == []


def test_anothers_store_takes_nothing(bench: Bench) -> None:
    bench.deliver(ANN)
    markers.write_account(str(bench.maildir(ANN)), "t:other", ["other@example.com"])
    with pytest.raises(Deferred) as caught:
        without_index(bench).deliver(ANN, [BODY], len(BODY), WIRE, "ann@example.com")
    assert caught.value.condition is Condition.ACCOUNT_REBIND
    assert bench.files(ANN)["new"] == []


def test_a_volume_that_is_away_takes_nothing(bench: Bench) -> None:
    (bench.volume / markers.STORE).unlink()
    with pytest.raises(Deferred) as caught:
        without_index(bench).deliver(ANN, [BODY], len(BODY), WIRE, "ann@example.com")
    assert caught.value.condition is Condition.STORE_UNAVAILABLE


def test_whatever_needs_the_index_is_trouble(bench: Bench) -> None:
    other = without_index(bench)
    for act in (lambda: other.open(ANN), lambda: other.repository, lambda: other.mailboxes(ANN)):
        with pytest.raises(Deferred) as caught:
            act()
        assert caught.value.condition is Condition.STORE_UNAVAILABLE
