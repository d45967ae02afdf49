"""Changes of queue.db out of an event loop: those that come while one commit is under way share the next one.

A commit waits for the disk, so it runs in a thread, the only one; what is to follow a commit (a finished file goes)
is done there too. Costs nothing while nothing is written.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway.queue.state import QueueState

T = TypeVar("T")
#: changes in one transaction: the others wait no longer than these take
MAX_TOGETHER = 500


@dataclass(slots=True)
class _Wanted:
    change: Callable[[], Any]
    durable: bool
    then: Callable[[], None] | None
    future: asyncio.Future[Any]


class Ledger:
    """In one event loop at a time."""

    def __init__(self, state: QueueState) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._waiting: list[_Wanted] = []
        self._is_running = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")

    async def write(
        self, change: Callable[[], T], *, durable: bool = True, then: Callable[[], None] | None = None
    ) -> T:
        """Do one change, on disk on return if `durable`; `then` follows its commit, and is left out without one.

        A caller that is cancelled leaves: the change is done all the same. Raises what `change` and `then` raise.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        with self._lock:
            self._waiting.append(_Wanted(change, durable, then, future))
            begins = not self._is_running
            self._is_running = True
        if begins:
            self._thread.submit(self._run)
        return await future

    def _run(self) -> None:
        while True:
            with self._lock:
                some, self._waiting = self._waiting[:MAX_TOGETHER], self._waiting[MAX_TOGETHER:]
                if not some:
                    self._is_running = False
                    return
            results = self._state.together([each.change for each in some], durable=any(each.durable for each in some))
            for number, each in enumerate(some):
                if each.then is not None and not isinstance(results[number], Exception):
                    try:
                        each.then()
                    except Exception as error:
                        results[number] = error
            try:
                some[0].future.get_loop().call_soon_threadsafe(_tell, some, results)
            except RuntimeError:
                pass  # the loop ended and nobody waits any more

    def close(self) -> None:
        """What was begun is done on return."""
        self._thread.shutdown()


def _tell(some: list[_Wanted], results: list[Any]) -> None:
    for each, result in zip(some, results, strict=True):
        if each.future.done():
            continue
        if isinstance(result, Exception):
            each.future.set_exception(result)
        else:
            each.future.set_result(result)
