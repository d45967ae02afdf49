"""Queue runner: what is delivered, tried again, given up and told, with real files and real SMTP and LMTP peers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from queue_bench import BODY, Bench, Peer, serving

from directory.model import Condition, Deferred, Refused
from gateway.deliver.port import Outcome as CourierOutcome
from gateway.deliver.port import Parcel, Taken
from gateway.queue.file import QueuedEnvelope, Target
from gateway.queue.state import Arrived, counts, rows_of
from gateway.route.plan import Local
from gateway.service.final_delivery import Outcome as LocalOutcome


def test_local_remote_and_lmtp_targets_arrive_and_the_file_goes(tmp_path: Path) -> None:
    peer, other = Peer(), Peer()
    with serving(peer) as port, serving(other, lmtp=True) as lmtp_port:
        bench = Bench(tmp_path, port, lmtp_port)
        bench.inject(
            Target("ann@example.com", "t:ann"),
            Target("x@far.example"),
            Target("y@far.example", return_path="list-bounces@example.com"),
            Target("kim@example.com", "t:kim"),
        )
        assert bench.work() is None
    assert bench.delivered == [("t:ann", b"Return-Path: <me@far.example>\n" + BODY)]
    wire = BODY.replace(b"\n", b"\r\n")
    assert sorted(peer.taken) == [
        ("list-bounces@example.com", ["y@far.example"], wire),
        ("me@far.example", ["x@far.example"], wire),
    ]
    assert other.taken == [("me@far.example", ["kim@example.com"], wire)]
    assert bench.folder.ids() == set()
    assert bench.state.messages() == set()


def test_a_step_that_is_done_is_not_repeated(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("ann@example.com", "t:ann"), Target("x@far.example"))
    pause = bench.work()
    assert pause is not None
    assert 200 < pause <= 300
    bench.state.close()
    bench.restart()
    peer = Peer()
    with serving(peer) as port:
        bench.ports["mx"] = port
        bench.now += 301
        assert bench.work() is None
    assert len(bench.delivered) == len(peer.taken) == 1


def test_refused_is_told_at_once_deferred_comes_again_at_growing_intervals_and_is_given_up(tmp_path: Path) -> None:
    peer = Peer()
    peer.answer_rcpt = {"no@far.example": "550 5.1.1 unknown", "later@far.example": "451 4.2.0 later"}
    with serving(peer) as port:
        bench = Bench(tmp_path, port)
        bench.inject(Target("no@far.example"), Target("later@far.example"), Target("ok@far.example"))
        pauses = []
        for _ in range(3):
            pauses.append(bench.work() or 0)
            assert bench.told == [("no", "failed", "127.0.0.1: 550 5.1.1 unknown")], "once"
            bench.now += pauses[-1] + 1
        assert counts(bench.path) == {"waiting": 0, "deferred": 1, "failed": 1, "held": 0}
        assert pauses[0] < pauses[1] < pauses[2]
        assert [len(taken[1]) for taken in peer.taken] == [1]
        bench.now += bench.settings.lifetime
        assert bench.work() is None
    assert bench.told[1:] == [("later", "failed", "127.0.0.1: 451 4.2.0 later")]
    assert bench.folder.ids() == set()
    assert bench.state.messages() == set()


def test_a_delay_is_told_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("x@far.example"))
    while bench.now < time.time() + 7 * 3600:
        bench.now += (bench.work() or 0) + 1
    assert [(name, kind) for name, kind, _ in bench.told] == [("x", "delayed")]
    assert bench.state.targets("m1")[0].warned


def test_who_asked_is_told_of_success(tmp_path: Path) -> None:
    with serving(Peer()) as port:
        bench = Bench(tmp_path, port)
        wish = ("SUCCESS", "FAILURE")
        bench.inject(Target("ann@example.com", "t:ann", notify=wish), Target("x@far.example", notify=wish),
                     Target("y@far.example", notify=("FAILURE",)))  # fmt: skip
        assert bench.work() is None
    assert sorted((name, kind) for name, kind, _ in bench.told) == [("ann", "delivered"), ("x", "relayed")]
    assert bench.folder.ids() == set()


def test_a_report_that_cannot_be_made_is_owed_and_made_by_the_next_runner(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.local = [Refused(Condition.MAILBOX_FULL, "t:ann")]
    bench.inject(Target("ann@example.com", "t:ann"))
    bench.report_problem = Deferred(Condition.QUEUE_FULL, "no room")

    async def some_time() -> None:
        stop = asyncio.Event()
        serving_queue = asyncio.ensure_future(bench.runner.serve(stop))
        await asyncio.sleep(0.3)
        stop.set()
        await serving_queue

    asyncio.run(some_time())
    assert bench.told == []
    assert bench.folder.ids() == {"m1"}
    bench.state.close()
    bench.restart()
    bench.report_problem = None
    assert bench.work() is None
    assert bench.told == [("ann", "failed", "t:ann")]
    assert bench.folder.ids() == set()


def test_held_until_a_moment_in_the_future(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    envelope = QueuedEnvelope("m1", "me@far.example", bench.now, (Target("ann@example.com", "t:ann"),), len(BODY),
                              len(BODY) + BODY.count(b"\n"), not_before=bench.now + 600)  # fmt: skip
    bench.folder.inject(envelope, [BODY])
    pause = bench.work()
    assert pause is not None and 590 < pause <= 600
    assert bench.delivered == []
    bench.now += 601
    assert bench.work() is None
    assert len(bench.delivered) == 1


def test_what_was_sent_for_much_later_is_reported_when_the_report_can_be_made(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    later = bench.now + 4 * bench.settings.lifetime
    envelope = QueuedEnvelope("m1", "me@far.example", bench.now, (Target("ann@example.com", "t:ann"),), len(BODY),
                              len(BODY) + BODY.count(b"\n"), not_before=later)  # fmt: skip
    bench.folder.inject(envelope, [BODY])
    bench.local = [Refused(Condition.MAILBOX_FULL, "t:ann")]
    bench.work()
    bench.now = later + 1
    assert bench.work() is None
    assert bench.told == [("ann", "failed", "t:ann")]
    assert bench.folder.ids() == set()


class Slow:
    """A courier that answers when it is told to; `open` is how many wait at this moment."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.open = self.most = 0

    async def deliver(self, parcel: Parcel) -> list[CourierOutcome]:
        self.open += 1
        self.most = max(self.most, self.open)
        await self.go.wait()
        self.open -= 1
        return [Taken("slow", "250 ok")] * len(parcel.recipients)


def test_a_slow_destination_keeps_nobody_else_waiting_and_has_its_limit(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    slow = Slow()
    bench.courier = lambda hop: slow  # type: ignore[assignment,method-assign,return-value]
    bench.restart()
    for number in range(60):
        bench.inject(Target(f"x{number}@slow.example"), message=f"a{number}")
    bench.inject(Target("ann@example.com", "t:ann"), message="b")

    async def main() -> None:
        stop = asyncio.Event()
        serving_queue = asyncio.ensure_future(bench.runner.serve(stop))
        deadline = time.monotonic() + 20
        while not bench.delivered:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        assert slow.most == bench.settings.destination_begin
        (told,) = bench.runner.steps.destinations.told()
        assert told["busy"] == bench.settings.destination_begin and told["waiting"] == bench.settings.destination_max
        assert bench.runner.steps.remote == bench.settings.destination_begin
        slow.go.set()
        while bench.folder.ids():
            assert time.monotonic() < deadline, "those that were turned away are called when there is room"
            await asyncio.sleep(0.01)
        stop.set()
        await serving_queue

    asyncio.run(main())
    assert slow.most <= bench.settings.destination_max
    assert len(bench.delivered) == 1


def test_waiting_for_a_place_is_no_attempt(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    slow = Slow()
    bench.courier = lambda hop: slow  # type: ignore[assignment,method-assign,return-value]
    bench.restart()
    room = bench.settings.destination_begin + bench.settings.destination_max
    for number in range(room + 10):
        bench.inject(Target(f"x{number}@slow.example"), message=f"a{number}")
    bench.runner.wake([f"a{number}" for number in range(room + 10)])

    async def main() -> None:
        stop = asyncio.Event()
        serving_queue = asyncio.ensure_future(bench.runner.serve(stop))
        deadline = time.monotonic() + 20
        while len(rows_of(bench.path)) < 10:
            assert time.monotonic() < deadline, "what is turned away is written down"
            await asyncio.sleep(0.01)
        rows = [row for rows in rows_of(bench.path).values() for row in rows]
        assert {row.state for row in rows} == {"waiting"}
        assert {row.attempts for row in rows} == {0}
        stop.set()
        slow.go.set()
        await serving_queue

    asyncio.run(main())
    assert len(bench.folder.ids()) == 10


def test_stores_get_a_message_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.service.queue_steps.STORES_AT_ONCE", 2)
    bench = Bench(tmp_path)
    calls: list[list[str]] = []
    deliver = bench.deliver

    def seen(steps: Sequence[Local], path: str, content: Sequence[bytes], message: str) -> list[LocalOutcome]:
        if calls:
            assert len(bench.state.done_keys("m1")) == sum(map(len, calls)), "written down before the next are served"
        calls.append([step.recipient for step in steps])
        return deliver(steps, path, content, message)

    bench.deliver = seen  # type: ignore[method-assign]
    bench.restart()
    bench.inject(
        Target("ann@example.com", "t:ann"),
        Target("ann@example.com", "t:ann", return_path="other@example.com", mailbox="Work"),
        Target("bob@example.com", "t:bob"),
        Target("cid@example.com", "t:cid"),
    )
    assert bench.work() is None
    assert calls == [["ann@example.com", "bob@example.com"], ["cid@example.com"], ["ann@example.com"]]
    assert bench.folder.ids() == set()


def test_a_message_is_given_up_and_its_delay_told_while_its_host_is_silent(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("x@far.example"))
    bench.inject(Target("y@far.example"), message="m2")
    while bench.folder.ids() and bench.now < time.time() + 2 * bench.settings.lifetime:
        bench.runner.steps.destinations.silent("mx far.example", bench.now, "no route")
        bench.now += bench.settings.retry_max / 2
        bench.work()
    assert sorted((name, kind) for name, kind, _ in bench.told) == [
        ("x", "delayed"), ("x", "failed"), ("y", "delayed"), ("y", "failed"),
    ]  # fmt: skip
    assert bench.now < time.time() + bench.settings.lifetime + 2 * bench.settings.retry_max


def test_a_dead_next_hop_defers(tmp_path: Path) -> None:
    with serving(Peer()) as port:
        pass
    bench = Bench(tmp_path, port)
    bench.inject(Target("x@far.example"))
    assert bench.work() is not None
    (row,) = bench.state.targets("m1")
    assert (row.state, row.attempts) == ("waiting", 1)
    bench.inject(Target("y@far.example"), message="m2")
    bench.work()
    (row,) = bench.state.targets("m2")
    assert (row.state, row.attempts) == ("waiting", 0), "the host is known not to answer: nothing was tried"
    assert "127.0.0.1" in row.reply
    bench.now += bench.settings.dead_first + 1
    bench.work()
    assert bench.state.targets("m2")[0].attempts == 1


def test_account_that_is_gone_fails_only_when_the_directory_is_sure(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("old@example.com", "t:old"))
    bench.directory.state = type(bench.directory.state)(True, 0.0)
    assert bench.work() is not None
    bench.directory.state = type(bench.directory.state)(True, float("inf"))
    bench.now += 301
    assert bench.work() is None
    assert [(name, kind) for name, kind, _ in bench.told] == [("old", "failed")]


def test_a_message_that_is_called_before_its_last_attempt_is_put_away_is_tried_once(tmp_path: Path) -> None:
    """Room is made, and taken, between the end of an attempt that found none and the loop's word of that end."""
    bench = Bench(tmp_path)
    slow = Slow()
    bench.courier = lambda hop: slow  # type: ignore[assignment,method-assign,return-value]
    bench.restart()
    runner, destinations = bench.runner, bench.runner.steps.destinations
    bench.inject(Target("x@slow.example"))
    runner.wake(["m1"])

    async def main() -> None:
        seats = [destinations.seat("mx slow.example", bench.now) for _ in range(bench.settings.destination_max)]
        runner._take_up()
        await asyncio.sleep(0)
        assert not runner.is_tried("m1"), "it was turned away"
        seats.pop().leave()
        runner._take_up()
        deadline = time.monotonic() + 20
        while not slow.open:
            assert time.monotonic() < deadline
            await asyncio.sleep(0)
        assert runner.is_tried("m1"), "else its owner could take it back while it leaves"
        bench.state.add([Arrived("m1", 1, bench.now)])
        runner.wake([])
        runner._take_up()
        await asyncio.sleep(0.1)
        assert slow.open == 1
        slow.go.set()
        await asyncio.wait(runner._tasks)

    asyncio.run(main())
    assert slow.most == 1
    assert bench.folder.ids() == set()


def test_who_took_his_message_back_costs_nobody_else_his_turn(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    runner, destinations = bench.runner, bench.runner.steps.destinations
    for message in ("m1", "m2"):
        bench.inject(Target("x@slow.example"), message=message)
    runner.wake(["m1", "m2"])

    async def main() -> None:
        seats = [destinations.seat("mx slow.example", bench.now) for _ in range(bench.settings.destination_max)]
        runner._take_up()
        await asyncio.sleep(0.1)
        runner.drop("m1")
        seats.pop().leave()
        assert list(runner._ready) == ["m2"]

    asyncio.run(main())
