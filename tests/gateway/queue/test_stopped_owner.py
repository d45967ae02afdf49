"""Mail of an account that may not send: held where it leaves, whenever its turn comes; delivered here."""

from __future__ import annotations

from pathlib import Path

from queue_bench import BODY, Bench, Peer, serving

from gateway.queue.file import QueuedEnvelope, Target
from gateway.queue.state import DONE, STOPPED_REPLY, WAITING
from gateway.service.queue_steps import Way

HERE, AWAY = Target("ann@example.com", "t:ann"), Target("x@far.example")


class Watching:
    def __init__(self) -> None:
        self.stopped: set[str] = set()
        self.seen: list[tuple[str, int]] = []

    def is_stopped(self, account: str) -> bool:
        return account in self.stopped

    def failed(self, account: str, recipients: int) -> None:
        self.seen.append((account, recipients))


def put(bench: Bench, message: str, *targets: Target, owner: str = "t:ann", not_before: float = 0.0) -> None:
    size = len(BODY)
    bench.folder.inject(
        QueuedEnvelope(
            message, "me@example.com", bench.now, targets, size, size, login=owner, owner=owner, not_before=not_before
        ),
        [BODY],
    )


def states(bench: Bench, message: str) -> list[str]:
    return [row.state for row in bench.state.targets(message)]


def watched(bench: Bench) -> Watching:
    watch = bench.runner.stopped.watch = Watching()
    return watch


def test_what_leaves_is_held_at_its_first_attempt_and_at_every_other(tmp_path: Path) -> None:
    peer = Peer()
    with serving(peer) as port:
        bench = Bench(tmp_path, port)
        watch = watched(bench)
        watch.stopped = {"t:ann"}
        put(bench, "m1", HERE, AWAY)
        put(bench, "m2", AWAY, owner="t:kim")
        put(bench, "m3", AWAY, not_before=bench.now + 60)
        bench.runner.wake(["m1", "m2", "m3"])
        bench.work()
        assert [holder for holder, _ in bench.delivered] == ["t:ann"]
        assert len(peer.taken) == 1 and bench.folder.ids() == {"m1", "m3"}
        assert states(bench, "m1") == ["done", "held"] and bench.state.targets("m1")[1].reply == STOPPED_REPLY
        bench.now += 61
        bench.work()
        assert states(bench, "m3") == ["held"]
        assert bench.state.held_with("t:ann", STOPPED_REPLY, 9) == ["m1", "m3"]

        # dropped and sent on release
        watch.stopped = set()
        assert bench.runner.stopped.end(["m1"], DONE, "test") == 1
        assert bench.folder.ids() == {"m3"}
        assert bench.runner.stopped.end(["m3"], WAITING, "test") == 1
        bench.runner.wake([])
        bench.work()
        assert bench.folder.ids() == set() and len(peer.taken) == 2


def test_what_waits_is_held_at_once_and_what_an_operator_held_stays_his(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    watched(bench)
    put(bench, "m1", HERE, AWAY, not_before=bench.now + 60)
    put(bench, "m2", AWAY, not_before=bench.now + 60)
    bench.runner.look()
    bench.state.change("m2", WAITING, "held", bench.now)
    assert bench.runner.stopped.hold(["m1", "m2", "gone"]) == 1
    assert states(bench, "m1") == ["waiting", "held"]
    assert bench.runner.stopped.end(["m1", "m2"], DONE, "test") == 1
    assert (states(bench, "m1"), states(bench, "m2")) == (["waiting", "done"], ["held"])
    assert bench.folder.ids() == {"m1", "m2"}, "of the one a recipient here still waits"


def test_a_crash_behind_the_hold_leaves_it_held(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    watched(bench).stopped = {"t:ann"}
    put(bench, "m1", AWAY)
    bench.work()
    bench.state.close()
    bench.restart()
    bench.work()
    assert states(bench, "m1") == ["held"]


def test_failures_are_told(tmp_path: Path) -> None:
    peer = Peer()
    peer.answer_rcpt = {"x@far.example": "550 5.1.1 who?"}
    with serving(peer) as port:
        bench = Bench(tmp_path, port)
        watch = watched(bench)
        put(bench, "m1", AWAY, Target("y@far.example"))
        bench.work()
        assert watch.seen == [("t:ann", 1)]


def test_what_a_bug_of_ours_keeps_waiting_has_its_owner(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    watched(bench)
    put(bench, "m1", AWAY)
    put(bench, "m2", AWAY, HERE)
    bench.runner.wake(["m1", "m2"])
    good = bench.runner.steps.way

    def trips(*arguments: object) -> Way:
        raise RuntimeError("a bug")

    bench.runner.steps.way = trips  # type: ignore[method-assign]
    bench.work()
    assert bench.state.owned("t:ann", 9) == ["m1", "m2"]
    assert bench.runner.stopped.hold(["m1", "m2"]) == 2
    assert (states(bench, "m1"), states(bench, "m2")) == (["held"], ["held", "waiting"])
    bench.runner.steps.way = good  # type: ignore[method-assign]


def test_a_damaged_message_has_its_owner_again_once_it_is_mended(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    watched(bench).stopped = {"t:ann"}
    put(bench, "m1", AWAY)
    file = bench.folder.messages / "m1"
    content = file.read_bytes()
    file.write_bytes(b"rubbish")
    bench.work()
    assert states(bench, "m1") == ["held"] and bench.state.owned("t:ann", 9) == []
    file.write_bytes(content)
    bench.state.change("m1", "held", WAITING, bench.now)
    bench.work()
    assert bench.state.owned("t:ann", 9) == ["m1"]
    assert bench.state.held_with("t:ann", STOPPED_REPLY, 9) == ["m1"], "a release finds it"


def test_who_asks_about_a_message_for_later_does_not_send_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    put(bench, "m1", HERE, not_before=bench.now + 60)
    bench.runner.wake(["m1"])
    bench.runner.write_down("m1")
    bench.work()
    assert bench.delivered == []
    bench.now += 61
    bench.work()
    assert [holder for holder, _ in bench.delivered] == ["t:ann"]
