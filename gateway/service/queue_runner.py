"""The queue's work: which messages are tried when, what an attempt does, what follows from its outcomes.

Where a target's mail goes is asked again at each attempt. What fails for now is tried again at growing
intervals; what fails for good, or for longer than `queue.lifetime`, is reported. Each target has exactly one
outcome. The instants of commitment stand in queue/state.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import msgspec

from directory.model import Condition, Deferred, Refused
from gateway.deliver.port import Outcome, Taken
from gateway.observe import maillog
from gateway.observe.log import fields
from gateway.queue.destinations import NotNow
from gateway.queue.file import Damaged, Newer, QueuedEnvelope, QueueFolder, Target
from gateway.queue.settings import QueueSettings
from gateway.queue.state import DONE, FAILED, TRYING, WAITING, QueueState, TargetRow
from gateway.route.plan import ListMail, Step
from gateway.service.queue_steps import QueueSteps, Untried
from gateway.service.reporting import Result, without_success

LOOK_SECONDS = 60.0  # a lost wake-up costs this much
TROUBLE_SECONDS = 1.0  # until queue.db or the queue's folder is asked again
DEBT_SECONDS = 60.0  # until a report that could not be made is tried again
DEBT_LIFETIMES = 2.0  # so many times queue.lifetime after it began, what cannot be reported is held
BATCH = 1000  # messages that are noted in one transaction
_log = logging.getLogger("gatepost.queue")


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


class QueueRunner:
    """Knows no process, socket or signal; lives in one event loop."""

    def __init__(
        self,
        folder: QueueFolder,
        state: QueueState,
        steps: QueueSteps,
        settings: QueueSettings,
        reporter: Reports,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder, self._state, self.steps = folder, state, steps
        self._settings, self._reporter, self._clock = settings, reporter, clock
        self._known: set[str] = set()
        self._gone: list[str] = []
        #: what waits for its destination and is not written down yet: until when and why
        self._postponed: dict[str, tuple[float, str]] = {}
        #: found due and not begun
        self._ready: deque[str] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._said: tuple[int, int] | None = None  # nothing yet
        self._said_at = 0.0
        self._rung = asyncio.Event()
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
        for message in self._state.claimed():
            if message not in self.busy:  # its outcome could not be written
                self._state.change(message, TRYING, WAITING, self._clock())
        self._came(present - self._known)
        self._gone.extend(self._known - present - self.busy)
        self._forget()

    def _came(self, messages: Iterable[str]) -> None:
        """Make rows for these files. What cannot be read now is looked at again; a damaged one is held."""
        rows: list[tuple[str, int, float]] = []
        owners: dict[str, str] = {}
        damaged: dict[str, str] = {}
        now = self._clock()
        for message in messages:
            if message in self._known:
                continue
            try:
                envelope = self._folder.read(message)
            except FileNotFoundError:
                continue
            except (Newer, OSError) as error:
                _log.error("%s", fields(id=message, event="queue-file-unread", detail=str(error)))
                continue
            except Damaged as error:
                damaged[message] = str(error)
                rows.append((message, 1, now))
                continue
            rows.append((message, len(envelope.targets), max(now, envelope.not_before)))
            if envelope.owner:
                owners[message] = envelope.owner
            if len(rows) >= BATCH:
                self._add(rows, owners)
                rows, owners = [], {}
        self._add(rows, owners)
        for message, why in damaged.items():
            self._hold_damaged(message, why)

    def _add(self, rows: Sequence[tuple[str, int, float]], owners: Mapping[str, str]) -> None:
        if rows:
            self._state.add(rows, owners)
            self._known.update(message for message, _, _ in rows)

    def _hold_damaged(self, message: str, why: str) -> None:
        _log.error("%s", fields(id=message, event="queue-file-damaged", detail=why))
        self._state.hold(message, f"damaged: {why}")

    def _forget(self) -> None:
        if self._gone:
            self._state.forget(self._gone)
            self._known.difference_update(self._gone)
            self._gone = []

    def wake(self, messages: Sequence[str] = ("",)) -> None:
        """These messages came in (a name with a slash is none); "" = look for yourself."""
        named = {name for name in messages if name and "/" not in name}
        is_missed = False
        try:
            self._came(named)
        except Deferred as error:
            is_missed = True
            self._say_trouble(error)
        if is_missed or "" in messages:
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
            self._say_status()
            try:
                if self._wants_look or time.monotonic() - looked >= LOOK_SECONDS:
                    self.look()
                    self._wants_look, looked = False, time.monotonic()
                self._take_up()
                if not self._tasks:
                    self._forget()
                pause = self._pause()
            except (Deferred, OSError) as error:  # queue.db or the queue's folder: it passes, and nobody else goes on
                self._say_trouble(error)
                await asyncio.wait((stopped,), timeout=TROUBLE_SECONDS)
                continue
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
        with contextlib.suppress(Deferred):  # rows of files that are gone are found by the next runner
            self._forget()

    @staticmethod
    def _say_trouble(error: Exception, message: str | None = None) -> None:
        _log.error("%s", fields(id=message, event="queue-trouble", detail=str(error)))

    def _say_status(self) -> None:
        """How much is under way, when that changed, as qmail-send says it; once a second at most."""
        now, status = time.monotonic(), (self.steps.local, self.steps.remote)
        if status != self._said and (now - self._said_at >= 1.0 or not any(status)):
            self._said, self._said_at = status, now
            _log.info("%s", self.steps.status())

    def is_tried(self, message: str) -> bool:
        """True while an attempt at a message is under way: it may be delivered at any instant."""
        return message in self.busy and message not in self._postponed

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
                found = [
                    *self._state.owing(self._clock(), BATCH),
                    *self._state.due(self._clock(), BATCH + len(self.busy)),
                ]
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
            some = [(message, until, why) for message, (until, why) in self._postponed.items()]
            self._state.postpone(some, self._clock())
            self.busy.difference_update(self._postponed)
            self._postponed = {}

    async def _one(self, message: str) -> None:
        try:
            try:
                await self._attempt(message)
            except Newer:
                raise
            except Damaged as error:
                self._hold_damaged(message, str(error))
        except (Deferred, OSError, Newer) as error:  # queue.db, the folder, a file of a later version
            self._say_trouble(error, message)
            await asyncio.sleep(TROUBLE_SECONDS)
            with contextlib.suppress(Deferred):  # what stays claimed is found by the next look
                self._postpone(message, error)
                self._state.owe_later(message, self._clock() + DEBT_SECONDS)
        except Exception:
            # one message that trips us must not stop the others, nor be tried in a circle
            maillog.bug(where=f"queue {message}")
            with contextlib.suppress(Deferred):
                self._postpone(message, Deferred(Condition.BUG))
                self._state.owe_later(message, self._clock() + self._settings.retry_first)

    # an attempt

    async def _attempt(self, message: str) -> None:
        now = self._clock()
        try:
            envelope = self._folder.read(message)
        except FileNotFoundError:
            self._gone.append(message)
            return
        rows = self._state.targets(message)
        if len(rows) < len(envelope.targets):  # it could not be read when it came
            self._state.add([(message, len(envelope.targets), now)], {message: envelope.owner})
            rows = self._state.targets(message)
        if (silence := self._silence(rows, envelope, now)) is not None:
            self._postponed[message] = (silence.until, silence.why)
            return
        rows = self._state.claim(message, now)
        finished = self._state.done_keys(message) if rows else set()
        problems: dict[int, Deferred | Refused] = {}
        wanted: dict[str, tuple[Step, str, Target]] = {}
        of: dict[int, list[str]] = {}
        for row in rows:
            target = envelope.targets[row.number]
            path = envelope.path_of(target)
            try:
                steps = self.steps.of(target, path, now)
                mailing_list = self.steps.list_of(target.list, now)
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
        outcomes = await self.steps.run(message, envelope, wanted)
        after: list[TargetRow] = []
        untried: list[TargetRow] = []
        for row in rows:
            found = [problems[row.number]] if row.number in problems else [
                outcomes[key] for key in of[row.number] if key in outcomes
            ]  # fmt: skip
            waits = [each for each in found if isinstance(each, Untried)]
            if waits and not any(isinstance(each, Deferred) for each in found):
                until = min(each.until for each in waits)
                untried.append(replace(row, state=WAITING, due=until, reply=waits[0].why))
                continue
            told = [each for each in found if not isinstance(each, Untried)]
            after.append(self._after(row, envelope, told, is_one=len(of.get(row.number, ())) < 2))
            maillog.attempted(
                id=message, recipient=envelope.targets[row.number].address, state=after[-1].state, reply=after[-1].reply
            )
        if untried:
            self._state.record(message, untried, back=1)
        if after:
            self._state.record(message, after)
        await self._settle(message, envelope)

    def _silence(self, rows: Sequence[TargetRow], envelope: QueuedEnvelope, now: float) -> NotNow | None:
        """Where everything that is due leads to hosts that do not answer: until when. Asked before an attempt is
        claimed, because claims cost and a dead host may have many thousands of messages."""
        first: NotNow | None = None
        if any(row.owed for row in rows):
            return None
        for row in rows:
            if row.state != WAITING or row.due > now:
                continue
            target = envelope.targets[row.number]
            if now - envelope.began > self._settings.lifetime or target.list or target.account:
                return None
            path = envelope.path_of(target)
            try:
                silence = self.steps.silence(self.steps.of(target, path, now), path, now)
            except (Deferred, Refused):
                return None
            if silence is None:
                return None
            first = silence if first is None or silence.until < first.until else first
        return first

    # what follows

    def _after(
        self, row: TargetRow, envelope: QueuedEnvelope, outcomes: Sequence[Outcome], *, is_one: bool
    ) -> TargetRow:
        """The row of a target behind an attempt."""
        now = self._clock()
        notify = envelope.targets[row.number].notify
        deferred = next((each for each in outcomes if isinstance(each, Deferred)), None)
        if deferred is not None:
            if now - envelope.began > self._settings.lifetime:
                return replace(
                    row, state=FAILED, due=now, reply=f"given up: {deferred}", owed="failed", outcome=deferred
                )
            late = self._settings.delay_warning
            is_late = bool(late) and not row.warned and now - envelope.began > late
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
            return replace(row, state=FAILED, due=now, reply=str(refused), owed="failed", outcome=refused)
        taken = next((each for each in outcomes if isinstance(each, Taken)), Taken())
        kind = "expanded" if not is_one else "relayed" if taken.host else "delivered"
        owed = kind if "SUCCESS" in notify else ""
        return replace(row, state=DONE, due=now, reply=taken.reply, owed=owed, outcome=taken if owed else None)

    def _wait(self, attempts: int) -> float:
        """The pause behind the `attempts`th attempt."""
        first, factor = self._settings.retry_first, self._settings.retry_factor
        return min(first * factor ** min(max(attempts - 1, 0), 60), self._settings.retry_max)

    def _postpone(self, message: str, error: Exception) -> None:
        """An attempt that came to nothing at all."""
        now = self._clock()
        rows = [
            row
            for row in self._state.targets(message)
            if row.state == TRYING or (row.state == WAITING and row.due <= now)
        ]
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
        if owed and self._clock() - envelope.began > DEBT_LIFETIMES * self._settings.lifetime:
            _log.error("%s", fields(id=message, event="report-given-up", detail=owed[0].target.address))
            self._state.hold(message, "nobody could be told: the report could not be made")
            return
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
    return msgspec.structs.replace(target, notify=without_success(target.notify))
