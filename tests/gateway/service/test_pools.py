"""A volume that hangs: its calls are answered at their deadline, then at once, and nobody else waits."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from directory.model import Account, Condition, Deferred
from gateway.observe import metrics
from gateway.service import pools
from gateway.service.pools import OTHER, Pools
from gateway.store import markers
from gateway.store.memory import MemoryRepository
from gateway.store.settings import StoreSettings, Volume
from gateway.store.stores import Stores, Target


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "CHECK_SECONDS", 0.02)


def made(path: str = "/nowhere", **facts: float) -> Pools:
    return Pools(StoreSettings(volumes={"a": Volume(path=path), "b": Volume(path=path)}, **facts))  # type: ignore[arg-type]


async def until(is_so: Callable[[], bool]) -> None:
    for _ in range(500):
        if is_so():
            return
        await asyncio.sleep(0.01)
    pytest.fail("did not happen")


def test_answers_and_errors_come_back() -> None:
    async def main() -> None:
        both = made()
        assert await both.of("a").run(lambda: 3) == 3
        assert await both.of("unknown").run(lambda: 4) == 4
        with pytest.raises(FileNotFoundError):
            await both.of("a").run(Path("/nowhere/at/all").read_bytes)
        both.shutdown()

    asyncio.run(main())


def test_a_hanging_volume_is_down_alone_and_comes_back() -> None:
    async def main() -> None:
        both = made(threads=2, deadline=0.05)
        hang = threading.Event()
        late = asyncio.create_task(both.of("a").run(hang.wait))
        with pytest.raises(Deferred, match="no answer within") as caught:
            await late
        assert caught.value.condition is Condition.STORE_UNAVAILABLE
        assert both.is_down("a")
        assert metrics.counted["volume_downs", "a"] >= 1
        assert metrics.counted["file_calls_late", "a"] >= 1
        begun = time.monotonic()
        with pytest.raises(Deferred, match="does not answer"):
            await both.of("a").run(lambda: 1)
        assert time.monotonic() - begun < 0.05
        assert not both.is_down("b")
        assert await both.of("b").run(lambda: 2) == 2
        assert await both.of(OTHER).run(lambda: 2) == 2
        hang.set()
        assert metrics.counted.get(("volume_ups", "a"), 0) < metrics.counted["volume_downs", "a"]
        await until(lambda: not both.is_down("a"))
        assert metrics.counted["volume_ups", "a"] == metrics.counted["volume_downs", "a"]
        assert await both.of("a").run(lambda: 1) == 1
        both.shutdown()

    asyncio.run(main())


def test_calls_that_wait_are_limited() -> None:
    async def main() -> None:
        one = made(threads=1, waiting=2)
        hang = threading.Event()
        tasks = [asyncio.create_task(one.of("a").run(hang.wait)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Deferred, match="are waiting"):
            await one.of("a").run(lambda: 1)
        hang.set()
        assert await asyncio.gather(*tasks) == [True] * 3
        one.shutdown()

    asyncio.run(main())


def test_calls_that_wait_at_the_end_are_answered() -> None:
    async def main() -> None:
        one = made(threads=1)
        hang = threading.Event()
        first = asyncio.create_task(one.of("a").run(hang.wait))
        second = asyncio.create_task(one.of("a").run(lambda: 1))
        await asyncio.sleep(0.05)
        threading.Timer(0.05, hang.set).start()
        one.shutdown()
        assert await first
        with pytest.raises(Deferred, match="ends"):
            await second

    asyncio.run(main())


def test_a_caller_that_was_cancelled_is_forgotten() -> None:
    async def main() -> None:
        one = made()
        hang = threading.Event()
        task = asyncio.create_task(one.of("a").run(hang.wait))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        hang.set()
        assert await one.of("a").run(lambda: 1) == 1
        one.shutdown()

    asyncio.run(main())


def test_deliveries_for_a_volume_that_is_down_do_not_wait(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        markers.prepare_volume(tmp_path / name)
    settings = StoreSettings(volumes={name: Volume(path=str(tmp_path / name)) for name in ("a", "b")})
    stores = Stores(settings, MemoryRepository(), is_down=lambda volume: volume == "a")
    people = [Account(id=f"t:{name}", dn=name, store=name) for name in ("a", "b")]
    outcomes = stores.deliver_many([Target(person, "") for person in people], [b"x\n"], 2, 3)
    assert isinstance(outcomes[0], Deferred)
    assert not isinstance(outcomes[1], Deferred)
