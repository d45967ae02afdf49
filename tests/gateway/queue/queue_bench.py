"""A queue with everything real but the clock and the stores, and next hops that answer as they are told."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from directory.memory import MemorySource
from directory.profile import Profile
from directory.raw import RawEntry
from directory.view import View
from gateway.deliver.connections import Connections
from gateway.deliver.settings import DnsSettings
from gateway.deliver.smtp import Outside, SmtpCourier
from gateway.deliver.tls_policy import Protections
from gateway.queue.file import QueuedEnvelope, QueueFolder, Target
from gateway.queue.settings import QueueSettings
from gateway.queue.state import QueueState
from gateway.route.next_hop import NextHop
from gateway.route.plan import Local
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
    return MemorySource(
        PROFILE,
        (RawEntry("t:d", "cn=d,dc=x", home), raw("ann"), raw("bob"), raw("cid"), raw("kim", gatepostmailhost="h2")),
    )


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
        steps = QueueSteps(router, self.deliver, self.courier, self.settings, lambda: self.now)
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

    def deliver(self, steps: Sequence[Local], path: str, content: Sequence[bytes], message: str) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for step in steps:
            outcomes.append(self.local.pop(0) if self.local else None)
            if outcomes[-1] is None:
                self.delivered.append((step.holder.id, f"Return-Path: <{path}>\n".encode() + b"".join(content)))
        return outcomes

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
