"""Runs dialogues of a pure core: writes what they yield, executes what they ask."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Protocol

from directory.model import Condition, Deferred, Refused
from gateway.ask import Ask, Dialogue
from gateway.observe import maillog


class Executor(Protocol):
    """Executes a core's requests."""

    def execute(self, request: object) -> object:
        """The answer, or an awaitable of it. Raises Deferred, Refused."""
        ...


class Upgrade:
    """What an executor answers to a protocol's StartTls: the connection turns to TLS, the core gets None."""


UPGRADE = Upgrade()


async def run_dialogue(
    dialogue: Dialogue,
    executor: Executor,
    write: Callable[[bytes], None],
    flush: Callable[[], None],
    upgrade: Callable[[], None] | None = None,
) -> None:
    """Run one dialogue to its end. `flush` is called before anything that waits.

    `upgrade` turns the connection to TLS; it is called, everything flushed, when the executor answers UPGRADE.
    """
    answer: object = None
    error: BaseException | None = None
    while True:
        try:
            if error is not None:
                thrown, error = error, None
                step = dialogue.throw(thrown)
            else:
                step = dialogue.send(answer)
        except StopIteration:
            return
        answer = None
        if not isinstance(step, Ask):
            write(step)
            continue
        try:
            answer = executor.execute(step.request)
            if inspect.isawaitable(answer):
                flush()
                answer = await answer
            if isinstance(answer, Upgrade):
                if upgrade is None:
                    raise RuntimeError("this connection cannot be upgraded")
                flush()
                upgrade()
                answer = None
        except (Deferred, Refused) as problem:
            error = problem
        except Exception:
            maillog.bug(where=type(step.request).__name__)
            error = Deferred(Condition.BUG)
