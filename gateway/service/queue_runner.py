"""The queue's work: which messages are tried when, what an attempt does, what follows from its outcomes.

Where a target's mail goes is asked again at each attempt. What fails for now is tried again at growing
intervals; what fails for good, or for longer than `queue.lifetime`, is reported. Each target has exactly one
outcome. The instants of commitment stand in queue/state.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import replace
from functools import partial
from typing import Protocol

from directory.model import Condition, Deferred
from gateway.deliver.port import Taken
from gateway.observe import maillog
from gateway.observe.log import fields
from gateway.queue.destinations import Crowded, NotNow
from gateway.queue.file import Damaged, Newer, QueuedEnvelope, QueuedMessage, QueueFolder
from gateway.queue.ledger import Ledger
from gateway.queue.settings import QueueSettings
from gateway.queue.state import DONE, FAILED, TRYING, WAITING, QueueState, TargetRow
from gateway.service.queue_attempt import AttemptPlan, Attempts
from gateway.service.queue_inventory import BATCH, LOOK_AGAIN_SECONDS, LOOK_SECONDS, TIDY_SECONDS, QueueInventory
from gateway.service.queue_lineage import Lineage
from gateway.service.queue_steps import QueueSteps
from gateway.service.queue_stopped import StoppedMail, Watch
from gateway.service.reporting import Result

TROUBLE_SECONDS = 1.0  # until queue.db or the queue's folder is asked again
BUGS_MAX = 20  # attempts in a row that a bug of ours ended, until a message is held: half a day
TRIPS_MAX = 10_000  # messages that are counted so
DEBT_SECONDS = 60.0  # until a report that could not be made is tried again
DEBT_LIFETIMES = 2.0  # so many times queue.lifetime after it began, what cannot be reported is held
NEVER = float("inf")
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
        watch: Watch | None = None,
    ) -> None:
        self._folder, self._state, self.steps = folder, state, steps
        self._settings, self._reporter, self._clock = settings, reporter, clock
        self._attempts = Attempts(steps, settings)
        self._ledger = Ledger(state)
        steps.destinations.call = self._called
        self._there = QueueInventory(folder, state, clock)
        self.stopped = StoppedMail(folder, state, steps, self._there, clock, watch)
        #: messages whose destination called them before they are due again
        self._early: set[str] = set()
        #: found due and not begun
        self._ready: deque[str] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        #: messages whose last attempts a bug of ours ended, and how many
        self._trips: dict[str, int] = {}
        #: attempts whose outcome cannot be written
        self._stuck = 0
        self._said: tuple[int, int] | None = None  # nothing yet
        self._said_at = 0.0
        self._rung = asyncio.Event()
        self._there.recover()
        self._lineage = Lineage(folder.ids())
        for message in self._lineage.first():
            if message in self._there.known:
                self._ready.append(message)
            else:
                self._there.wake([message])

    @property
    def busy(self) -> Set[str]:
        """Messages in an attempt, or put off a moment ago."""
        return self._there.busy

    def is_tried(self, message: str) -> bool:
        """True while an attempt at a message is under way: it may be delivered at any instant."""
        return self._there.is_tried(message)

    def wake(self, messages: Sequence[str] = ("",)) -> None:
        """These messages came in (a name with a slash is none); "" = look for yourself, none = queue.db was changed."""
        self._there.wake(messages)
        self._rung.set()

    def write_down(self, message: str) -> None:
        """Make rows for a message that waits for its first attempt, so that an operator can decide about it. Raises
        Deferred, Damaged, OSError."""
        self._there.write_down(message)

    def drop(self, message: str) -> None:
        """Take out a message of which no attempt is under way; nobody gets it. Raises OSError, Deferred."""
        self._there.drop(message)
        self.steps.destinations.came(message)

    def look(self) -> None:
        """Find files that came in without notice, and make rows for the first of them. Raises Deferred, OSError."""
        self._there.look()
        self._there.read_found()

    # when

    async def work(self) -> float | None:
        """Attempt everything that is due; seconds until something is due again, None = nothing waits."""
        self.look()
        while self._there.found:
            self._there.read_found()
        self._take_up()
        while self._tasks:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            self._take_up()
        self._there.forget()
        return self._pause()

    async def serve(self, stop: asyncio.Event) -> None:
        """Work until `stop`, then let what is under way end."""
        self._rung = asyncio.Event()  # of this loop
        stopped = asyncio.ensure_future(stop.wait())
        stopped.add_done_callback(lambda _: self._rung.set())
        while not stop.is_set():
            self._rung.clear()
            self._say_status()
            try:
                if self._there.may_look():
                    self._there.look()
                self._there.begin_found()
                if self._there.found:
                    self._there.read_found()
                self._take_up()
                self._there.tidy()
                pause = self._pause()
            except (Deferred, OSError) as error:  # queue.db or the queue's folder: it passes, and nobody else goes on
                self._there.say_trouble(error)
                await asyncio.wait((stopped,), timeout=TROUBLE_SECONDS)
                continue
            if self._there.found:
                await asyncio.sleep(0)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(LOOK_SECONDS if pause is None else pause, LOOK_SECONDS)):
                    await self._rung.wait()
        if self._tasks:
            await asyncio.wait(self._tasks)
        with contextlib.suppress(Deferred):  # rows of files that are gone are found by the next runner
            self._there.forget()

    def _say_status(self) -> None:
        """How much is under way, when that changed, as qmail-send says it; once a second at most."""
        now, status = time.monotonic(), (self.steps.local, self.steps.remote)
        if status != self._said and (now - self._said_at >= 1.0 or not any(status)):
            self._said, self._said_at = status, now
            _log.info("%s", self.steps.status())

    def cancel(self) -> None:
        """End attempts that did not end by themselves; the next runner repeats them."""
        for task in self._tasks:
            task.cancel()

    def _pause(self) -> float | None:
        """Seconds until something is to be done, None where whoever comes or ends rings."""
        is_full = len(self._tasks) >= self._settings.active_max
        due = NEVER if is_full else max(0.05, self._there.due_at - self._clock())
        if self._stuck or self._there.gone or self._there.later:
            due = min(due, TROUBLE_SECONDS, TIDY_SECONDS)
        if self._there.wants_look:
            due = min(due, LOOK_AGAIN_SECONDS)
        return None if due == NEVER else due

    def _take_up(self) -> None:
        """Begin attempts at what came in and what is due, as many as may be under way."""
        if not self._tasks:
            self._there.write_later()
        # while outcomes cannot be written nothing more is tried: it might have to be repeated
        while len(self._tasks) < self._settings.active_max and not self._stuck:
            message = self._following()
            if message is None:
                return
            self._there.busy.add(message)
            task = asyncio.ensure_future(self._one(message))
            self._tasks.add(task)
            task.add_done_callback(lambda done, message=message: self._ended(message, done))  # type: ignore[misc]

    def _following(self) -> str | None:
        """The message that is tried next: what came in and what is due in turn."""
        if not self._ready and self._clock() >= self._there.due_at:
            self._find_due()
        while self._there.new or self._ready:
            self._turn = not self._turn
            some = self._ready if self._ready and (self._turn or not self._there.new) else self._there.new
            message = some.popleft()
            if message in self.busy or not (some is self._ready or message in self._there.unwritten):
                continue
            if not self._lineage.keeps(message):
                return message
        return None

    _turn = False

    def _find_due(self) -> None:
        now, most = self._clock(), BATCH + len(self.busy)
        found = [*self._state.owing(now, BATCH), *self._state.due(now, most)]
        self._ready.extend(
            message for message in dict.fromkeys(found) if message not in self.busy and not self._lineage.keeps(message)
        )
        if not self._ready:
            following = self._state.next_due(now)
            self._there.due_at = NEVER if following is None else following

    def _ended(self, message: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._ready.extend(self._lineage.tried(message))
        self._rung.set()

    def _called(self, message: str) -> bool:
        """There is room again at the destination that turned this message away; False = it is not here, or tried."""
        if self._there.later.pop(message, None) is not None:
            self._there.busy.discard(message)
        if message not in self._there.known or message in self.busy:
            return False
        self._early.add(message)
        self._ready.appendleft(message)
        self._rung.set()
        return True

    async def _one(self, message: str) -> None:
        try:
            try:
                await self._attempt(message)
            except Newer:
                raise
            except Damaged as error:
                self._there.hold_damaged(message, str(error))
        except (Deferred, OSError, Newer) as error:  # queue.db, the folder, a file of a later version
            self._there.say_trouble(error, message)
            await asyncio.sleep(TROUBLE_SECONDS)
            if message in self._there.unwritten:  # the next look finds it again
                self._there.unwritten.discard(message)
                self._there.known.discard(message)
                return
            with contextlib.suppress(Deferred):  # what stays claimed is found by the next look
                self._postpone(message, error)
                self._there.owe_later(message, DEBT_SECONDS)
        except Exception as error:
            # one message that trips us must not stop the others, nor be tried in a circle
            maillog.bug(where=f"queue {message}")
            with contextlib.suppress(Deferred):
                self._tripped(message, error)
        else:
            self._trips.pop(message, None)
        finally:
            # in the last step of the attempt: when `_ended` is called, the next one may be under way
            if message not in self._there.later:
                self._there.busy.discard(message)

    def _tripped(self, message: str, error: Exception) -> None:
        """A bug of ours ended an attempt: it is tried again, each time later, and in the end held. Raises Deferred."""
        trips = self._trips[message] = self._trips.pop(message, 0) + 1
        if len(self._trips) > TRIPS_MAX:
            del self._trips[next(iter(self._trips))]
        self._there.make_rows(message)
        what = f"a bug in Gatepost, {type(error).__name__} (event=bug in the log)"
        if trips < BUGS_MAX:
            self._postpone(message, Deferred(Condition.BUG, what), trips)
            self._there.owe_later(message, self._attempts.wait(trips))
            return
        del self._trips[message]
        _log.error("%s", fields(id=message, event="held", detail=what))
        self._state.hold(message, f"held after {trips} attempts that ended with {what}")

    async def _written(self, message: str, change: Callable[[], None], *, removes: bool = False) -> None:
        """What is known of a message, on disk on return; with `removes` its file goes behind that. While it cannot be
        written it is kept here, and nothing more is begun."""
        is_stuck = False
        try:
            while True:
                try:
                    await self._ledger.write(change, then=(lambda: self._folder.remove(message)) if removes else None)
                except Deferred as error:
                    self._there.say_trouble(error, message)
                    if not is_stuck:
                        is_stuck = True
                        self._stuck += 1
                    await asyncio.sleep(TROUBLE_SECONDS)
                    continue
                except OSError as error:  # written down, and the file is still there
                    self._there.say_trouble(error, message)
                    self._there.left_over.add(message)
                    return
                break
        finally:
            self._stuck -= is_stuck
        if removes:
            self._there.gone.append(message)

    # an attempt

    async def _attempt(self, message: str) -> None:
        now = self._clock()
        # one that was called is tried although it is due only when it would have come by itself
        horizon = now + self._settings.destination_pause if message in self._early else now
        self._early.discard(message)
        self.steps.destinations.came(message)
        try:
            queued = self._folder.open(message)
        except FileNotFoundError:
            self._there.gone.append(message)
            return
        envelope, is_first = queued.envelope, message in self._there.unwritten
        if is_first:
            if envelope.not_before > now:
                self._there.put_off(message, envelope.not_before, "", envelope)
                return
            rows = [TargetRow(number, WAITING, 0, now, "") for number in range(len(envelope.targets))]
        else:
            rows = self._state.targets(message)
            # it could not be read when it came
            if len(rows) < len(envelope.targets) or rows[0].owner != envelope.owner:
                self._there.add_rows(message, envelope, now)
                rows = self._state.targets(message)
        if any(row.owed for row in rows):
            # told by itself: a report has its name from what it tells, and may be there already
            with contextlib.suppress(Exception):  # stops no delivery, comes again behind it and is said there
                if await self._settle(message, queued):
                    return
                rows = self._state.targets(message)
        if self.stopped.concerns(envelope):
            if is_first:
                self._there.add_rows(message, envelope, now)
                is_first = False
            self.stopped.hold_one(envelope, rows)
            rows = self._state.targets(message)
        due = [row for row in rows if row.state == WAITING and row.due <= horizon]
        if due:
            # also of a first attempt: one before it may have been cut off behind a delivery, and has no rows then
            finished = self._state.done_keys(message)
            plan = self._attempts.plan(due, envelope, finished, now)
            try:
                plan.seats = self._attempts.seats(plan, rows, envelope, now)
            except NotNow as error:
                self._there.put_off(message, error.until, str(error), envelope if is_first else None)
                if isinstance(error, Crowded):
                    self.steps.destinations.turn_away(error.key, message)
                return
            try:
                if is_first:
                    due = [replace(row, state=TRYING, attempts=1) for row in due]
                else:
                    due = await self._ledger.write(lambda: self._state.claim(message, horizon), durable=False)
                    due = [row for row in due if row.number in plan.of or row.number in plan.problems]
                if await self._try(message, queued, plan, due, is_first=is_first):
                    return
            finally:
                for seat in plan.seats.values():
                    seat.leave()
        await self._settle(message, queued)

    async def _try(
        self, message: str, queued: QueuedMessage, plan: AttemptPlan, rows: Sequence[TargetRow], *, is_first: bool
    ) -> bool:
        """The attempt itself, its outcome on disk on return; True when the message is finished and gone."""
        envelope = queued.envelope

        async def done(keys: Sequence[str]) -> None:
            await self._written(message, lambda: self._state.step_done(message, keys))

        outcomes = await self.steps.run(queued, plan.ways, done, plan.seats)
        after = self._attempts.conclude(plan, rows, envelope, outcomes, self._clock())
        for row in after.tried:
            address = envelope.targets[row.number].address
            maillog.attempted(id=message, recipient=address, state=row.state, reply=row.reply)
        self.stopped.note(envelope, sum(row.state == FAILED for row in after.tried))
        is_over = len(after.tried) == len(envelope.targets) and all(row.is_final for row in after.tried)

        def record() -> None:
            write = partial(self._state.record_first, message, envelope.owner) if is_first else partial(
                self._state.record, message
            )  # fmt: skip
            if after.untried:
                write(after.untried, back=1)
            write(after.tried, done=after.keys)

        await self._written(message, record, removes=is_over)
        self._there.unwritten.discard(message)
        for row in (*after.untried, *after.tried):
            if row.state == WAITING or row.owed:
                self._there.expect(row.due)
        return is_over

    # what follows

    def _postpone(self, message: str, error: Exception, times: int = 0) -> None:
        """An attempt that came to nothing at all, `times` in a row."""
        now = self._clock()
        rows = [
            row
            for row in self._state.targets(message)
            if row.state == TRYING or (row.state == WAITING and row.due <= now)
        ]
        after = [
            replace(row, state=WAITING, due=now + self._attempts.wait(max(row.attempts, times)), reply=str(error))
            for row in rows
        ]
        self._state.record(message, after)
        for row in after:
            self._there.expect(row.due)

    async def _settle(self, message: str, queued: QueuedMessage) -> bool:
        """Make the reports that are owed; remove what is finished: True when it is. Raises Deferred."""
        envelope, rows = queued.envelope, self._state.targets(message)
        owed = [
            Result(envelope.targets[row.number], row.owed, row.outcome or Taken(), row.attempts)  # type: ignore[arg-type]
            for row in rows
            if row.owed
        ]
        if owed and self._clock() - envelope.began > DEBT_LIFETIMES * self._settings.lifetime:
            _log.error("%s", fields(id=message, event="report-given-up", detail=owed[0].target.address))
            self._state.hold(message, "nobody could be told: the report could not be made")
            return False
        if owed:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, self._reporter.report, envelope, owed, queued.content, self._clock())
        is_over = bool(rows) and all(row.state in (DONE, FAILED) for row in rows)
        if owed or is_over:
            await self._written(message, lambda: self._state.told(message), removes=is_over)
        return is_over
