"""Queued mail of accounts that may not send: held where it leaves this host, until an operator decides about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from directory.model import Deferred, Refused
from gateway.observe import maillog
from gateway.queue.file import Damaged, QueuedEnvelope, QueueFolder
from gateway.queue.state import DONE, STOPPED_REPLY, WAITING, QueueState, TargetRow
from gateway.route.plan import Remote
from gateway.service.queue_inventory import QueueInventory
from gateway.service.queue_steps import QueueSteps


class Watch(Protocol):
    """Knows which accounts may not send, and is told what of their mail fails."""

    def is_stopped(self, account: str) -> bool: ...

    def failed(self, account: str, recipients: int) -> None: ...


class StoppedMail:
    """In the runner's event loop. Raises Deferred for trouble with queue.db."""

    def __init__(
        self,
        folder: QueueFolder,
        state: QueueState,
        steps: QueueSteps,
        there: QueueInventory,
        clock: Callable[[], float],
        watch: Watch | None,
    ) -> None:
        self._folder, self._state, self._steps = folder, state, steps
        self._there, self._clock, self.watch = there, clock, watch

    def concerns(self, envelope: QueuedEnvelope) -> bool:
        """Is it of an account that may not send?"""
        return self.watch is not None and bool(envelope.owner) and self.watch.is_stopped(envelope.owner)

    def note(self, envelope: QueuedEnvelope, failed: int) -> None:
        """So many of its recipients failed for good."""
        if failed and self.watch is not None and envelope.login:
            self.watch.failed(envelope.login, failed)

    def hold_one(self, envelope: QueuedEnvelope, rows: Sequence[TargetRow]) -> None:
        """Hold what a message that is about to be tried has waiting for other hosts."""
        leaving = self._leaving(envelope, rows)
        if leaving:
            held = self._state.hold_targets(envelope.id, leaving, STOPPED_REPLY)
            maillog.queue_changed(id=envelope.id, what="hold", targets=held, by="brake")

    def hold(self, messages: Sequence[str]) -> int:
        """The same of many messages of an owner who was stopped, in one commit; of how many. What is being tried now is
        held when it comes again."""
        leaving: dict[str, list[int]] = {}
        for message in messages:
            if message in self._there.busy:
                continue
            try:
                found = self._leaving(self._folder.read(message), self._state.targets(message))
            except (Damaged, OSError):
                continue  # damaged ones are held anyway
            if found:
                leaving[message] = found
        changes = [partial(self._state.hold_targets, *each, STOPPED_REPLY) for each in leaving.items()]
        return self._done(list(leaving), changes, "hold", "brake")

    def end(self, messages: Sequence[str], after: str, by: str) -> int:
        """What is held of these messages waits again (WAITING), or nobody gets it (DONE), in one commit; of how many."""
        now = self._clock()
        changes = [partial(self._state.end_hold, message, STOPPED_REPLY, after, now) for message in messages]
        ended = self._done(messages, changes, "release" if after == WAITING else "drop", by)
        for message in messages if after == DONE else ():
            if message not in self._there.busy and all(row.is_final for row in self._state.targets(message)):
                self._there.remove(message)
        return ended

    def _leaving(self, envelope: QueuedEnvelope, rows: Sequence[TargetRow]) -> list[int]:
        """The targets that wait for other hosts, by number."""
        leaving, now = [], self._clock()
        for row in rows:
            target = envelope.targets[row.number]
            try:
                steps = self._steps.of(target, envelope.path_of(target), now) if row.state == WAITING else ()
            except (Deferred, Refused):
                continue  # it goes nowhere now, and the next attempt asks again
            if any(isinstance(step, Remote) for step in steps):
                leaving.append(row.number)
        return leaving

    def _done(self, messages: Sequence[str], changes: Sequence[Callable[[], int]], what: str, by: str) -> int:
        changed = 0
        for message, result in zip(messages, self._state.together(changes, durable=True), strict=True):
            if isinstance(result, Exception):
                raise result
            if result:
                changed += 1
                maillog.queue_changed(id=message, what=what, targets=result, by=by)
        return changed
