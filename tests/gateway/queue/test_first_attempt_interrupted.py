"""The first attempt at a message is cut off behind its first delivery: the next one does not repeat that delivery."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from queue_bench import Bench, Peer, serving

from gateway.deliver.port import Outcome, Parcel
from gateway.queue.file import Target
from gateway.route.next_hop import NextHop
from gateway.service import queue_runner


async def _serve(bench: Bench, is_over: Callable[[], bool], *, cut: bool = False) -> None:
    """As the service does: the message is named by the bell, or found by a look. `cut`: what is under way is lost."""
    stop = asyncio.Event()
    serving_queue = asyncio.ensure_future(bench.runner.serve(stop))
    async with asyncio.timeout(20):
        while not is_over():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        stop.set()
        if cut:
            bench.runner.cancel()
        await serving_queue


class _Hangs:
    """A way to other hosts that leads nowhere."""

    def __init__(self, problem: OSError | None = None) -> None:
        self.times, self._problem = 0, problem

    async def deliver(self, parcel: Parcel) -> list[Outcome]:
        self.times += 1
        if self._problem is not None:
            raise self._problem
        await asyncio.Event().wait()
        return []


def test_by_a_crash(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("ann@example.com", "t:ann"), Target("x@far.example"))
    hangs = _Hangs()
    bench.runner.steps._couriers = lambda hop: hangs  # type: ignore[assignment,return-value]
    bench.runner.wake(["m1"])
    asyncio.run(_serve(bench, lambda: hangs.times > 0, cut=True))
    assert [holder for holder, _ in bench.delivered] == ["t:ann"]
    assert bench.state.targets("m1") == [], "only the delivery was written down"
    bench.state.close()
    bench.restart()
    peer = Peer()
    with serving(peer) as port:
        bench.ports["mx"] = port
        asyncio.run(_serve(bench, lambda: not bench.folder.ids()))
    assert [holder for holder, _ in bench.delivered] == ["t:ann"], "once"
    assert len(peer.taken) == 1


def test_by_a_disk_that_does_not_give_the_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_runner, "TROUBLE_SECONDS", 0.05)
    bench = Bench(tmp_path)
    bench.inject(Target("ann@example.com", "t:ann"), Target("x@far.example"))
    peer = Peer()
    with serving(peer) as port:
        bench.ports["mx"] = port
        fails, good = _Hangs(OSError(5, "Input/output error")), bench.runner.steps._couriers

        def courier(hop: NextHop) -> object:
            return good(hop) if fails.times else fails

        bench.runner.steps._couriers = courier  # type: ignore[assignment]
        bench.runner.wake(["m1"])

        async def both() -> None:
            async def look_later() -> None:
                while not fails.times:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.2)
                bench.runner.wake()

            await asyncio.gather(_serve(bench, lambda: not bench.folder.ids()), look_later())

        asyncio.run(both())
    assert [holder for holder, _ in bench.delivered] == ["t:ann"], "once"
    assert len(peer.taken) == 1


def test_what_was_noted_of_a_message_that_is_gone_goes_with_the_next_start(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("ann@example.com", "t:ann"), message="there")
    for message in ("there", "gone"):
        bench.state.step_done(message, ["a"])
    bench.state.close()
    bench.restart()
    assert bench.state.done_keys("gone") == set()
    assert bench.state.done_keys("there") == {"a"}, "it is tried, but for this step"
    assert bench.state.messages() == set()
    bench.work()
    assert [holder for holder, _ in bench.delivered] == ["t:ann"]
    assert bench.state.done_keys("there") == set()
