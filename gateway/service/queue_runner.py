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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
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
from gateway.queue.state import DONE, FAILED, TRYING, WAITING, Arrived, QueueState, TargetRow
from gateway.service.queue_attempt import AttemptPlan, Attempts
from gateway.service.queue_steps import QueueSteps
from gateway.service.reporting import Result

LOOK_SECONDS = 60.0  # a lost wake-up costs this much
LOOK_AGAIN_SECONDS = 0.2  # between looks that somebody wants
LOOK_SHARE = 20.0  # and so many times as long as the last one took
TROUBLE_SECONDS = 1.0  # until queue.db or the queue's folder is asked again
TIDY_SECONDS = 1.0  # rows of files that are gone stay no longer than this without need
DEBT_SECONDS = 60.0  # until a report that could not be made is tried again
DEBT_LIFETIMES = 2.0  # so many times queue.lifetime after it began, what cannot be reported is held
BATCH = 1000  # messages that are noted in one transaction
NEW_MAX = 1000  # messages that came in and of which nothing is written yet
READ_AT_ONCE = 200  # files that a look found are read without letting others work
_log = logging.getLogger("gatepost.queue")
NEVER = float("inf")


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


@dataclass(slots=True)
class _Later:
    """A message that is put off and not written down yet: until when and why, and the envelope of one without rows."""

    until: float
    why: str
    envelope: QueuedEnvelope | None


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
        self._attempts = Attempts(steps, settings)
        self._ledger = Ledger(state)
        steps.destinations.call = self._called
        #: every message that is in hand or has rows
        self._known: set[str] = set()
        #: of these, those without rows: they came in, and their first attempt has not ended
        self._unwritten: set[str] = set()
        #: of these, those that are not begun
        self._new: deque[str] = deque()
        #: files that a look found and nobody has read
        self._found: deque[str] = deque()
        #: what is put off and not written down yet
        self._later: dict[str, _Later] = {}
        #: messages whose destination called them before they are due again
        self._early: set[str] = set()
        #: found due and not begun
        self._ready: deque[str] = deque()
        self._wants_look, self._looked, self._look_costs = True, float("-inf"), 0.0
        self._is_serving = False
        self._gone: list[str] = []
        self._tidied = 0.0
        #: finished, but the file could not be removed
        self._left_over: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        #: attempts whose outcome cannot be written
        self._stuck = 0
        #: when queue.db may have something that is due and not in hand
        self._due_at = 0.0
        self._said: tuple[int, int] | None = None  # nothing yet
        self._said_at = 0.0
        self._rung = asyncio.Event()
        #: messages in an attempt, or put off without being written down
        self.busy: set[str] = set()
        state.recover(self._clock())
        self._known.update(state.messages())
        for message in state.finished():
            self._remove(message)

    # what is there

    def look(self) -> None:
        """Find files that came in without notice, and read the first of them; drop rows whose file is gone."""
        self._look()
        self._read_found()

    def _look(self) -> None:
        began = time.monotonic()
        present = self._folder.ids()
        for message in self._state.claimed():
            if message not in self.busy:  # its outcome could not be written
                self._state.change(message, TRYING, WAITING, self._clock())
        for message in sorted(self._left_over & present - self.busy):
            self._left_over.discard(message)
            self._remove(message)
        self._found = deque(present - self._known)
        self._gone.extend(self._known - present - self.busy)
        self._forget()
        self._due_at, self._wants_look = 0.0, False
        self._looked, self._look_costs = time.monotonic(), time.monotonic() - began

    def _may_look(self) -> bool:
        """A long look is not repeated at once."""
        wait = max(self._look_costs * LOOK_SHARE, LOOK_AGAIN_SECONDS) if self._wants_look else LOOK_SECONDS
        return time.monotonic() - self._looked >= wait

    def _read_found(self) -> None:
        """Begin with files that a look found, as far as there is room; make rows for some of the others."""
        while self._found and len(self._new) < NEW_MAX and self._is_serving:
            self.wake([self._found.popleft()])
        some = [self._found.popleft() for _ in range(min(READ_AT_ONCE, len(self._found)))]
        try:
            self._came(some)
        except Deferred:
            self._wants_look = True
            raise

    def _came(self, messages: Iterable[str]) -> None:
        """Make rows for these files. What cannot be read now is looked at again; a damaged one is held."""
        arrived: list[Arrived] = []
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
                arrived.append(Arrived(message, 1, now))
                continue
            due = max(now, envelope.not_before)
            arrived.append(Arrived(message, len(envelope.targets), due, owner=envelope.owner))
        if arrived:
            self._state.add(arrived)
            self._known.update(each.message for each in arrived)
            self._expect(min(each.due for each in arrived))
        for message, why in damaged.items():
            self._hold_damaged(message, why)

    def _hold_damaged(self, message: str, why: str) -> None:
        _log.error("%s", fields(id=message, event="queue-file-damaged", detail=why))
        self._make_rows(message)
        self._state.hold(message, f"damaged: {why}")

    def _make_rows(self, message: str) -> None:
        """A row for a message that has none; what it has more of targets is found when it is read."""
        if message in self._unwritten:
            self._state.add([Arrived(message, 1, self._clock())])
            self._unwritten.discard(message)

    def _tidy(self) -> None:
        """Write down what may wait for others of its kind, but not for long."""
        if max(len(self._gone), len(self._later)) >= BATCH or time.monotonic() - self._tidied >= TIDY_SECONDS:
            self._tidied = time.monotonic()
            self._put_off()
            self._forget()

    def _forget(self) -> None:
        if self._gone:
            self._state.forget(self._gone)
            self._known.difference_update(self._gone)
            self._unwritten.difference_update(self._gone)
            self._gone = []

    def wake(self, messages: Sequence[str] = ("",)) -> None:
        """These messages came in (a name with a slash is none); "" = look for yourself, none = queue.db was changed."""
        for message in messages:
            if not message or (message not in self._known and len(self._new) >= NEW_MAX):
                self._wants_look = True
            elif "/" not in message and message not in self._known:
                self._known.add(message)
                self._unwritten.add(message)
                self._new.append(message)
        if not messages:
            self._due_at = 0.0
        self._rung.set()

    def write_down(self, message: str) -> None:
        """Make rows for a message that waits for its first attempt, so that an operator can decide about it. Raises
        Deferred, Damaged, OSError."""
        if message in self._unwritten and message not in self.busy:
            envelope = self._folder.read(message)
            self._state.add([Arrived(message, len(envelope.targets), self._clock(), owner=envelope.owner)])
            self._unwritten.discard(message)

    # when

    async def work(self) -> float | None:
        """Attempt everything that is due; seconds until something is due again, None = nothing waits."""
        self.look()
        while self._found:
            self._read_found()
        self._take_up()
        while self._tasks:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            self._take_up()
        self._forget()
        return self._pause()

    async def serve(self, stop: asyncio.Event) -> None:
        """Work until `stop`, then let what is under way end."""
        self._rung = asyncio.Event()  # of this loop
        stopped = asyncio.ensure_future(stop.wait())
        stopped.add_done_callback(lambda _: self._rung.set())
        self._is_serving = True
        while not stop.is_set():
            self._rung.clear()
            self._say_status()
            try:
                if self._may_look():
                    self._look()
                if self._found:
                    self._read_found()
                self._take_up()
                self._tidy()
                pause = self._pause()
            except (Deferred, OSError) as error:  # queue.db or the queue's folder: it passes, and nobody else goes on
                self._say_trouble(error)
                await asyncio.wait((stopped,), timeout=TROUBLE_SECONDS)
                continue
            if self._found:
                await asyncio.sleep(0)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(LOOK_SECONDS if pause is None else pause, LOOK_SECONDS)):
                    await self._rung.wait()
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
        return message in self.busy and message not in self._later

    def cancel(self) -> None:
        """End attempts that did not end by themselves; the next runner repeats them."""
        for task in self._tasks:
            task.cancel()

    def _expect(self, due: float) -> None:
        """Something in queue.db is due then."""
        self._due_at = min(self._due_at, due)

    def _pause(self) -> float | None:
        """Seconds until something is to be done, None where whoever comes or ends rings."""
        is_full = len(self._tasks) >= self._settings.active_max
        due = NEVER if is_full else max(0.05, self._due_at - self._clock())
        if self._stuck or self._gone or self._later:
            due = min(due, TROUBLE_SECONDS, TIDY_SECONDS)
        if self._wants_look:
            due = min(due, LOOK_AGAIN_SECONDS)
        return None if due == NEVER else due

    def _take_up(self) -> None:
        """Begin attempts at what came in and what is due, as many as may be under way."""
        if not self._tasks:
            self._put_off()
        # while outcomes cannot be written nothing more is tried: it might have to be repeated
        while len(self._tasks) < self._settings.active_max and not self._stuck:
            message = self._following()
            if message is None:
                return
            self.busy.add(message)
            task = asyncio.ensure_future(self._one(message))
            self._tasks.add(task)
            task.add_done_callback(lambda done, message=message: self._ended(message, done))  # type: ignore[misc]

    def _following(self) -> str | None:
        """The message that is tried next: what came in and what is due in turn."""
        if not self._ready and self._clock() >= self._due_at:
            self._find_due()
        while self._new or self._ready:
            self._turn = not self._turn
            some = self._ready if self._ready and (self._turn or not self._new) else self._new
            message = some.popleft()
            if message not in self.busy and (some is self._ready or message in self._unwritten):
                return message
        return None

    _turn = False

    def _find_due(self) -> None:
        now, most = self._clock(), BATCH + len(self.busy)
        found = [*self._state.owing(now, BATCH), *self._state.due(now, most)]
        self._ready.extend(message for message in dict.fromkeys(found) if message not in self.busy)
        if not self._ready:
            following = self._state.next_due(now)
            self._due_at = NEVER if following is None else following

    def _ended(self, message: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if message not in self._later:
            self.busy.discard(message)
        self._rung.set()

    def _called(self, message: str) -> None:
        """There is room again at the destination that turned this message away."""
        if self._later.pop(message, None) is not None:
            self.busy.discard(message)
        if message in self._known and message not in self.busy:
            self._early.add(message)
            self._ready.appendleft(message)
            self._rung.set()

    def _put_off(self) -> None:
        """Write down what was put off, many at a time."""
        if not self._later:
            return
        new = [
            Arrived(message, len(each.envelope.targets), each.until, each.why, each.envelope.owner)
            for message, each in self._later.items()
            if each.envelope is not None
        ]
        old = [(message, each.until, each.why) for message, each in self._later.items() if each.envelope is None]
        if new:
            self._state.add(new)
            self._unwritten.difference_update(each.message for each in new)
        if old:
            self._state.postpone(old, self._clock())
        self._expect(min(each.until for each in self._later.values()))
        self.busy.difference_update(self._later)
        self._later = {}

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
            if message in self._unwritten:  # the next look finds it again
                self._unwritten.discard(message)
                self._known.discard(message)
                return
            with contextlib.suppress(Deferred):  # what stays claimed is found by the next look
                self._postpone(message, error)
                self._owe_later(message, DEBT_SECONDS)
        except Exception:
            # one message that trips us must not stop the others, nor be tried in a circle
            maillog.bug(where=f"queue {message}")
            with contextlib.suppress(Deferred):
                self._make_rows(message)
                self._postpone(message, Deferred(Condition.BUG))
                self._owe_later(message, self._settings.retry_first)

    async def _written(self, message: str, change: Callable[[], None], *, removes: bool = False) -> None:
        """What is known of a message, on disk on return; with `removes` its file goes behind that. While it cannot be
        written it is kept here, and nothing more is begun."""
        is_stuck = False
        try:
            while True:
                try:
                    await self._ledger.write(change, then=(lambda: self._folder.remove(message)) if removes else None)
                except Deferred as error:
                    self._say_trouble(error, message)
                    if not is_stuck:
                        is_stuck = True
                        self._stuck += 1
                    await asyncio.sleep(TROUBLE_SECONDS)
                    continue
                except OSError as error:  # written down, and the file is still there
                    self._say_trouble(error, message)
                    self._left_over.add(message)
                    return
                break
        finally:
            self._stuck -= is_stuck
        if removes:
            self._gone.append(message)

    # an attempt

    async def _attempt(self, message: str) -> None:
        now = self._clock()
        # one that was called is tried although it is due only when it would have come by itself
        horizon = now + self._settings.destination_pause if message in self._early else now
        self._early.discard(message)
        try:
            queued = self._folder.open(message)
        except FileNotFoundError:
            self._gone.append(message)
            return
        envelope, is_first = queued.envelope, message in self._unwritten
        if is_first:
            if envelope.not_before > now:
                self._later[message] = _Later(envelope.not_before, "", envelope)
                return
            rows = [TargetRow(number, WAITING, 0, now, "") for number in range(len(envelope.targets))]
        else:
            rows = self._state.targets(message)
            if len(rows) < len(envelope.targets):  # it could not be read when it came
                self._state.add([Arrived(message, len(envelope.targets), now, owner=envelope.owner)])
                rows = self._state.targets(message)
        due = [row for row in rows if row.state == WAITING and row.due <= horizon]
        if due:
            finished = set() if is_first else self._state.done_keys(message)
            plan = self._attempts.plan(due, envelope, finished, now)
            try:
                plan.seats = self._attempts.seats(plan, rows, envelope, now)
            except NotNow as error:
                self._later[message] = _Later(error.until, str(error), envelope if is_first else None)
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
        is_over = len(after.tried) == len(envelope.targets) and all(row.is_final for row in after.tried)

        def record() -> None:
            write = partial(self._state.record_first, message, envelope.owner) if is_first else partial(
                self._state.record, message
            )  # fmt: skip
            if after.untried:
                write(after.untried, back=1)
            write(after.tried, done=after.keys)

        await self._written(message, record, removes=is_over)
        self._unwritten.discard(message)
        for row in (*after.untried, *after.tried):
            if row.state == WAITING or row.owed:
                self._expect(row.due)
        return is_over

    # what follows

    def _postpone(self, message: str, error: Exception) -> None:
        """An attempt that came to nothing at all."""
        now = self._clock()
        rows = [
            row
            for row in self._state.targets(message)
            if row.state == TRYING or (row.state == WAITING and row.due <= now)
        ]
        after = [
            replace(row, state=WAITING, due=now + self._attempts.wait(row.attempts), reply=str(error)) for row in rows
        ]
        self._state.record(message, after)
        for row in after:
            self._expect(row.due)

    def _owe_later(self, message: str, seconds: float) -> None:
        """The reports that it owes are made then."""
        due = self._clock() + seconds
        self._state.owe_later(message, due)
        self._expect(due)

    async def _settle(self, message: str, queued: QueuedMessage) -> None:
        """Make the reports that are owed; remove what is finished. Raises Deferred."""
        envelope, rows = queued.envelope, self._state.targets(message)
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
            await loop.run_in_executor(None, self._reporter.report, envelope, owed, queued.content, self._clock())
        is_over = bool(rows) and all(row.state in (DONE, FAILED) for row in rows)
        if owed or is_over:
            await self._written(message, lambda: self._state.told(message), removes=is_over)

    def _remove(self, message: str) -> None:
        """The file of a finished message; its rows go with the next batch. One that stays is tried again at a look."""
        try:
            self._folder.remove(message)
        except OSError as error:
            self._say_trouble(error, message)
            self._left_over.add(message)
        else:
            self._gone.append(message)
