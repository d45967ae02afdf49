"""The queue runner: one process a host that works on accepted, undelivered mail.

Where a target's mail goes is asked again at each attempt. What fails for now is tried again at growing
intervals; what fails for good, or for longer than `queue.lifetime`, is held and visible, never dropped.
A crash between a delivery and its record in queue.db repeats that delivery once.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from directory.model import Condition, Deferred, InvalidAddress, MailingList, Refused, canonical_address
from gateway.config.settings import Settings
from gateway.control.server import ControlServer
from gateway.deliver.port import Addressee, Parcel, Taken
from gateway.lists.copy import Rewriting, copied
from gateway.observe import maillog
from gateway.observe.log import fields
from gateway.queue.file import Damaged, QueuedEnvelope, QueueFolder, Target
from gateway.queue.settings import QueueSettings
from gateway.queue.state import DONE, HELD, WAITING, QueueState, TargetRow
from gateway.queue.wake import bell
from gateway.route.next_hop import NextHop, next_hop
from gateway.route.plan import Discard, Instructions, Later, ListMail, Local, Step
from gateway.route.relay_settings import RelaySettings
from gateway.route.router import Router
from gateway.service.drop_sweep import DropSweep
from gateway.service.final_delivery import Outcome
from gateway.service.instructions import RuleDesk
from gateway.service.list_desk import make_desk
from gateway.service.mail_control import MAIL_SOCKET, MailVerbs
from gateway.service.metrics_files import Publisher
from gateway.service.outbound import Couriers, Outbound
from gateway.service.program_client import Programs
from gateway.service.pulse import Pulse
from gateway.service.single import only_one
from gateway.service.trail import keep_trail, purge_for_ever
from gateway.service.upkeep import tend_for_ever

LOOK_SECONDS = 60.0  # a lost wake-up costs this much
RECIPIENTS_PER_TRANSACTION = 100  # RFC 5321 4.5.3.1.8: every host takes so many
_log = logging.getLogger("gatepost.queue")

#: (step, return path, content, message id)
LocalDelivery = Callable[[Local, str, Sequence[bytes], str], Outcome]


class Desk(Protocol):
    """Does what is asked under the service addresses of lists."""

    async def handle(self, step: ListMail, envelope: QueuedEnvelope, content: Callable[[], Iterator[bytes]]) -> None:
        """Raises Deferred, Refused, OSError."""
        ...


class QueueRunner:
    """Attempts and their outcomes; knows no process, socket or signal."""

    def __init__(
        self,
        folder: QueueFolder,
        state: QueueState,
        router: Router,
        deliver: LocalDelivery,
        couriers: Couriers,
        settings: QueueSettings,
        clock: Callable[[], float] = time.time,
        relay: RelaySettings | None = None,
        desk: Desk | None = None,
        rules: RuleDesk | None = None,
    ) -> None:
        self._folder, self._state, self._router = folder, state, router
        self._deliver, self._couriers, self._settings, self._clock = deliver, couriers, settings, clock
        self._relay = relay or RelaySettings()
        self._desk = desk
        self._rules = rules
        self._known = state.messages()
        self._damaged: set[str] = set()
        #: what is attempted now is finished, nothing else is begun
        self.stopping = False

    def look(self) -> None:
        """Make rows for files that came in; drop rows whose file is gone."""
        present = self._folder.ids()
        for message in present - self._known - self._damaged:
            try:
                self._state.add(message, len(self._folder.read(message).targets), self._clock())
                self._known.add(message)
            except (Damaged, OSError) as error:
                self._damaged.add(message)
                _log.error("%s", fields(id=message, event="queue-file-damaged", detail=str(error)))
        for message in self._known - present:
            self._state.forget(message)
            self._known.discard(message)

    async def work(self) -> float | None:
        """Attempt everything that is due; seconds until something is due again, None = nothing waits."""
        self.look()
        gate = asyncio.Semaphore(self._settings.concurrency)

        async def one(message: str) -> None:
            async with gate:
                if self.stopping:
                    return
                try:
                    await self.attempt(message)
                except Exception:
                    # one message that trips us must not stop the others, nor be tried in a circle
                    maillog.bug(where=f"queue {message}")
                    self._postpone(message, Deferred(Condition.BUG))

        while not self.stopping and (batch := self._state.due(self._clock(), 200)):
            await asyncio.gather(*(one(message) for message in batch))
        following = self._state.next_due(self._clock())
        return None if following is None else max(0.05, following - self._clock())

    def _postpone(self, message: str, error: Deferred) -> None:
        rows = [row for row in self._state.targets(message) if row.state == WAITING]
        self._state.record(message, [self._after(row, error, self._clock()) for row in rows])

    def _after(self, row: TargetRow, outcome: Outcome, arrival: float) -> TargetRow:
        """The row of a target behind an attempt."""
        now = self._clock()
        if outcome is None:
            return TargetRow(row.number, DONE, row.attempts + 1, 0.0, "")
        if isinstance(outcome, Refused):
            return TargetRow(row.number, HELD, row.attempts + 1, 0.0, str(outcome))
        if now - arrival > self._settings.lifetime:
            return TargetRow(row.number, HELD, row.attempts + 1, 0.0, f"given up: {outcome}")
        wait = min(
            self._settings.retry_first * self._settings.retry_factor ** min(row.attempts, 60), self._settings.retry_max
        )
        return TargetRow(row.number, WAITING, row.attempts + 1, now + wait, str(outcome))

    async def attempt(self, message: str) -> None:
        """One attempt at all targets of a message that are due."""
        try:
            envelope = self._folder.read(message)
        except FileNotFoundError:
            self._state.forget(message)
            self._known.discard(message)
            return
        except (Damaged, OSError) as error:
            self._postpone(message, Deferred(Condition.QUEUE_UNAVAILABLE, str(error)))
            return
        now = self._clock()
        rows = [row for row in self._state.targets(message) if row.state == WAITING and row.due <= now]
        finished = self._state.done_keys(message)
        problems: dict[int, Deferred | Refused] = {}
        wanted: dict[str, tuple[Step, str]] = {}
        of: dict[int, list[str]] = {}
        for row in rows:
            target = envelope.targets[row.number]
            path = envelope.return_path if target.return_path is None else target.return_path
            try:
                steps = self._steps(target, path, now)
                mailing_list = self._list(target.list, now)
            except (Deferred, Refused) as error:
                problems[row.number] = error
                continue
            of[row.number] = []
            for step in steps:
                key = hashlib.sha256(step.target.encode()).hexdigest()[:24]
                of[row.number].append(key)
                if key not in finished:
                    own = path if step.return_path is None or not envelope.return_path else step.return_path
                    if mailing_list is not None:
                        step = replace(step, mailing_list=mailing_list)
                    wanted.setdefault(key, (step, own))
        outcomes = await self._run(message, envelope, wanted)
        after = []
        for row in rows:
            problem = problems.get(row.number)
            failures = [problem] if problem is not None else [
                outcome for key in of[row.number] if (outcome := outcomes.get(key)) is not None
            ]  # fmt: skip
            worst: Outcome = next((f for f in failures if isinstance(f, Deferred)), failures[0] if failures else None)
            after.append(self._after(row, worst, envelope.arrival))
            maillog.attempted(
                id=message, recipient=envelope.targets[row.number].address, state=after[-1].state, reply=after[-1].reply
            )
        self._state.record(message, after)
        if all(row.state == DONE for row in self._state.targets(message)):
            self._folder.remove(message)
            self._state.forget(message)
            self._known.discard(message)

    def _steps(self, target: Target, path: str, now: float) -> tuple[Step, ...]:
        if target.is_held:
            return (self._router.route_held(target.list, target.address, now),)
        if target.account:
            return (self._router.route_account(target.account, target.address, now, target.mailbox, target.extension),)
        return self._router.route(target.address, now, outside=True, sender=path).steps

    def _list(self, entry_id: str, now: float) -> MailingList | None:
        """The list whose copy a target gets; None for none, or for one that is gone. Raises Deferred."""
        entry = self._router.directory.by_id(entry_id) if entry_id else None
        if entry_id and entry is None and not self._router.directory.freshness().absence_is_final(now):
            raise Deferred(Condition.DIRECTORY_STALE, f"is the list {entry_id} still there?")
        return entry if isinstance(entry, MailingList) else None

    def _content(self, message: str, mailing_list: MailingList | None) -> Iterator[bytes]:
        """The message, or the list's copy of it."""
        content = self._folder.content(message)
        return content if mailing_list is None else copied(content, mailing_list, Rewriting())

    async def _run(
        self, message: str, envelope: QueuedEnvelope, wanted: dict[str, tuple[Step, str]]
    ) -> dict[str, Outcome]:
        outcomes: dict[str, Outcome] = {}
        away: dict[tuple[NextHop, str, str], list[tuple[str, Step]]] = {}
        content: list[bytes] = []
        loop = asyncio.get_running_loop()
        for key, (step, path) in wanted.items():
            if isinstance(step, Local):
                content = content or list(self._folder.content(message))
                outcomes[key] = await loop.run_in_executor(None, self._deliver, step, path, content, message)
                if outcomes[key] is None:
                    self._state.step_done(message, [key])
            elif isinstance(step, Discard):
                maillog.discarded(id=message, recipient=step.recipient, account=step.holder.id)
                outcomes[key] = None
            elif isinstance(step, Instructions):
                outcomes[key] = await self._by_rules(step, path, envelope, message)
            elif isinstance(step, ListMail):
                outcomes[key] = await self._at_desk(step, envelope, message)
            elif isinstance(step, Later):
                outcomes[key] = step.reason
            else:
                try:
                    hop = next_hop(step, path, self._router.directory, self._relay)
                except Deferred as error:
                    outcomes[key] = error
                    continue
                list_id = step.mailing_list.id if step.mailing_list is not None else ""
                away.setdefault((hop, path, list_id), []).append((key, step))
        for (hop, path, _), recipients in away.items():
            for start in range(0, len(recipients), RECIPIENTS_PER_TRANSACTION):
                some = recipients[start : start + RECIPIENTS_PER_TRANSACTION]
                results = await self._send(message, envelope, hop, path, [step for _, step in some])
                outcomes.update(zip((key for key, _ in some), results, strict=True))
                self._state.step_done(message, [key for key, _ in some if outcomes[key] is None])
        return outcomes

    async def _by_rules(self, step: Instructions, path: str, envelope: QueuedEnvelope, message: str) -> Outcome:
        if self._rules is None:
            return Deferred(Condition.QUEUE_UNAVAILABLE, "no desk for rules")
        try:
            await self._rules.handle(step, path, envelope, lambda: self._content(message, step.mailing_list))
        except (Deferred, Refused) as error:
            return error
        except OSError as error:
            return Deferred(Condition.QUEUE_UNAVAILABLE, str(error))
        return None

    async def _at_desk(self, step: ListMail, envelope: QueuedEnvelope, message: str) -> Outcome:
        if self._desk is None:
            return Deferred(Condition.QUEUE_UNAVAILABLE, "no desk for lists")
        try:
            await self._desk.handle(step, envelope, lambda: self._folder.content(message))
        except (Deferred, Refused) as error:
            return error
        except OSError as error:
            return Deferred(Condition.QUEUE_UNAVAILABLE, str(error))
        return None

    async def _send(
        self, message: str, envelope: QueuedEnvelope, hop: NextHop, path: str, steps: list[Step]
    ) -> list[Outcome]:
        mailing_list, size, crlf = steps[0].mailing_list, envelope.size, envelope.crlf
        if mailing_list is not None:
            size = crlf = 0
            for piece in self._content(message, mailing_list):
                size += len(piece)
                crlf += len(piece) + piece.count(b"\n")
        parcel = Parcel(
            message,
            wire_address(path) if path else "",
            tuple(Addressee(wire_address(step.recipient)) for step in steps),
            lambda: self._content(message, mailing_list),
            size,
            crlf,
            envelope.parameters,
        )
        outcomes = await self._couriers(hop).deliver(parcel)
        return [None if isinstance(outcome, Taken) else outcome for outcome in outcomes]


def wire_address(address: str) -> str:
    """An address with its domain as A-labels, so that SMTPUTF8 is needed only for its local part."""
    try:
        return f"{address.rpartition('@')[0]}@{canonical_address(address).domain}"
    except InvalidAddress:
        return address


def run(settings: Settings, pulse: Pulse) -> None:
    """The process's life. Holds `queue.lock`, so that no second runner works on the same queue."""
    from gateway.service.worker import make_host

    state_dir = Path(settings.state_dir)
    only_one(state_dir / "queue.lock")

    async def main() -> None:
        loop, stop, rung = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        host = make_host(settings, settings.workers)
        sock = bell(Path(settings.run_dir) / "queue.sock")
        loop.add_reader(sock, _heard, sock, rung)
        host.queue.clean()
        keep_trail(settings, "queue")
        outbound = Outbound(settings)
        desk = make_desk(host)
        runner = QueueRunner(
            host.queue,
            QueueState(state_dir / "queue.db"),
            host.router,
            lambda step, path, content, message: host.delivery.deliver([step], path, content, message)[0],
            outbound.courier,
            settings.queue,
            relay=settings.relay,
            desk=desk,
            rules=RuleDesk(
                host.queue,
                Programs(Path(settings.run_dir), settings.programs),
                settings.route.extension_separator,
                Path(settings.run_dir) / "queue.sock",
            ),
        )
        verbs = MailVerbs(host.lists.state, desk.moderation, host.directory, loop).verbs()
        control = await ControlServer(verbs).start(Path(settings.run_dir) / MAIL_SOCKET)
        publisher = Publisher(Path(settings.run_dir))
        pulse.start(stop.set, also=publisher.publish)
        pulse.ready()
        tending = asyncio.ensure_future(tend_for_ever(host))
        purging = asyncio.ensure_future(purge_for_ever(settings))
        sweeping = asyncio.ensure_future(DropSweep(settings, host.queue).sweep_for_ever())
        expiring = asyncio.ensure_future(desk.tend_for_ever())
        stopped = asyncio.ensure_future(stop.wait())
        while not stop.is_set():
            rung.clear()
            worked = asyncio.ensure_future(runner.work())
            await asyncio.wait((worked, stopped), return_when=asyncio.FIRST_COMPLETED)
            if not worked.done():
                runner.stopping = True
                await asyncio.wait((worked,), timeout=settings.processes.stop_timeout)
                worked.cancel()
                break
            pause = min(worked.result() or LOOK_SECONDS, LOOK_SECONDS)
            ringing = asyncio.ensure_future(rung.wait())
            await asyncio.wait((ringing, stopped), timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            ringing.cancel()
        tending.cancel()
        purging.cancel()
        expiring.cancel()
        await outbound.close()
        control.close()
        sweeping.cancel()

    asyncio.run(main())


def _heard(sock: socket.socket, rung: asyncio.Event) -> None:
    try:
        while sock.recv(16):
            pass
    except OSError:
        pass
    rung.set()
