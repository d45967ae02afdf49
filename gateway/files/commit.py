"""Group commit: concurrent deliveries share what puts them on disk.

`fsync` (default, safe on NFS) syncs each file, and a folder once for all who wait for it; `syncfs`
syncs a whole local volume once for all who wait, its return code checked. A sync serves only those
who came before it began.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from gateway.files.durable import sync_folder

PARALLEL = 4
_MANY = 16
_libc = ctypes.CDLL(None, use_errno=True)


def sync_volume(path: str) -> None:
    """syncfs(2) of the file system of `path`. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _libc.syncfs(fd) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(fd)


class _Turn:
    """One run of a sync for all who asked before it began."""

    __slots__ = ("done", "error")

    def __init__(self) -> None:
        self.done = threading.Event()
        self.error: OSError | None = None


class Grouped:
    """A sync that callers share: one runs, those who come meanwhile share the next."""

    def __init__(self, sync: Callable[[], None]) -> None:
        self._sync = sync
        self._lock = threading.Lock()
        self._running: _Turn | None = None
        self._next: _Turn | None = None

    def wait(self) -> None:
        """Return when a sync that began after this call has ended. Raises its OSError."""
        with self._lock:
            before = self._running
            if before is None:
                turn = self._running = _Turn()
                leads = True
            elif self._next is None:
                turn = self._next = _Turn()
                leads = True
            else:
                turn, leads = self._next, False
        if not leads:
            turn.done.wait()
        else:
            if before is not None:
                before.done.wait()
                with self._lock:
                    self._running, self._next = turn, None
            try:
                self._sync()
            except OSError as error:
                turn.error = error
            finally:
                with self._lock:
                    if self._next is None:
                        self._running = None
                turn.done.set()
        if turn.error is not None:
            raise OSError(turn.error.errno, turn.error.strerror, turn.error.filename)


class Commit:
    """The durability of one volume."""

    def __init__(self, path: str, durability: str) -> None:
        self._volume = Grouped(lambda: sync_volume(path)) if durability == "syncfs" else None
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def file(self, fd: int) -> None:
        """The content of an open file is on disk on return. Raises OSError."""
        if self._volume is None:
            os.fsync(fd)
        else:
            self._volume.wait()

    def folders(self, paths: Iterable[str]) -> None:
        """The names in these folders are on disk on return. Raises OSError."""
        if self._volume is not None:
            self._volume.wait()
            return
        wanted = list(dict.fromkeys(paths))
        if len(wanted) < _MANY:
            for path in wanted:
                sync_folder(path)
            return
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="sync")
        # in portions: one hop between threads costs as much as a sync
        for _ in self._pool.map(_sync_all, [wanted[number::PARALLEL] for number in range(PARALLEL)]):
            pass


def _sync_all(paths: list[str]) -> None:
    for path in paths:
        sync_folder(path)
