"""Queue file, state and runner, with real files, a real database and real SMTP and LMTP peers."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

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
from gateway.deliver.port import Taken
from gateway.deliver.settings import DnsSettings
from gateway.deliver.smtp import Outside, SmtpCourier
from gateway.deliver.tls_policy import Protections
from gateway.queue.file import Damaged, QueuedEnvelope, QueueFolder, Target
from gateway.queue.grace import QuotaGrace
from gateway.queue.settings import QueueSettings
from gateway.queue.state import QueueState, counts
from gateway.route.next_hop import NextHop, host_and_port
from gateway.route.plan import Local
from gateway.route.relay_settings import RelaySettings
from gateway.route.router import Router
from gateway.service.final_delivery import Outcome
from gateway.service.network import ClientTls, Dialer
from gateway.service.reporting import Reporter, Result
from gateway.service.resolver import Resolver
from gateway.service.runner import QueueRunner

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
        #: (address, kind, why) of everything reported; with `trouble` nothing can be
        self.told: list[tuple[str, str, str]] = []
        self.trouble: Deferred | None = None
        self.directory = people()
        self.restart()

    def restart(self) -> None:
        self.state = QueueState(self.path)
        router = Router(View(self.directory, PROFILE), host_names=("here",))
        self.runner = QueueRunner(
            self.folder, self.state, router, self.deliver, self.courier, self.settings, lambda: self.now,
            reporter=cast(Reporter, self),
        )  # fmt: skip

    def report(self, envelope: QueuedEnvelope, results: Sequence[Result], content: object, now: float) -> None:
        """As a reporter does."""
        if self.trouble is not None:
            raise self.trouble
        for result in results:
            said = "" if isinstance(result.outcome, Taken) else f"{result.outcome.host}: {result.outcome.reply}"
            self.told.append((result.target.address, result.kind, said))

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


def test_refused_is_told_deferred_comes_again_at_growing_intervals(tmp_path: Path) -> None:
    peer = Peer()
    peer.answer_rcpt = {"no@far.example": "550 5.1.1 unknown", "later@far.example": "451 4.2.0 later"}
    with serving(peer) as port:
        bench = Bench(tmp_path, port)
        bench.inject(Target("no@far.example"), Target("later@far.example"), Target("ok@far.example"))
        pauses = []
        for _ in range(3):
            pauses.append(bench.work() or 0)
            bench.now += pauses[-1] + 1
        assert counts(bench.path) == {"waiting": 0, "deferred": 1, "held": 0}
        assert bench.told[0] == ("no@far.example", "failed", "127.0.0.1: 550 5.1.1 unknown")
        assert pauses[0] < pauses[1] < pauses[2]
        assert [len(taken[1]) for taken in peer.taken] == [1]
        bench.now += bench.settings.lifetime
        assert bench.work() is None
    assert bench.told[2:] == [("later@far.example", "failed", "127.0.0.1: 451 4.2.0 later")]
    assert bench.folder.ids() == set()


def test_a_report_that_cannot_be_made_now_is_made_later_and_nothing_is_sent_twice(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.local = [Refused(Condition.ACCOUNT_CLOSED)]
    bench.inject(Target("ann@example.com", "t:ann"))
    bench.trouble = Deferred(Condition.QUEUE_FULL)
    assert bench.work() is not None
    assert bench.folder.ids() == {"m1"}
    bench.state.close()
    bench.restart()
    bench.trouble = None
    bench.now += 301
    assert bench.work() is None
    assert [told[:2] for told in bench.told] == [("ann@example.com", "failed")]
    assert bench.delivered == []
    assert bench.folder.ids() == set()


def test_what_is_late_is_told_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("x@far.example", notify=("DELAY",)))
    seen = []
    for _ in range(8):
        bench.work()
        seen.append(len(bench.told))
        bench.now += 3600
    assert seen == [0, 0, 0, 0, 1, 1, 1, 1]
    assert bench.told[0][:2] == ("x@far.example", "delayed")


def test_success_is_delivered_or_relayed_and_the_wishes_go_along(tmp_path: Path) -> None:
    peer = Peer()
    with serving(peer) as port:
        bench = Bench(tmp_path, port)
        bench.inject(Target("ann@example.com", "t:ann", notify=("SUCCESS",)), Target("x@far.example"))
        bench.work()
    assert [told[:2] for told in bench.told] == [("ann@example.com", "delivered"), ("x@far.example", "relayed")]


def test_a_dead_next_hop_defers(tmp_path: Path) -> None:
    with serving(Peer()) as port:
        pass
    bench = Bench(tmp_path, port)
    bench.inject(Target("x@far.example"))
    assert bench.work() is not None
    assert bench.state.targets("m1")[0].state == "waiting"


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


def test_account_that_is_gone_is_told_only_when_the_directory_is_sure(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("old@example.com", "t:old"))
    bench.directory.state = type(bench.directory.state)(True, 0.0)
    assert bench.work() is not None
    bench.directory.state = type(bench.directory.state)(True, float("inf"))
    bench.now += 301
    assert bench.work() is None
    assert [told[:2] for told in bench.told] == [("old@example.com", "failed")]


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
