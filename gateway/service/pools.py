"""Threads for file calls: one bounded pool a volume, each call with a deadline, a circuit breaker.

A file system that hangs (a hard NFS mount whose server is away) blocks its own pool's threads and nothing
else. A call that is not done at its deadline is answered as trouble; its thread goes on waiting, since nothing
can take it back. When half of a pool's threads hang so, the volume is down: every further call is answered at
once, until one of those that hang comes back.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from directory.model import Condition, Deferred
from gateway.files.turn import in_turn
from gateway.observe import metrics
from gateway.observe.log import fields
from gateway.store.settings import StoreSettings

OTHER = ""  # calls that belong to no volume: spool, queue, state
CHECK_SECONDS = 1.0

T = TypeVar("T")
_log = logging.getLogger("gatepost.store")


class _Call:
    __slots__ = ("begun", "future", "is_late")

    def __init__(self, future: asyncio.Future[Any]) -> None:
        self.future = future
        self.begun = time.monotonic()
        self.is_late = False


class Pool:
    """The threads of one volume. `run` is for the loop's thread, the executor for any."""

    def __init__(self, name: str, threads: int, waiting: int, deadline: float) -> None:
        self.executor = ThreadPoolExecutor(threads, thread_name_prefix=f"files-{name}" if name else "files")
        self.is_down = False
        self._turn = threading.Lock()
        self._name, self._limit, self._deadline = name or "(none)", threads + waiting, deadline
        self._late_limit = max(1, threads // 2)
        self._late = 0
        self._calls: set[_Call] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises. Raises Deferred when it takes too long, or the volume is down or overrun."""
        if self.is_down:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"volume {self._name} does not answer")
        if len(self._calls) >= self._limit:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"volume {self._name}: {self._limit} calls are waiting")
        loop = asyncio.get_running_loop()
        call = _Call(loop.create_future())
        self._calls.add(call)
        if self._timer is None:
            self._timer = loop.call_later(CHECK_SECONDS, self._check, loop)

        def done(finished: Future[T]) -> None:
            try:
                loop.call_soon_threadsafe(self._done, call, finished)
            except RuntimeError:
                pass  # the loop has ended, nobody waits any more

        self.executor.submit(in_turn, self._turn, work).add_done_callback(done)
        answer: T = await call.future
        return answer

    def _done(self, call: _Call, finished: Future[Any]) -> None:
        self._calls.discard(call)
        if call.is_late:
            self._late -= 1
            if self.is_down:
                self.is_down = False
                metrics.count(metrics.UP, self._name)
                _log.warning("%s", fields(event="volume-up", volume=self._name))
        if call.future.done():
            return
        if finished.cancelled():  # it had not begun when the process ended
            call.future.set_exception(Deferred(Condition.STORE_UNAVAILABLE, "the process ends"))
            return
        error = finished.exception()
        if error is not None:
            call.future.set_exception(error)
        else:
            call.future.set_result(finished.result())

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        latest = time.monotonic() - self._deadline
        for call in self._calls:
            if call.begun < latest and not call.is_late:
                call.is_late = True
                self._late += 1
                metrics.count(metrics.LATE, self._name)
                if not call.future.done():
                    call.future.set_exception(
                        Deferred(
                            Condition.STORE_UNAVAILABLE, f"volume {self._name}: no answer within {self._deadline:.0f} s"
                        )
                    )
        if self._late >= self._late_limit and not self.is_down:
            self.is_down = True
            metrics.count(metrics.DOWN, self._name)
            _log.error("%s", fields(event="volume-down", volume=self._name, hanging=self._late))
        self._timer = loop.call_later(CHECK_SECONDS, self._check, loop) if self._calls else None


class Pools:
    """The pools of a process: one a volume and one for everything else."""

    def __init__(self, settings: StoreSettings) -> None:
        self._pools = {
            name: Pool(name, settings.threads, settings.waiting, settings.deadline)
            for name in (OTHER, *settings.volumes)
        }

    def of(self, volume: str) -> Pool:
        """The pool of a volume; calls for one that is not configured are answered by the other pool."""
        return self._pools.get(volume) or self._pools[OTHER]

    def is_down(self, volume: str) -> bool:
        """True while a volume does not answer."""
        pool = self._pools.get(volume)
        return pool is not None and pool.is_down

    def shutdown(self) -> None:
        """Wait for all calls but those that hang."""
        for pool in self._pools.values():
            pool.executor.shutdown(wait=not pool.is_down, cancel_futures=True)
