"""Runs dialogues of a pure core: writes what they yield, executes what they ask."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from typing import Protocol

from directory.model import Condition, Deferred, Refused
from gateway.ask import Ask, Dialogue
from gateway.observe import maillog


class Executor(Protocol):
    """Executes a core's requests."""

    def execute(self, request: object) -> object:
        """The answer, or an awaitable of it. Raises Deferred, Refused."""
        ...

    def close(self) -> None:
        """The connection has ended; called once. Does not wait."""
        ...


class Output(Protocol):
    """Where a dialogue's octets go."""

    def write(self, data: bytes) -> bool:
        """Keep or send `data`. True when the client does not read and the dialogue should wait."""
        ...

    def flush(self) -> None:
        """Send what was kept; called before anything that waits."""
        ...

    def upgrade(self) -> None:
        """Turn the connection to TLS; everything is flushed."""
        ...

    def compress(self) -> None:
        """Compress the connection; everything is flushed."""
        ...


class Upgrade:
    """What an executor answers where the connection itself changes; the core gets None."""


class Full:
    """The client does not read: go on when it does."""


UPGRADE = Upgrade()  # to TLS
COMPRESSION = Upgrade()
FULL = Full()
Problem = Deferred | Refused


def advance(
    dialogue: Dialogue, executor: Executor, output: Output, answer: object = None, error: Problem | None = None
) -> Awaitable[object] | Full | None:
    """Run a dialogue until it has ended (None) or must wait: for an answer (`answer_of`), or for the client (FULL)."""
    while True:
        if isinstance(answer, Upgrade):
            output.flush()
            if answer is COMPRESSION:
                output.compress()
            else:
                output.upgrade()
            answer = None
        try:
            if error is not None:
                thrown, error = error, None
                step = dialogue.throw(thrown)
            else:
                step = dialogue.send(answer)
        except StopIteration:
            return None
        answer = None
        if not isinstance(step, Ask):
            if output.write(step):
                return FULL
            continue
        try:
            answer = executor.execute(step.request)
        except (Deferred, Refused) as problem:
            error = problem
        except Exception:
            maillog.bug(where=type(step.request).__name__)
            error = Deferred(Condition.BUG)
        if inspect.isawaitable(answer):
            output.flush()
            return answer


def answer_of(done: asyncio.Future[object]) -> tuple[object, Problem | None]:
    """The answer that an executor's awaitable brought, or why there is none."""
    try:
        return done.result(), None
    except (Deferred, Refused) as problem:
        return None, problem
    except (Exception, asyncio.CancelledError):
        maillog.bug(where="request")
        return None, Deferred(Condition.BUG)
