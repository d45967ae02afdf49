"""What an operator does with queued messages: the control verbs behind `gatepost queue`, in the runner's process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, TypeAlias, TypeVar

import msgspec

from directory.model import Deferred, Refused
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.observe import maillog
from gateway.queue.file import Damaged, QueuedEnvelope, QueueFolder, Target
from gateway.queue.settings import QueueSettings
from gateway.queue.state import HELD, TRYING, WAITING, QueueState, TargetRow
from gateway.service.queue_runner import QueueRunner

ANSWER_SECONDS = 30.0
T = TypeVar("T")
What: TypeAlias = Literal["hold", "release", "retry"]


class OneMessage(msgspec.Struct, forbid_unknown_fields=True):
    """The message of that id."""

    message: str


class Change(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be done with one message; with all of them where there is no id (retry and release only)."""

    what: What
    message: str = ""


class QueueVerbs:
    """The verbs' functions; they run in threads and do their work in the runner's loop."""

    def __init__(
        self,
        runner: QueueRunner,
        folder: QueueFolder,
        state: QueueState,
        settings: QueueSettings,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._runner, self._folder, self._state, self._settings, self._loop = runner, folder, state, settings, loop

    def verbs(self) -> Mapping[str, Verb]:
        """The rows of the table."""
        return {
            "queue-now": Verb(Right.OPERATE, lambda caller, wanted: self._in_loop(self._now)),
            "queue-change": Verb(Right.OPERATE, self._change, Change),
            "queue-drop": Verb(Right.OPERATE, self._drop, OneMessage),
            "queue-explain": Verb(Right.OPERATE, lambda caller, wanted: self.explained(wanted.message), OneMessage),
        }

    def _in_loop(self, work: Callable[[], T]) -> T:
        async def run() -> T:
            return work()

        waiting: Awaitable[T] = run()
        try:
            return asyncio.run_coroutine_threadsafe(waiting, self._loop).result(ANSWER_SECONDS)  # type: ignore[arg-type]
        except TimeoutError:
            raise VerbError("the queue runner is busy, try again", 4) from None

    def _now(self) -> dict[str, Any]:
        steps = self._runner.steps
        return {
            "local": steps.local,
            "concurrency_local": self._settings.concurrency_local,
            "remote": steps.remote,
            "concurrency_remote": self._settings.concurrency_remote,
            "destinations": steps.destinations.told(),
        }

    def _check(self, message: str) -> None:
        """Raise VerbError for a message that is not there or is being tried."""
        if message in self._runner.busy:
            raise VerbError(f"{message} is being tried at this moment, try again", 4)
        self._write_down(message)
        if not self._state.targets(message):
            raise VerbError(f"no message {message} in the queue", 1)

    def _write_down(self, message: str) -> None:
        try:
            self._runner.write_down(message)
        except FileNotFoundError:
            pass  # it will be said what is not there
        except (Damaged, OSError) as error:
            raise VerbError(f"{message}: {error}", 1) from None

    def change(self, what: What, message: str, by: str) -> int:
        """How many targets were changed, of one message or (retry, release) of all. Raises VerbError, Deferred."""

        def change() -> int:
            now = time.time()
            if message:
                self._check(message)
            elif what == "hold":
                raise VerbError("hold needs the id of a message", 2)
            if what == "retry":
                self._runner.steps.destinations.forget()
            before, after = {
                "hold": (WAITING, HELD),
                "release": (HELD, WAITING),
                "retry": (WAITING, WAITING),
            }[what]
            due = max(now, self.envelope(message).not_before) if message and what == "release" else now
            number = self._state.change(message or None, before, after, due)
            self._runner.wake([])
            return number

        number = self._in_loop(change)
        maillog.queue_changed(id=message, what=what, targets=number, by=by)
        return number

    def drop(self, message: str, by: str) -> int:
        """Throw a message away; how many targets it had. Raises VerbError, Deferred."""

        def drop() -> int:
            self._check(message)
            number = len(self._state.targets(message))
            try:
                self._runner.drop(message)
            except OSError as error:
                raise VerbError(f"{message}: {error}", 4) from None
            return number

        number = self._in_loop(drop)
        maillog.queue_changed(id=message, what="drop", targets=number, by=by)
        return number

    def explained(self, message: str) -> dict[str, Any]:
        """Everything about one message but its contents. Raises VerbError, Deferred."""

        def explain() -> dict[str, Any]:
            envelope = self.envelope(message)
            now = time.time()
            # in its first attempt a message has no rows
            rows = self._state.targets(message) or [
                TargetRow(number, TRYING, 1, now, "") for number in range(len(envelope.targets))
            ]
            return {
                "message": message,
                "return_path": envelope.return_path,
                "is_tried_now": message in self._runner.busy,
                "given_up": envelope.began + self._settings.lifetime,
                "targets": [
                    {
                        "number": row.number,
                        "address": envelope.targets[row.number].address,
                        "state": row.state,
                        "attempts": row.attempts,
                        "due": row.due,
                        "reply": row.reply,
                        "owed": row.owed,
                        "steps": self._told(envelope, envelope.targets[row.number], now),
                    }
                    for row in rows
                ],
            }

        return self._in_loop(explain)

    def envelope(self, message: str) -> QueuedEnvelope:
        """Of one message, written down in `queue.db` where it was not yet; in the runner's loop. Raises VerbError."""
        self._write_down(message)
        try:
            return self._folder.read(message)
        except FileNotFoundError:
            raise VerbError(f"no message {message} in the queue", 1) from None
        except (Damaged, OSError) as error:
            raise VerbError(f"{message}: {error}", 1) from None

    def _change(self, caller: Caller, wanted: Change) -> dict[str, Any]:
        number = self.change(wanted.what, wanted.message, f"uid {caller.uid}")
        return {"what": wanted.what, "message": wanted.message, "targets": number}

    def _drop(self, caller: Caller, wanted: OneMessage) -> dict[str, Any]:
        number = self.drop(wanted.message, f"uid {caller.uid}")
        return {"what": "drop", "message": wanted.message, "targets": number}

    def _told(self, envelope: QueuedEnvelope, target: Target, now: float) -> list[str]:
        """Where a target would go at this moment."""
        path = envelope.path_of(target)
        try:
            return self._runner.steps.told(self._runner.steps.of(target, path, now), path, now)
        except (Deferred, Refused) as error:
            return [f"{error.condition.code} {error.status} {error.text} ({error})"]
