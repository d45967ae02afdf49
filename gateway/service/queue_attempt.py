"""What an attempt at a queued message is to do, and what follows from its outcomes. Touches nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from directory.model import Condition, Deferred, Refused
from gateway.deliver.port import Outcome, Taken
from gateway.queue.destinations import Crowded, NotNow, Seat
from gateway.queue.file import QueuedEnvelope, Target
from gateway.queue.settings import QueueSettings
from gateway.queue.state import DONE, FAILED, WAITING, TargetRow
from gateway.route.plan import ListMail
from gateway.service.queue_steps import QueueSteps, StepOutcome, Untried, Way
from gateway.service.reporting import without_success


@dataclass(slots=True)
class AttemptPlan:
    """What an attempt is to do: ways by their keys, and the keys of each target, by its number."""

    ways: dict[str, Way] = field(default_factory=dict)
    of: dict[int, list[str]] = field(default_factory=dict)
    problems: dict[int, Deferred | Refused] = field(default_factory=dict)
    #: the right to wait for the one destination that all of it goes to
    seats: dict[str, Seat] = field(default_factory=dict)

    def outcomes_of(self, number: int, outcomes: Mapping[str, StepOutcome]) -> Sequence[StepOutcome]:
        """What became of the steps of one target."""
        problem = self.problems.get(number)
        return [problem] if problem is not None else [outcomes[key] for key in self.of[number] if key in outcomes]


@dataclass(slots=True)
class Conclusion:
    """The rows of targets behind an attempt: those that were tried, and those that were not; `keys` of steps that are
    delivered and must not be repeated when their targets are tried again."""

    tried: list[TargetRow] = field(default_factory=list)
    untried: list[TargetRow] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)


class Attempts:
    """Makes plans and draws conclusions."""

    def __init__(self, steps: QueueSteps, settings: QueueSettings) -> None:
        self._steps, self._settings = steps, settings

    def plan(self, rows: Sequence[TargetRow], envelope: QueuedEnvelope, finished: set[str], now: float) -> AttemptPlan:
        """Where everything that is due goes at this moment, but for steps that are finished."""
        plan = AttemptPlan()
        for row in rows:
            target = envelope.targets[row.number]
            path = envelope.path_of(target)
            try:
                steps = self._steps.of(target, path, now)
                mailing_list = self._steps.list_of(target.list, now)
            except (Deferred, Refused) as error:
                plan.problems[row.number] = error
                continue
            keys = plan.of[row.number] = []
            for step in steps:
                key = hashlib.sha256(step.target.encode()).hexdigest()[:24]
                keys.append(key)
                if key in finished or key in plan.ways:
                    continue
                own = path if step.return_path is None or not envelope.return_path else step.return_path
                if mailing_list is not None:
                    step = replace(step, mailing_list=mailing_list)
                spread = len(steps) > 1 or isinstance(step, ListMail) or bool(step.mailing_list and not target.list)
                plan.ways[key] = self._steps.way(step, own, _told_less(target) if spread else target)
        return plan

    def seats(
        self, plan: AttemptPlan, rows: Sequence[TargetRow], envelope: QueuedEnvelope, now: float
    ) -> dict[str, Seat]:
        """The seat in line where all ways lead to one destination, else none. Raises NotNow where nothing can be done
        because the destinations do not answer or are crowded. Asked before an attempt is claimed, because claims cost
        and a dead host may have many thousands of messages."""
        hops = {way.hop.key if way.hop is not None else "" for way in plan.ways.values()}
        if not hops or "" in hops or plan.problems or any(row.owed for row in rows):
            return {}
        destinations = self._steps.destinations
        # where the sender is to be told something, that a host does not answer counts as an attempt
        has_to_end = self._is_word_due(rows, envelope, now)
        if len(hops) == 1:
            (key,) = hops
            try:
                return {key: destinations.seat(key, now)}
            except Crowded:
                raise
            except NotNow:
                if has_to_end:
                    return {}
                raise
        silences = [silence for key in hops if (silence := destinations.silence(key, now)) is not None]
        if len(silences) == len(hops) and not has_to_end:
            raise min(silences, key=lambda each: each.until)
        return {}

    def _is_word_due(self, rows: Sequence[TargetRow], envelope: QueuedEnvelope, now: float) -> bool:
        """It is time to give up, or to tell the sender that it takes long."""
        age, late = now - envelope.began, self._settings.delay_warning
        return age > self._settings.lifetime or (bool(late) and age > late and not all(row.warned for row in rows))

    def conclude(
        self,
        plan: AttemptPlan,
        rows: Sequence[TargetRow],
        envelope: QueuedEnvelope,
        outcomes: Mapping[str, StepOutcome],
        now: float,
    ) -> Conclusion:
        """What follows for the targets that were claimed."""
        found = Conclusion()
        is_word_due = self._is_word_due(rows, envelope, now)
        for row in rows:
            own = [
                Deferred(Condition.REMOTE_DEFERRED, each.why)
                if isinstance(each, Untried) and each.is_silence and is_word_due
                else each
                for each in plan.outcomes_of(row.number, outcomes)
            ]
            waits = [each for each in own if isinstance(each, Untried)]
            told = [each for each in own if not isinstance(each, Untried)]
            if waits and not any(isinstance(each, Deferred) for each in told):
                until = min(each.until for each in waits)
                after = replace(row, state=WAITING, due=until, reply=waits[0].why)
                found.untried.append(after)
            else:
                after = self._after(row, envelope, told, now, is_one=len(plan.of.get(row.number, ())) < 2)
                found.tried.append(after)
            if after.state == WAITING:
                found.keys.update(key for key in plan.of.get(row.number, ()) if isinstance(outcomes.get(key), Taken))
        return found

    def _after(
        self, row: TargetRow, envelope: QueuedEnvelope, outcomes: Sequence[Outcome], now: float, *, is_one: bool
    ) -> TargetRow:
        """The row of a target behind an attempt."""
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
                due=now + self.wait(row.attempts),
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

    def wait(self, attempts: int) -> float:
        """The pause behind the `attempts`th attempt."""
        first, factor = self._settings.retry_first, self._settings.retry_factor
        return min(first * factor ** min(max(attempts - 1, 0), 60), self._settings.retry_max)


def _told_less(target: Target) -> Target:
    """What a next host is asked of one of several behind an address: its success was told already (RFC 3461 5.2.7)."""
    return msgspec.structs.replace(target, notify=without_success(target.notify))
