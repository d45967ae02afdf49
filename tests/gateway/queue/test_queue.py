"""Queue file, state and runner, with real files, a real database and real SMTP and LMTP peers."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from directory.memory import MemorySource
from directory.model import Condition, Deferred, Refused
from directory.profile import Profile
from directory.raw import RawEntry
from directory.view import View
from gateway.deliver.connections import Connections
from gateway.deliver.port import Outcome as CourierOutcome
from gateway.deliver.port import Parcel, Taken
from gateway.deliver.settings import DnsSettings
from gateway.deliver.smtp import Outside, SmtpCourier
from gateway.deliver.tls_policy import Protections
from gateway.queue.file import VERSION, Damaged, Newer, QueuedEnvelope, QueueFolder, Target
from gateway.queue.grace import QuotaGrace
from gateway.queue.settings import QueueSettings
from gateway.queue.state import QueueState, counts, rows_of
from gateway.route.next_hop import NextHop, host_and_port
from gateway.route.plan import Local, Step
from gateway.route.relay_settings import RelaySettings
from gateway.route.router import Router
from gateway.service.final_delivery import Outcome
from gateway.service.network import ClientTls, Dialer
from gateway.service.queue_runner import QueueRunner
from gateway.service.queue_steps import QueueSteps
from gateway.service.reporting import Result
from gateway.service.resolver import Resolver

PROFILE = Profile.load("native")
BODY = b"Subject: x\n\n.dot\nbody\n..two\n"


def people() -> MemorySource:
    def raw(uid: str, **more: str) -> RawEntry:
        values = {"uid": uid, "cn": uid, "mail": f"{uid}@example.com", "gatepostaddress": f"{uid}@example.com", **more}
        attributes = {k: [v.encode()] for k, v in values.items()}
        attributes["objectclass"] = [b"inetOrgPerson", b"gatepostAccount"]
        return RawEntry(f"t:{uid}", f"uid={uid},dc=x", attributes)

    home = {"objectclass": [b"gatepostEntry", b"gatepostDomain"], "gatepostdomainname": [b"example.com"]}
    return MemorySource(PROFILE, (RawEntry("t:d", "cn=d,dc=x", home), raw("ann"), raw("kim", gatepostmailhost="h2")))


class Peer:
    """A next hop that answers as it is told and keeps what it takes."""

    def __init__(self) -> None:
        self.taken: list[tuple[str | None, list[str], bytes]] = []
        self.answer_rcpt: dict[str, str] = {}
        self.answer_data = "250 2.0.0 kept"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.answer_rcpt.get(address, "250 ok")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.answer_data.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.taken.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.content))
        return self.answer_data


@contextmanager
def serving(peer: Peer, *, lmtp: bool = False) -> Iterator[int]:
    class Lmtp(Controller):
        def factory(self) -> SMTP:
            return LMTP(self.handler, **self.SMTP_kwargs)

    with socket.socket() as probe:  # the controller itself connects to the port it was told
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    controller = (Lmtp if lmtp else Controller)(peer, hostname="127.0.0.1", port=port, enable_SMTPUTF8=True)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


class Bench:
    """A queue with everything real but the clock and the stores."""

    def __init__(self, folder: Path, port: int | None = None, lmtp_port: int | None = None) -> None:
        self.settings = QueueSettings()
        self.folder = QueueFolder(folder / "queue", self.settings)
        self.now = time.time()
        self.ports = {"mx": port, "lmtp": lmtp_port}
        self.delivered: list[tuple[str, bytes]] = []
        self.local: list[Outcome] = []
        self.path = folder / "queue.db"
        self.directory = people()
        self.told: list[tuple[str, str, str]] = []
        self.report_problem: Exception | None = None
        self.restart()

    def restart(self) -> None:
        self.state = QueueState(self.path)
        router = Router(View(self.directory, PROFILE), host_names=("here",))
        steps = QueueSteps(self.folder, self.state, router, self.deliver, self.courier, self.settings, lambda: self.now)
        self.runner = QueueRunner(self.folder, self.state, steps, self.settings, self, lambda: self.now)

    def report(
        self,
        envelope: QueuedEnvelope,
        results: Sequence[Result],
        content: Callable[[], Iterable[bytes]],
        now: float,
    ) -> None:
        """Keeps what is to be told."""
        assert b"".join(content()) == BODY
        if self.report_problem is not None:
            raise self.report_problem
        self.told += [(result.target.address.partition("@")[0], result.kind, str(result.outcome)) for result in results]

    def deliver(self, step: Local, path: str, content: Sequence[bytes], message: str) -> Outcome:
        outcome = self.local.pop(0) if self.local else None
        if outcome is None:
            self.delivered.append((step.holder.id, f"Return-Path: <{path}>\n".encode() + b"".join(content)))
        return outcome

    def courier(self, hop: NextHop) -> SmtpCourier:
        """To the peer of this kind; nobody listens where there is none."""
        outside = Outside(
            Dialer(ClientTls()), Resolver(DnsSettings()), Connections(0, 0, 1, time.monotonic, lambda: None),
            RelaySettings(), "here", lambda records: None, lambda address: False, lambda name: ("", ""),
            Protections(Resolver(DnsSettings()), None, dane=False), lambda *facts: None,
        )  # fmt: skip
        kind = "lmtp" if hop.kind == "lmtp" else "smtp"
        return SmtpCourier(NextHop(kind, "127.0.0.1", self.ports[hop.kind] or 1), outside)

    def inject(self, *targets: Target, message: str = "m1", return_path: str = "me@far.example") -> None:
        self.folder.inject(
            QueuedEnvelope(message, return_path, self.now, targets, len(BODY), len(BODY) + BODY.count(b"\n")), [BODY]
        )

    def work(self) -> float | None:
        return asyncio.run(self.runner.work())


def test_file_reads_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("ann@example.com", "t:ann"), Target("ü@far.example", return_path="l-bounces@example.com"))
    envelope = bench.folder.read("m1")
    assert envelope.targets[1] == Target("ü@far.example", "", "l-bounces@example.com")
    assert b"".join(bench.folder.content("m1")) == BODY
    for content in (b"", b"gatepost-queue 2 3\n{}", b"gatepost-queue 1 99999999999\n", b"gatepost-queue 1 2\n{}\n"):
        (bench.folder.messages / "bad").write_bytes(content)
        with pytest.raises(Damaged):
            bench.folder.read("bad")
    bench.work()  # a damaged file stops nothing and stays
    assert [holder for holder, _ in bench.delivered] == ["t:ann"]
    assert bench.folder.ids() == {"bad", "m1"}


def test_a_new_field_of_the_envelope_block_is_a_new_version() -> None:
    fields = (*QueuedEnvelope.__struct_fields__, *Target.__struct_fields__)
    known = {
        2: "id return_path arrival targets size crlf parameters login vouched double_bounce not_before is_ours is_junk"
        " address account return_path notify orcpt original mailbox extension list is_held",
    }
    assert " ".join(fields) == known[VERSION], "raise VERSION in queue/file.py and write its fields down here"


def test_a_file_of_the_first_version_is_delivered_and_one_of_a_later_version_waits_for_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("ann@example.com", "t:ann"))
    file = bench.folder.messages / "m1"
    content = file.read_bytes()
    file.write_bytes(content.replace(b"gatepost-queue 2 ", b"gatepost-queue 3 ", 1))
    with pytest.raises(Newer, match="newer version"):
        bench.folder.read("m1")
    bench.work()  # not known yet
    assert bench.state.targets("m1") == []
    file.write_bytes(content)
    bench.runner.look()
    file.write_bytes(content.replace(b"gatepost-queue 2 ", b"gatepost-queue 3 ", 1))
    bench.work()  # known from before the older version was started
    (row,) = bench.state.targets("m1")
    assert (row.state, bench.delivered) == ("waiting", [])
    file.write_bytes(content.replace(b"gatepost-queue 2 ", b"gatepost-queue 1 ", 1))
    bench.now += bench.settings.retry_max
    bench.work()
    assert [holder for holder, _ in bench.delivered] == ["t:ann"]


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


@pytest.mark.parametrize(
    "outcome",
    [
        Refused(Condition.REMOTE_REFUSED, "mx: no", "I have left", status="5.1.1", host="mx", reply="550 5.1.1 who?"),
        Deferred(Condition.REMOTE_DEFERRED, "later", status="4.2.2", host="mx", reply="452 4.2.2 full"),
        Taken("mx", "250 ok", dsn=True),
        Taken(),
    ],
)
def test_an_outcome_is_kept_until_it_is_told(tmp_path: Path, outcome: CourierOutcome) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("x@far.example"))
    bench.runner.look()
    (row,) = bench.state.claim("m1", bench.now)
    bench.state.record("m1", [replace(row, state="failed", due=bench.now, owed="failed", outcome=outcome)])
    assert bench.state.owing(bench.now, 5) == ["m1"]
    (kept,) = bench.state.targets("m1")
    assert type(kept.outcome) is type(outcome)
    for name in ("condition", "detail", "text", "status", "host", "reply", "dsn"):
        assert getattr(kept.outcome, name, None) == getattr(outcome, name, None)
    bench.state.told("m1")
    assert bench.state.owing(bench.now, 5) == []


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


def test_what_was_to_be_put_off_while_the_index_had_trouble_is_not_forgotten(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("ann@example.com", "t:ann"))
    bench.runner.look()
    bench.runner.busy.add("m1")
    bench.runner._postponed["m1"] = (bench.now, "busy")
    good = bench.state.postpone
    bench.state.postpone = lambda *arguments: (_ for _ in ()).throw(Deferred(Condition.QUEUE_UNAVAILABLE))  # type: ignore[method-assign]
    with pytest.raises(Deferred):
        bench.work()
    bench.state.postpone = good  # type: ignore[method-assign]
    bench.work()
    assert [holder for holder, _ in bench.delivered] == ["t:ann"]


def test_an_attempt_that_a_crash_ended_is_due_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("ann@example.com", "t:ann"))
    bench.runner.look()
    assert [row.attempts for row in bench.state.claim("m1", bench.now)] == [1]
    assert bench.state.claim("m1", bench.now) == []
    assert bench.state.due(bench.now, 10) == []
    bench.state.close()
    bench.restart()
    assert bench.work() is None
    assert [holder for holder, _ in bench.delivered] == ["t:ann"]


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


def test_an_attempt_whose_outcome_could_not_be_written_is_due_again_in_the_same_runner(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("ann@example.com", "t:ann"))
    good, failures = bench.state.record, [1, 1]

    def fails(*arguments: Any, **more: Any) -> None:
        if failures:
            failures.pop()
            raise Deferred(Condition.QUEUE_UNAVAILABLE, "disk full")
        good(*arguments, **more)

    bench.state.record = fails  # type: ignore[method-assign]
    bench.work()
    assert [row.state for row in bench.state.targets("m1")] == ["trying"]
    assert bench.work() is None
    assert bench.folder.ids() == set()
    assert [holder for holder, _ in bench.delivered] == ["t:ann"], "what is delivered is not repeated"


def test_a_finished_message_whose_file_stayed_is_removed_at_the_start(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("ann@example.com", "t:ann"))
    bench.runner.look()
    (row,) = bench.state.claim("m1", bench.now)
    bench.state.record("m1", [replace(row, state="done")])
    bench.state.close()
    bench.restart()
    assert bench.folder.ids() == set()
    assert bench.work() is None
    assert bench.delivered == []
    assert bench.state.messages() == set()


def test_what_an_administrator_did_during_an_attempt_stands(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("ann@example.com", "t:ann"))
    bench.runner.look()
    (row,) = bench.state.claim("m1", bench.now)
    assert bench.state.change("m1", "trying", "held", 0.0) == 1
    bench.state.record("m1", [replace(row, state="waiting", due=bench.now)])
    assert [each.state for each in bench.state.targets("m1")] == ["held"]
    assert bench.work() is None
    assert bench.state.change(None, "held", "waiting", bench.now) == 1
    assert bench.work() is None
    assert [holder for holder, _ in bench.delivered] == ["t:ann"]


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
        while len(bench.folder.ids()) > 60 - bench.settings.destination_begin - bench.settings.destination_max:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        stop.set()
        await serving_queue

    asyncio.run(main())
    waiting = [row for rows in rows_of(bench.path).values() for row in rows if row.state == "waiting"]
    assert len(waiting) == 60 - bench.settings.destination_begin - bench.settings.destination_max
    assert {row.attempts for row in waiting} == {0}, "waiting for a place is no attempt"
    bench.now += bench.settings.destination_pause + 1
    for _ in range(9):
        bench.work()
        bench.now += bench.settings.destination_pause + 1
    assert bench.folder.ids() == set()
    assert slow.most <= bench.settings.destination_max


def test_an_index_of_the_first_format_is_brought_up(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "queue.db")
    db.executescript(
        """CREATE TABLE target (message TEXT NOT NULL, number INTEGER NOT NULL, state TEXT NOT NULL,
          attempts INTEGER NOT NULL, due REAL NOT NULL, reply TEXT NOT NULL, PRIMARY KEY (message, number)) WITHOUT ROWID;
        CREATE INDEX target_due ON target (state, due);
        CREATE TABLE done (message TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (message, key)) WITHOUT ROWID;
        INSERT INTO target VALUES ('m1', 0, 'waiting', 3, 1.0, 'later'), ('m1', 1, 'held', 1, 0.0, 'no');
        PRAGMA user_version=1;"""
    )
    db.close()
    bench = Bench(tmp_path)
    assert [(row.state, row.attempts, row.owed) for row in bench.state.targets("m1")] == [
        ("waiting", 3, ""), ("held", 1, ""),
    ]  # fmt: skip
    bench.inject(Target("ann@example.com", "t:ann"), Target("x@far.example"))
    bench.work()
    assert [row.state for row in bench.state.targets("m1")] == ["done", "held"]
    bench.state.close()
    db = sqlite3.connect(tmp_path / "queue.db")
    db.execute("PRAGMA user_version=9")
    db.close()
    with pytest.raises(Deferred, match="newer version"):
        QueueState(tmp_path / "queue.db")


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


def test_rows_are_rebuilt_from_the_files(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.local = [Deferred(Condition.STORE_UNAVAILABLE)]
    bench.inject(Target("ann@example.com", "t:ann"))
    bench.work()
    bench.state.close()
    for file in tmp_path.glob("queue.db*"):
        file.unlink()
    bench.restart()
    bench.work()
    assert [holder for holder, _ in bench.delivered] == ["t:ann"]


def test_account_that_is_gone_fails_only_when_the_directory_is_sure(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("old@example.com", "t:old"))
    bench.directory.state = type(bench.directory.state)(True, 0.0)
    assert bench.work() is not None
    bench.directory.state = type(bench.directory.state)(True, float("inf"))
    bench.now += 301
    assert bench.work() is None
    assert [(name, kind) for name, kind, _ in bench.told] == [("old", "failed")]


def test_a_full_queue_defers_with_452(tmp_path: Path) -> None:
    folder = QueueFolder(tmp_path, QueueSettings(max_messages=0))
    with pytest.raises(Deferred) as caught:
        folder.inject(QueuedEnvelope("m", "", 0.0, (), 0, 0), [b""])
    assert caught.value.condition.code == 452


@pytest.mark.parametrize(
    ("text", "expected"),
    [("h", ("h", 25)), ("h:26", ("h", 26)), ("[::1]:26", ("::1", 26)), ("[::1]", ("::1", 25)), ("::1", ("::1", 25))],
)
def test_host_and_port(text: str, expected: tuple[str, int]) -> None:
    assert host_and_port(text, 25) == expected


def test_quota_grace(tmp_path: Path) -> None:
    one, two = QuotaGrace(tmp_path / "q.db", 100), QuotaGrace(tmp_path / "q.db", 100)
    assert isinstance(one.full("a", 1000), Deferred)
    assert isinstance(two.full("a", 1101), Refused)
    two.has_room("a")
    assert isinstance(one.full("a", 2000), Deferred)
    one.has_room("a")
    one.has_room("b")
    one.close()
    two.close()


INJECT = """
import sys
from pathlib import Path
from gateway.queue.file import QueuedEnvelope, QueueFolder, Target
from gateway.queue.settings import QueueSettings
folder = QueueFolder(Path(sys.argv[1]), QueueSettings())
folder.inject(QueuedEnvelope("m1", "", 0.0, (Target("a@b.example"),), 4, 5), [b"abc\\n"])
print("accepted", flush=True)
"""


@pytest.mark.parametrize("call", ["openat", "write", "fsync", "rename"])
def test_killed_at_each_step_of_an_injection(tmp_path: Path, call: str) -> None:
    """A whole file or none; a whole one whenever it was acknowledged."""
    for number in range(1, 12):
        target = tmp_path / f"{call}{number}"
        QueueFolder(target, QueueSettings())
        path = ["-P", str(target / "tmp" / "m1"), "-P", str(target / "message")]
        done = subprocess.run(
            ["strace", "-f", "-qq", "-o", "/dev/null", *path, "-e", f"trace={call}",
             "-e", f"inject={call}:signal=KILL:when={number}", sys.executable, "-c", INJECT, str(target)],
            capture_output=True, text=True, timeout=60, cwd=os.getcwd(),
        )  # fmt: skip
        folder = QueueFolder(target, QueueSettings())
        for message in folder.ids():
            assert folder.read(message).targets == (Target("a@b.example"),)
            assert b"".join(folder.content(message)) == b"abc\n"
        if "accepted" in done.stdout:
            assert folder.ids() == {"m1"}
            break
        assert done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), done.stderr
    else:
        pytest.fail("never got through")
