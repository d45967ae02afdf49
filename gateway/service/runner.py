"""The queue runner: one process a host that works on accepted, undelivered mail.

Where a target's mail goes is asked again at each attempt. What fails for now is tried again at growing
intervals; what fails for good, or for longer than `queue.lifetime`, is told to the sender. A final outcome is
committed as "telling", then its report is queued, then it is "done": a crash between repeats the report under the
same name. A crash between a delivery and its record in queue.db repeats that delivery once.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import msgspec

from directory.model import Condition, Deferred, InvalidAddress, MailingList, Refused, canonical_address
from gateway.config.settings import Settings
from gateway.control.server import ControlServer
from gateway.deliver.port import Addressee, Outcome, Parcel, Taken
from gateway.lists.copy import AS_IT_IS, Rewriting, copied
from gateway.mail.dsn import Action
from gateway.mail.srs import Srs
from gateway.mail.wire import wire_address
from gateway.observe import maillog
from gateway.observe.log import fields
from gateway.queue.file import Damaged, QueuedEnvelope, QueueFolder, Target
from gateway.queue.settings import QueueSettings
from gateway.queue.state import DONE, TELLING, WAITING, QueueState, TargetRow
from gateway.queue.wake import bell
from gateway.route.next_hop import NextHop, next_hop
from gateway.route.plan import Discard, Instructions, Later, ListMail, Local, Remote, Step
from gateway.route.relay_settings import RelaySettings
from gateway.route.router import Router
from gateway.service import settled
from gateway.service.drop_sweep import DropSweep
from gateway.service.final_delivery import Outcome as LocalOutcome
from gateway.service.instructions import RuleDesk
from gateway.service.list_desk import make_desk
from gateway.service.mail_control import MAIL_SOCKET, MailVerbs
from gateway.service.metrics_files import Publisher
from gateway.service.outbound import Couriers, Outbound
from gateway.service.program_client import Programs
from gateway.service.pulse import Pulse
from gateway.service.reporting import Reporter, Result
from gateway.service.single import only_one
from gateway.service.srs_keys import make_srs
from gateway.service.trail import keep_trail, purge_for_ever
from gateway.service.upkeep import tend_for_ever

LOOK_SECONDS = 60.0  # a lost wake-up costs this much
RECIPIENTS_PER_TRANSACTION = 100  # RFC 5321 4.5.3.1.8: every host takes so many
_log = logging.getLogger("gatepost.queue")

#: (step, return path, content, message id)
LocalDelivery = Callable[[Local, str, Sequence[bytes], str], LocalOutcome]


class Desk(Protocol):
    """Does what is asked under the service addresses of lists."""

    async def handle(self, step: ListMail, envelope: QueuedEnvelope, content: Callable[[], Iterator[bytes]]) -> None:
        """Raises Deferred, Refused, OSError."""
        ...

    async def rewriting(self, mailing_list: MailingList, content: Iterator[bytes]) -> Rewriting:
        """What is decided for copies that leave. Raises OSError."""
        ...


@dataclass(frozen=True, slots=True)
class _Copy:
    """The octets that leave, for all recipients alike."""

    content: Callable[[], Iterator[bytes]]
    size: int
    crlf: int


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
        reporter: Reporter | None = None,
        srs: Srs | None = None,
    ) -> None:
        self._folder, self._state, self._router = folder, state, router
        self._deliver, self._couriers, self._settings, self._clock = deliver, couriers, settings, clock
        self._relay = relay or RelaySettings()
        self._desk, self._rules, self._reporter, self._srs = desk, rules, reporter, srs
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
        now = self._clock()
        rows = [row for row in self._state.targets(message) if row.state in (WAITING, TELLING) and row.due <= now]
        self._state.record(
            message,
            [
                self._after(row, error, now, "failed")
                if row.state == WAITING
                else replace(row, due=now + self._pause(0))
                for row in rows
            ],
        )

    def _pause(self, attempts: int) -> float:
        """Seconds until the next attempt."""
        settings = self._settings
        return min(settings.retry_first * settings.retry_factor ** min(attempts, 60), settings.retry_max)

    def _after(self, row: TargetRow, outcome: Outcome, arrival: float, taken: Action) -> TargetRow:
        """The row of a target behind an attempt; `taken` is what success is called."""
        now = self._clock()
        if isinstance(outcome, Deferred) and now - arrival <= self._settings.lifetime:
            return TargetRow(row.number, WAITING, row.attempts + 1, now + self._pause(row.attempts), str(outcome))
        kind: Action = taken if isinstance(outcome, Taken) else "failed"
        return TargetRow(row.number, TELLING, row.attempts + 1, now, settled.encode(kind, outcome))

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
        known = self._state.targets(message)
        rows = [row for row in known if row.state == WAITING and row.due <= now]
        finished = self._state.done_keys(message)
        problems: dict[int, Deferred | Refused] = {}
        wanted: dict[str, tuple[Step, str, Target]] = {}
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
                    spread = len(steps) > 1 or isinstance(step, ListMail) or bool(step.mailing_list and not target.list)
                    wanted.setdefault(key, (step, own, _told_less(target) if spread else target))
        outcomes = await self._run(message, envelope, wanted)
        after = []
        delayed: dict[int, Deferred] = {}
        for row in rows:
            problem = problems.get(row.number)
            found = [problem] if problem is not None else [outcomes.get(key, Taken()) for key in of[row.number]]
            outcome = worst(found)
            host = outcome.host if isinstance(outcome, Taken) else ""
            taken: Action = "expanded" if len(found) > 1 else "relayed" if host else "delivered"
            after.append(self._after(row, outcome, envelope.arrival, taken))
            maillog.attempted(
                id=message,
                recipient=envelope.targets[row.number].address,
                state=DONE
                if isinstance(outcome, Taken)
                else after[-1].state
                if after[-1].state == WAITING
                else "failed",
                reply="" if isinstance(outcome, Taken) else str(outcome),
            )
            if after[-1].state == WAITING and isinstance(outcome, Deferred):
                delayed[row.number] = outcome
        self._state.record(message, after)
        await self._tell(message, envelope, [row for row in known if row.state == TELLING] + after, delayed, finished)
        if all(row.state == DONE for row in self._state.targets(message)):
            self._folder.remove(message)
            self._state.forget(message)
            self._known.discard(message)

    async def _tell(
        self,
        message: str,
        envelope: QueuedEnvelope,
        rows: list[TargetRow],
        delayed: dict[int, Deferred],
        finished: set[str],
    ) -> None:
        """Report what is final, and once what is late; then it is done. A report that the queue cannot take now
        is made later."""
        now = self._clock()
        telling = [row for row in rows if row.state == TELLING and row.due <= now]
        results = [
            result
            for row in telling
            if (result := settled.decode(row.reply, envelope.targets[row.number], row.attempts))
        ]
        late = []
        if self._settings.delay_warning and now - envelope.arrival >= self._settings.delay_warning:
            late = [number for number in delayed if f"late {number}" not in finished]
        results += [Result(envelope.targets[number], "delayed", delayed[number]) for number in late]
        if results and self._reporter is not None:
            report = partial(self._reporter.report, envelope, results, lambda: self._folder.content(message), now)
            try:
                await asyncio.get_running_loop().run_in_executor(None, report)
            except (Deferred, OSError) as error:
                _log.warning("%s", fields(id=message, event="report-deferred", detail=str(error)))
                self._state.record(message, [replace(row, due=now + self._pause(0)) for row in telling])
                return
        self._state.step_done(message, [f"late {number}" for number in late])
        self._state.record(message, [replace(row, state=DONE, reply="") for row in telling])

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

    def _content(self, message: str, mailing_list: MailingList | None, how: Rewriting = AS_IT_IS) -> Iterator[bytes]:
        """The message, or the list's copy of it."""
        content = self._folder.content(message)
        return content if mailing_list is None else copied(content, mailing_list, how)

    async def _run(
        self, message: str, envelope: QueuedEnvelope, wanted: dict[str, tuple[Step, str, Target]]
    ) -> dict[str, Outcome]:
        outcomes: dict[str, Outcome] = {}
        away: dict[tuple[NextHop, str, str], list[tuple[str, Step, Target]]] = {}
        content: list[bytes] = []
        loop = asyncio.get_running_loop()
        for key, (step, path, target) in wanted.items():
            if isinstance(step, Local):
                content = content or list(self._folder.content(message))
                failure = await loop.run_in_executor(None, self._deliver, step, path, content, message)
                outcomes[key] = failure or Taken()
                if failure is None:
                    self._state.step_done(message, [key])
            elif isinstance(step, Discard):
                maillog.discarded(id=message, recipient=step.recipient, account=step.holder.id)
                outcomes[key] = Taken()
            elif isinstance(step, Instructions):
                outcomes[key] = await self._by_rules(step, path, envelope, message)
            elif isinstance(step, ListMail):
                outcomes[key] = await self._at_desk(step, envelope, message)
            elif isinstance(step, Later):
                outcomes[key] = step.reason
            else:
                try:
                    hop = next_hop(step, path, self._router.directory, self._relay)
                    path = self._rewritten(step, path)
                except Deferred as error:
                    outcomes[key] = error
                    continue
                list_id = step.mailing_list.id if step.mailing_list is not None else ""
                away.setdefault((hop, path, list_id), []).append((key, step, target))
        copies = {"": _Copy(lambda: self._folder.content(message), envelope.size, envelope.crlf)}
        for (hop, path, list_id), recipients in away.items():
            if list_id not in copies:
                copies[list_id] = await self._copy(message, recipients[0][1].mailing_list)
            for start in range(0, len(recipients), RECIPIENTS_PER_TRANSACTION):
                some = recipients[start : start + RECIPIENTS_PER_TRANSACTION]
                results = await self._send(message, envelope, hop, path, some, copies[list_id])
                outcomes.update(zip((key for key, _, _ in some), results, strict=True))
                self._state.step_done(message, [key for key, _, _ in some if isinstance(outcomes[key], Taken)])
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
        return Taken()

    def _rewritten(self, step: Step, path: str) -> str:
        """The return path with which a message is sent on: of one forwarded to outside it is ours. Raises Deferred."""
        if self._srs is None or not path or not isinstance(step, Remote) or step.mailing_list is not None:
            return path
        try:
            ends = [canonical_address(text).domain for text in (path, step.recipient)]
        except InvalidAddress:
            return path
        # what comes from us is not forwarded, and a domain that we relay for takes its mail from us
        if any(self._router.directory.domain(domain) is not None for domain in ends):
            return path
        return self._srs.forward(path, self._clock())

    async def _at_desk(self, step: ListMail, envelope: QueuedEnvelope, message: str) -> Outcome:
        if self._desk is None:
            return Deferred(Condition.QUEUE_UNAVAILABLE, "no desk for lists")
        try:
            await self._desk.handle(step, envelope, lambda: self._folder.content(message))
        except (Deferred, Refused) as error:
            return error
        except OSError as error:
            return Deferred(Condition.QUEUE_UNAVAILABLE, str(error))
        return Taken()

    async def _copy(self, message: str, mailing_list: MailingList | None) -> _Copy:
        """The list's copy as it leaves. Raises OSError, Damaged, HeaderProblem."""
        how = AS_IT_IS
        if self._desk is not None and mailing_list is not None:
            how = await self._desk.rewriting(mailing_list, self._folder.content(message))
        size = crlf = 0
        for piece in self._content(message, mailing_list, how):
            size += len(piece)
            crlf += len(piece) + piece.count(b"\n")
        return _Copy(lambda: self._content(message, mailing_list, how), size, crlf)

    async def _send(
        self,
        message: str,
        envelope: QueuedEnvelope,
        hop: NextHop,
        path: str,
        recipients: list[tuple[str, Step, Target]],
        copy: _Copy,
    ) -> list[Outcome]:
        parcel = Parcel(
            message,
            wire_address(path) if path else "",
            tuple(
                Addressee(wire_address(step.recipient), frozenset(target.notify), target.orcpt)
                for _, step, target in recipients
            ),
            copy.content,
            copy.size,
            copy.crlf,
            envelope.parameters,
        )
        return await self._couriers(hop).deliver(parcel)


def worst(outcomes: Sequence[Outcome]) -> Outcome:
    """What counts for a recipient: what is to be tried again, else what failed, else success."""
    for kind in (Deferred, Refused):
        for outcome in outcomes:
            if isinstance(outcome, kind):
                return outcome
    return outcomes[0] if outcomes else Taken()


def _told_less(target: Target) -> Target:
    """What a next host is asked of one of several behind an address: its success was told already (RFC 3461 5.2.7)."""
    if "SUCCESS" not in target.notify:
        return target
    return msgspec.structs.replace(
        target, notify=tuple(kind for kind in target.notify if kind != "SUCCESS") or ("NEVER",)
    )


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
        desk = make_desk(host, outbound.resolver)
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
            reporter=host.reporter,
            srs=make_srs(settings, signs=True),
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
