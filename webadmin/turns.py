"""Which request is answered next: clients take turns, and none has all threads, however much it asks or however slowly it
reads. The rest of the threads is for everybody else.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from typing import Any

from waitress.task import ThreadedTaskDispatcher


class _Turn:
    """A request that waits, or is being answered."""

    def __init__(self, task: Any, client: str, ended: Callable[[str], None]) -> None:
        self.client = client
        self._task, self._ended = task, ended

    def service(self) -> None:
        """Answer it, in a thread."""
        try:
            self._task.service()
        finally:
            self._ended(self.client)

    def cancel(self) -> None:
        """It is not answered any more."""
        self._task.cancel()


class _Waiting:
    """The dispatcher's queue; used with its lock held. It is empty where all that wait have as many threads as they may."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[str, deque[_Turn]] = {}
        self._active: Counter[str] = Counter()
        #: whose turn it is
        self._ready: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ready)

    def append(self, turn: _Turn) -> None:
        """At the end of what its client asked."""
        self._waiting.setdefault(turn.client, deque()).append(turn)
        self._look(turn.client)

    def popleft(self) -> _Turn:
        """The next one of the client whose turn it is."""
        client, _ = self._ready.popitem(last=False)
        turn = self._waiting[client].popleft()
        if not self._waiting[client]:
            del self._waiting[client]
        self._active[client] += 1
        self._look(client)
        return turn

    def leave(self, client: str) -> None:
        """One of its requests is answered."""
        self._active[client] -= 1
        if not self._active[client]:
            del self._active[client]
        self._look(client)

    def _look(self, client: str) -> None:
        if client in self._waiting and self._active[client] < self._most:
            self._ready.setdefault(client)


class Turns(ThreadedTaskDispatcher):  # type: ignore[misc]
    """waitress's threads, `most` of them at most for one client; `client_of` tells whose a channel's next request is."""

    def __init__(self, threads: int, most: int, client_of: Callable[[Any], str]) -> None:
        super().__init__()
        self._client_of = client_of
        self.queue = _Waiting(most)
        self.set_thread_count(threads)

    def add_task(self, task: Any) -> None:
        """A channel has a request."""
        super().add_task(_Turn(task, self._client_of(task), self._ended))

    def _ended(self, client: str) -> None:
        with self.lock:
            self.queue.leave(client)
            self.queue_cv.notify()
