"""The queue's work: which messages are tried when, what an attempt does, what follows from its outcomes.

Where a target's mail goes is asked again at each attempt. What fails for now is tried again at growing
intervals; what fails for good, or for longer than `queue.lifetime`, is reported. Each target has exactly one
outcome. The instants of commitment stand in queue/state.py.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec

from directory.model import Condition, Deferred, InvalidAddress, MailingList, Refused, canonical_address
from gateway.deliver.port import Addressee, Outcome, Parcel, Taken
from gateway.lists.copy import Rewriting, copied
from gateway.mail.srs import Srs
from gateway.mail.wire import wire_address
from gateway.observe import maillog
from gateway.observe.log import fields
from gateway.queue.destinations import Destinations, NotNow
from gateway.queue.file import Damaged, QueuedEnvelope, QueueFolder, Target
from gateway.queue.settings import QueueSettings
from gateway.queue.state import DONE, FAILED, TRYING, WAITING, QueueState, TargetRow
from gateway.route.next_hop import NextHop, next_hop
from gateway.route.plan import Discard, Instructions, Later, ListMail, Local, Remote, Step
from gateway.route.relay_settings import RelaySettings
from gateway.route.router import Router
from gateway.service.final_delivery import Outcome as LocalOutcome
from gateway.service.instructions import RuleDesk
from gateway.service.outbound import Couriers
from gateway.service.reporting import Result

RECIPIENTS_PER_TRANSACTION = 100  # RFC 5321 4.5.3.1.8: every host takes so many
LOOK_SECONDS = 60.0  # a lost wake-up costs this much
BATCH = 1000  # messages that are noted in one transaction
_log = logging.getLogger("gatepost.queue")

#: (step, return path, content, message id)
LocalDelivery = Callable[[Local, str, Sequence[bytes], str], LocalOutcome]


class Desk(Protocol):
    """Does what is asked under the service addresses of lists."""

    async def handle(self, step: ListMail, envelope: QueuedEnvelope, content: Callable[[], Iterator[bytes]]) -> None:
        """Raises Deferred, Refused, OSError."""
        ...


class Reports(Protocol):
    """Tells senders what became of their messages."""

    def report(
        self,
        envelope: QueuedEnvelope,
        results: Sequence[Result],
        content: Callable[[], Iterable[bytes]],
        now: float,
    ) -> None:
        """On disk when it returns; the same call again makes the same reports. Raises Deferred."""
        ...


@dataclass(frozen=True, slots=True)
class _Untried:
    """Nothing was tried: the destination gets nothing before `until`."""

    until: float
    why: str


_StepOutcome = Outcome | _Untried


class QueueRunner:
    """Knows no process, socket or signal; lives in one event loop."""

    def __init__(
        self,
        folder: QueueFolder,
        state: QueueState,
        router: Router,
        deliver: LocalDelivery,
        couriers: Couriers,
        settings: QueueSettings,
        reporter: Reports,
        clock: Callable[[], float] = time.time,
        relay: RelaySettings | None = None,
        desk: Desk | None = None,
        rules: RuleDesk | None = None,
        srs: Srs | None = None,
    ) -> None:
        self._folder, self._state, self._router = folder, state, router
        self._deliver, self._couriers, self._settings, self._clock = deliver, couriers, settings, clock
        self._reporter, self._relay = reporter, relay or RelaySettings()
        self._desk, self._rules, self._srs = desk, rules, srs
        self.destinations = Destinations(settings)
        self._local = asyncio.Semaphore(settings.concurrency_local)
        self._remote = asyncio.Semaphore(settings.concurrency_remote)
        self._known: set[str] = set()
        self._damaged: set[str] = set()
        self._gone: list[str] = []
        #: what waits for its destination and is not written down yet: until when and why
        self._postponed: dict[str, tuple[float, str]] = {}
        #: found due and not begun
        self._ready: deque[str] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._rung = asyncio.Event()
        #: deliveries into stores and connections to other hosts at this moment
        self.local = self.remote = 0
        #: messages in an attempt
        self.busy: set[str] = set()
        state.recover(self._clock())
        self._known.update(state.messages())
        for message in state.finished():
            self._remove(message)

    # what is there

    def look(self) -> None:
        """Make rows for files that came in; drop rows whose file is gone."""
        present = self._folder.ids()
        self._came(present - self._known - self._damaged)
        self._gone.extend(self._known - present - self.busy)
        self._forget()

    def _came(self, messages: Iterable[str]) -> None:
        rows: list[tuple[str, int, float]] = []
        now = self._clock()
        for message in messages:
            if message in self._known:
                continue
            try:
                envelope = self._folder.read(message)
            except FileNotFoundError:
                continue
            except (Damaged, OSError) as error:
                self._damaged.add(message)
                _log.error("%s", fields(id=message, event="queue-file-damaged", detail=str(error)))
                continue
            rows.append((message, len(envelope.targets), max(now, envelope.not_before)))
            self._known.add(message)
            if len(rows) >= BATCH:
                self._state.add(rows)
                rows = []
        if rows:
            self._state.add(rows)

    def _forget(self) -> None:
        if self._gone:
            self._state.forget(self._gone)
            self._known.difference_update(self._gone)
            self._gone = []

    def wake(self, messages: Sequence[str] = ("",)) -> None:
        """These messages came in (a name with a slash is none); "" = look for yourself."""
        named = {name for name in messages if name and "/" not in name}
        if named:
            self._came(named)
        if "" in messages:
            self._wants_look = True
        self._rung.set()

    _wants_look = True

    # when

    async def work(self) -> float | None:
        """Attempt everything that is due; seconds until something is due again, None = nothing waits."""
        self.look()
        self._take_up()
        while self._tasks:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            self._take_up()
        self._forget()
        return self._pause()

    async def serve(self, stop: asyncio.Event) -> None:
        """Work until `stop`, then let what is under way end."""
        stopped = asyncio.ensure_future(stop.wait())
        looked = 0.0
        while not stop.is_set():
            self._rung.clear()
            if self._wants_look or time.monotonic() - looked >= LOOK_SECONDS:
                self._wants_look, looked = False, time.monotonic()
                self.look()
            self._take_up()
            if not self._tasks:
                self._forget()
            pause = self._pause()
            ringing = asyncio.ensure_future(self._rung.wait())
            await asyncio.wait(
                (ringing, stopped),
                timeout=min(LOOK_SECONDS if pause is None else pause, LOOK_SECONDS),
                return_when=asyncio.FIRST_COMPLETED,
            )
            ringing.cancel()
        stopped.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._forget()

    def cancel(self) -> None:
        """End attempts that did not end by themselves; the next runner repeats them."""
        for task in self._tasks:
            task.cancel()

    def _pause(self) -> float | None:
        following = self._state.next_due(self._clock())
        return None if following is None else max(0.05, following - self._clock())

    def _take_up(self) -> None:
        """Begin attempts at what is due, as many as may be under way."""
        if len(self._postponed) >= BATCH or not self._tasks:
            self._put_off()
        while len(self._tasks) < self._settings.active_max:
            if not self._ready:
                found = [*self._state.owing(BATCH), *self._state.due(self._clock(), BATCH + len(self.busy))]
                self._ready.extend(message for message in dict.fromkeys(found) if message not in self.busy)
                if not self._ready:
                    return
            message = self._ready.popleft()
            if message in self.busy:
                continue
            self.busy.add(message)
            task = asyncio.ensure_future(self._one(message))
            self._tasks.add(task)
            task.add_done_callback(lambda done, message=message: self._ended(message, done))  # type: ignore[misc]

    def _ended(self, message: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if message not in self._postponed:
            self.busy.discard(message)
        self._rung.set()

    def _put_off(self) -> None:
        """Write down what was postponed, many at a time."""
        if self._postponed:
            some, self._postponed = self._postponed, {}
            self._state.postpone([(message, until, why) for message, (until, why) in some.items()], self._clock())
            self.busy.difference_update(some)

    async def _one(self, message: str) -> None:
        try:
            await self._attempt(message)
        except Deferred as error:  # queue.db or the queue's folder
            _log.error("%s", fields(id=message, event="queue-trouble", detail=str(error)))
            await asyncio.sleep(1.0)
        except Exception:
            # one message that trips us must not stop the others, nor be tried in a circle
            maillog.bug(where=f"queue {message}")
            self._postpone(message, Deferred(Condition.BUG))

    # an attempt

    async def _attempt(self, message: str) -> None:
        now = self._clock()
        try:
            envelope = self._folder.read(message)
        except FileNotFoundError:
            self._gone.append(message)
            return
        except (Damaged, OSError) as error:
            self._state.claim(message, now)
            self._postpone(message, Deferred(Condition.QUEUE_UNAVAILABLE, str(error)))
            return
        if (silence := self._silence(message, envelope, now)) is not None:
            self._postponed[message] = (silence.until, silence.why)
            return
        rows = self._state.claim(message, now)
        finished = self._state.done_keys(message) if rows else set()
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
        after: list[TargetRow] = []
        untried: list[TargetRow] = []
        for row in rows:
            found = [problems[row.number]] if row.number in problems else [
                outcomes[key] for key in of[row.number] if key in outcomes
            ]  # fmt: skip
            waits = [each for each in found if isinstance(each, _Untried)]
            if waits and not any(isinstance(each, Deferred) for each in found):
                until = min(each.until for each in waits)
                untried.append(replace(row, state=WAITING, due=until, reply=waits[0].why))
                continue
            told = [each for each in found if not isinstance(each, _Untried)]
            after.append(self._after(row, envelope, told, is_one=len(of.get(row.number, ())) < 2))
            maillog.attempted(
                id=message, recipient=envelope.targets[row.number].address, state=after[-1].state, reply=after[-1].reply
            )
        if untried:
            self._state.record(message, untried, back=1)
        if after:
            self._state.record(message, after)
        await self._settle(message, envelope)

    def _silence(self, message: str, envelope: QueuedEnvelope, now: float) -> NotNow | None:
        """Where everything that is due leads to hosts that do not answer: until when. Asked before an attempt is
        claimed, because claims cost and a dead host may have many thousands of messages."""
        first: NotNow | None = None
        rows = self._state.targets(message)
        if any(row.owed for row in rows):
            return None
        for row in rows:
            if row.state != WAITING or row.due > now:
                continue
            target = envelope.targets[row.number]
            if (
                now - max(envelope.arrival, envelope.not_before) > self._settings.lifetime
                or target.list
                or target.account
            ):
                return None
            path = envelope.return_path if target.return_path is None else target.return_path
            try:
                for step in self._steps(target, path, now):
                    if not isinstance(step, Remote):
                        return None
                    silence = self.destinations.silence(
                        next_hop(step, path, self._router.directory, self._relay).key, now
                    )
                    if silence is None:
                        return None
                    first = silence if first is None or silence.until < first.until else first
            except (Deferred, Refused):
                return None
        return first

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
        self, message: str, envelope: QueuedEnvelope, wanted: dict[str, tuple[Step, str, Target]]
    ) -> dict[str, _StepOutcome]:
        outcomes: dict[str, _StepOutcome] = {}
        away: dict[tuple[NextHop, str, str], list[tuple[str, Step, Target]]] = {}
        content: list[bytes] = []
        for key, (step, path, target) in wanted.items():
            if isinstance(step, Local):
                content = content or list(self._folder.content(message))
                outcomes[key] = await self._into_store(step, path, content, message)
            elif isinstance(step, Discard):
                maillog.discarded(id=message, recipient=step.recipient, account=step.holder.id)
                outcomes[key] = Taken()
            elif isinstance(step, ListMail):
                outcomes[key] = await self._at_desk(step, envelope, message)
            elif isinstance(step, Instructions):
                outcomes[key] = await self._by_rules(step, path, envelope, message)
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
            if isinstance(outcomes.get(key), Taken):
                self._state.step_done(message, [key])
        for (hop, path, _), recipients in away.items():
            for start in range(0, len(recipients), RECIPIENTS_PER_TRANSACTION):
                some = recipients[start : start + RECIPIENTS_PER_TRANSACTION]
                parcel = self._parcel(message, envelope, path, [(step, target) for _, step, target in some])
                results = await self._send(hop, parcel)
                outcomes.update(zip((key for key, _, _ in some), results, strict=True))
                taken = [key for key, _, _ in some if isinstance(outcomes[key], Taken)]
                if taken:
                    self._state.step_done(message, taken)
        return outcomes

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

    async def _into_store(self, step: Local, path: str, content: Sequence[bytes], message: str) -> Outcome:
        async with self._local:
            self.local += 1
            try:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(None, self._deliver, step, path, content, message) or Taken()
            finally:
                self.local -= 1

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

    def _parcel(
        self, message: str, envelope: QueuedEnvelope, path: str, steps: Sequence[tuple[Step, Target]]
    ) -> Parcel:
        mailing_list, size, crlf = steps[0][0].mailing_list, envelope.size, envelope.crlf
        if mailing_list is not None:
            size = crlf = 0
            for piece in self._content(message, mailing_list):
                size += len(piece)
                crlf += len(piece) + piece.count(b"\n")
        return Parcel(
            message,
            wire_address(path) if path else "",
            tuple(
                Addressee(wire_address(step.recipient), frozenset(target.notify), target.orcpt)
                for step, target in steps
            ),
            lambda: self._content(message, mailing_list),
            size,
            crlf,
            envelope.parameters,
        )

    async def _send(self, hop: NextHop, parcel: Parcel) -> Sequence[_StepOutcome]:
        try:
            async with self.destinations.place(hop.key, self._clock()), self._remote:
                self.remote += 1
                try:
                    outcomes = await self._couriers(hop).deliver(parcel)
                finally:
                    self.remote -= 1
        except NotNow as error:
            return [_Untried(error.until, error.why)] * len(parcel.recipients)
        silent = next((each for each in outcomes if isinstance(each, Deferred) and not each.reply), None)
        if silent is not None and all(isinstance(each, Deferred) and not each.reply for each in outcomes):
            self.destinations.silent(hop.key, self._clock(), str(silent))
        else:
            self.destinations.answered(hop.key)
        return outcomes

    # what follows

    def _after(
        self, row: TargetRow, envelope: QueuedEnvelope, outcomes: Sequence[Outcome], *, is_one: bool
    ) -> TargetRow:
        """The row of a target behind an attempt."""
        now = self._clock()
        notify = envelope.targets[row.number].notify
        deferred = next((each for each in outcomes if isinstance(each, Deferred)), None)
        if deferred is not None:
            if now - max(envelope.arrival, envelope.not_before) > self._settings.lifetime:
                return replace(
                    row, state=FAILED, due=0.0, reply=f"given up: {deferred}", owed="failed", outcome=deferred
                )
            late = self._settings.delay_warning
            is_late = bool(late) and not row.warned and now - max(envelope.arrival, envelope.not_before) > late
            return replace(
                row,
                state=WAITING,
                due=now + self._wait(row.attempts),
                reply=str(deferred),
                owed="delayed" if is_late else "",
                outcome=deferred if is_late else None,
                warned=row.warned or is_late,
            )
        refused = next((each for each in outcomes if isinstance(each, Refused)), None)
        if refused is not None:
            return replace(row, state=FAILED, due=0.0, reply=str(refused), owed="failed", outcome=refused)
        taken = next((each for each in outcomes if isinstance(each, Taken)), Taken())
        kind = "expanded" if not is_one else "relayed" if taken.host else "delivered"
        owed = kind if "SUCCESS" in notify else ""
        return replace(row, state=DONE, due=0.0, reply=taken.reply, owed=owed, outcome=taken if owed else None)

    def _wait(self, attempts: int) -> float:
        """The pause behind the `attempts`th attempt."""
        first, factor = self._settings.retry_first, self._settings.retry_factor
        return min(first * factor ** min(max(attempts - 1, 0), 60), self._settings.retry_max)

    def _postpone(self, message: str, error: Deferred) -> None:
        """An attempt that came to nothing at all."""
        now = self._clock()
        rows = [row for row in self._state.targets(message) if row.state == TRYING]
        self._state.record(
            message,
            [replace(row, state=WAITING, due=now + self._wait(row.attempts), reply=str(error)) for row in rows],
        )

    async def _settle(self, message: str, envelope: QueuedEnvelope) -> None:
        """Make the reports that are owed; remove what is finished. Raises Deferred."""
        rows = self._state.targets(message)
        owed = [
            Result(envelope.targets[row.number], row.owed, row.outcome or Taken(), row.attempts)  # type: ignore[arg-type]
            for row in rows
            if row.owed
        ]
        if owed:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(
                None, self._reporter.report, envelope, owed, lambda: self._folder.content(message), self._clock()
            )
            self._state.told(message)
            rows = self._state.targets(message)
        if rows and all(row.is_final for row in rows):
            self._remove(message)

    def _remove(self, message: str) -> None:
        """The file of a finished message; its rows go with the next batch."""
        try:
            self._folder.remove(message)
        except OSError as error:
            raise Deferred(Condition.QUEUE_UNAVAILABLE, f"{message}: {error}") from error
        self._gone.append(message)


def _told_less(target: Target) -> Target:
    """What a next host is asked of one of several behind an address: its success was told already (RFC 3461 5.2.7)."""
    if "SUCCESS" not in target.notify:
        return target
    return msgspec.structs.replace(
        target, notify=tuple(kind for kind in target.notify if kind != "SUCCESS") or ("NEVER",)
    )
