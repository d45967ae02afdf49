"""A runner in trouble: reporters that trip, damaged files, a disk and an index that fail; never in a circle, nothing lost."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from queue_bench import Bench, Peer, serving

from directory.model import Condition, Deferred, Refused
from gateway.queue.file import QueuedEnvelope, Target
from gateway.queue.settings import QueueSettings
from gateway.route.plan import Step
from gateway.service import queue_runner


def _attempts(bench: Bench, seconds: float) -> int:
    """How often the queue's file of a message was read while the runner served."""
    count, good = 0, bench.folder.read

    def read(message: str) -> QueuedEnvelope:
        nonlocal count
        count += 1
        return good(message)

    bench.folder.read = read  # type: ignore[method-assign]

    async def some_time() -> None:
        stop = asyncio.Event()
        serving_queue = asyncio.ensure_future(bench.runner.serve(stop))
        await asyncio.sleep(seconds)
        stop.set()
        await serving_queue

    asyncio.run(some_time())
    bench.folder.read = good  # type: ignore[method-assign]
    return count


def test_a_reporter_that_trips_is_asked_again_later_and_given_up(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.local = [Refused(Condition.MAILBOX_FULL, "t:ann")]
    bench.inject(Target("ann@example.com", "t:ann"))
    bench.report_problem = ValueError("a bug")
    assert _attempts(bench, 1.0) <= 3, "not in a circle"
    bench.now += bench.settings.retry_first + 1
    assert _attempts(bench, 0.3) <= 2
    bench.now += 3 * bench.settings.lifetime
    bench.work()
    (row,) = bench.state.targets("m1")
    assert (row.state, row.owed) == ("held", "")
    assert "nobody could be told" in row.reply
    assert bench.folder.ids() == {"m1"}, "held, never dropped"


def test_a_damaged_file_is_held_whatever_it_owes(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.local = [Refused(Condition.MAILBOX_FULL, "t:ann")]
    bench.inject(Target("ann@example.com", "t:ann"), message="m1")
    bench.report_problem = Deferred(Condition.QUEUE_FULL)
    bench.work()
    bench.inject(Target("x@far.example"), message="m2")
    bench.runner.look()
    for name in ("m1", "m2"):
        (bench.folder.messages / name).write_bytes(b"gatepost-queue 1 5\n{...}")
    bench.now += 301
    assert _attempts(bench, 0.5) <= 4
    assert [bench.state.targets(name)[0].state for name in ("m1", "m2")] == ["held", "held"]
    assert bench.state.targets("m2")[0].reply.startswith("damaged: ")


def test_a_file_that_comes_damaged_is_held_and_whole_again_once_it_is_mended(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("ann@example.com", "t:ann"), Target("x@far.example"))
    file = bench.folder.messages / "m1"
    content = file.read_bytes()
    file.write_bytes(b"gatepost-queue 1 5\n{...}")
    bench.work()
    assert [(row.state, row.reply[:9]) for row in bench.state.targets("m1")] == [("held", "damaged: ")]
    file.write_bytes(content)
    bench.state.change("m1", "held", "waiting", bench.now)
    bench.work()
    assert [holder for holder, _ in bench.delivered] == ["t:ann"]
    assert [row.state for row in bench.state.targets("m1")] == ["done", "waiting"], (
        "every target, not only the one held"
    )
    assert bench.folder.ids() == {"m1"}


def test_what_the_disk_does_not_give_at_once_is_looked_at_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("ann@example.com", "t:ann"))
    good = bench.folder.read

    def fails(message: str) -> QueuedEnvelope:
        raise OSError(24, "too many open files")

    bench.folder.read = fails  # type: ignore[method-assign]
    bench.runner.wake(["m1"])
    bench.runner.look()
    bench.folder.read = good  # type: ignore[method-assign]
    bench.work()
    assert [holder for holder, _ in bench.delivered] == ["t:ann"]


@pytest.mark.parametrize("call", ["add", "due", "claimed", "next_due", "claim"])
def test_trouble_with_the_index_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    monkeypatch.setattr("gateway.service.queue_runner.TROUBLE_SECONDS", 0.01)
    bench = Bench(tmp_path)
    bench.settings = QueueSettings(retry_first=0.05)
    bench.state.close()
    bench.restart()
    bench.runner._clock = time.time
    bench.inject(Target("ann@example.com", "t:ann"))
    good, failures = getattr(bench.state, call), [1, 1, 1]

    def fails(*arguments: Any, **more: Any) -> Any:
        if failures:
            failures.pop()
            raise Deferred(Condition.QUEUE_UNAVAILABLE, "disk full")
        return good(*arguments, **more)

    setattr(bench.state, call, fails)

    async def serve() -> None:
        stop = asyncio.Event()
        serving_queue = asyncio.ensure_future(bench.runner.serve(stop))
        bench.runner.wake(["m1"])
        for _ in range(1000):
            if bench.delivered:
                break
            await asyncio.sleep(0.01)
        stop.set()
        await serving_queue

    asyncio.run(serve())
    assert [holder for holder, _ in bench.delivered] == ["t:ann"]


@pytest.mark.parametrize("call", ["postpone", "add"])
def test_what_was_to_be_put_off_while_the_index_had_trouble_is_not_forgotten(tmp_path: Path, call: str) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("x@far.example"))
    if call == "postpone":
        bench.runner.look()
    else:
        bench.runner.wake(["m1"])
    bench.runner.steps.destinations.silent("mx far.example", bench.now, "no route")
    good, failures = getattr(bench.state, call), [1]

    def fails(*arguments: Any) -> None:
        if failures:
            failures.pop()
            raise Deferred(Condition.QUEUE_UNAVAILABLE)
        good(*arguments)

    setattr(bench.state, call, fails)
    with pytest.raises(Deferred):
        bench.work()
    assert bench.work() is not None
    assert [(row.attempts, row.reply) for row in bench.state.targets("m1")] == [(0, "no route")]
    bench.now += bench.settings.dead_first + 1
    bench.work()
    assert [row.attempts for row in bench.state.targets("m1")] == [1]


def test_a_message_that_trips_us_is_tried_later_and_stops_nobody(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("bad@far.example"), message="m1")
    bench.inject(Target("ann@example.com", "t:ann"), message="m2")
    good = bench.runner.steps.of

    def trip(target: Target, path: str, now: float) -> tuple[Step, ...]:
        if target.address == "bad@far.example":
            raise RuntimeError("a bug")
        return good(target, path, now)

    bench.runner.steps.of = trip  # type: ignore[method-assign]
    pause = bench.work()
    assert pause is not None and pause > 200
    assert [holder for holder, _ in bench.delivered] == ["t:ann"]
    pauses = [pause]
    while pause is not None:
        bench.now += pause + 1
        pause = bench.work()
        pauses.append(pause or 0)
    assert len(pauses) == queue_runner.BUGS_MAX and pauses[1] > pauses[0]
    assert 6 * 3600 < sum(pauses) < 86400
    (held,) = bench.state.targets("m1")
    assert (held.state, bench.folder.ids()) == ("held", {"m1"}), "never dropped"
    assert held.reply.startswith(
        f"held after {queue_runner.BUGS_MAX} attempts that ended with a bug in Gatepost, RuntimeError"
    )
    # mended and released it goes
    bench.runner.steps.of = good  # type: ignore[method-assign]
    bench.state.change("m1", "held", "waiting", bench.now)
    bench.runner.wake([])
    with serving(Peer()) as port:
        bench.ports["mx"] = port
        bench.work()
    assert bench.folder.ids() == set()


@pytest.mark.parametrize("is_new", [True, False])
def test_an_outcome_that_cannot_be_written_is_kept_and_nothing_else_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_new: bool
) -> None:
    monkeypatch.setattr("gateway.service.queue_runner.TROUBLE_SECONDS", 0.05)
    bench = Bench(tmp_path)
    bench.inject(Target("ann@example.com", "t:ann"))
    if is_new:
        bench.runner.wake(["m1"])
    good, failures, seen = getattr(bench.state, "record_first" if is_new else "record"), [1, 1, 1], []

    def fails(message: str, *arguments: Any, **more: Any) -> None:
        if failures:
            failures.pop()
            bench.inject(Target("ann@example.com", "t:ann"), message=f"later{len(failures)}")
            bench.runner.wake([f"later{len(failures)}"])
            seen.append(len(bench.delivered))
            raise Deferred(Condition.QUEUE_UNAVAILABLE, "disk full")
        good(message, *arguments, **more)

    setattr(bench.state, "record_first" if is_new else "record", fails)
    assert bench.work() is None
    assert seen == [1, 1, 1], "what could not be written down might have to be repeated"
    assert len(bench.delivered) == 4, "nothing is repeated, nothing forgotten"
    assert bench.folder.ids() == set()


def test_a_file_that_cannot_be_removed_is_finished_all_the_same(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("ann@example.com", "t:ann"))
    good = bench.folder.remove

    def fails(message: str) -> None:
        raise OSError(30, "read-only file system")

    bench.folder.remove = fails  # type: ignore[method-assign]
    bench.work()
    bench.work()
    assert bench.folder.ids() == {"m1"}
    bench.folder.remove = good  # type: ignore[method-assign]
    bench.work()
    assert bench.folder.ids() == set()
    assert bench.state.messages() == set()
    assert len(bench.delivered) == 1
