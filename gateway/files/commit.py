"""Group commit: concurrent deliveries share what puts them on disk.

`fsync` (default, safe on NFS) syncs each file, and a folder once for all who wait for it; `syncfs`
syncs a whole local volume once for all who wait, its return code checked. A sync serves only those
who came before it began.
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from gateway.files.durable import sync_folder
from gateway.files.turn import aside

PARALLEL = 4
_MANY = 16
_WRITE = 2  # SYNC_FILE_RANGE_WRITE
_libc = ctypes.CDLL(None, use_errno=True)
_libc.sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


class VolumeSync:
    """syncfs(2) of the file system of a path.

    The descriptor stays open from before the first write on: the kernel tells an error of its own writing back
    only to those who had the file system open when it happened.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def open(self) -> None:
        """Call before anything is written that the next sync is for. Raises OSError."""
        device = os.stat(self._path).st_dev
        if self._fd >= 0 and os.fstat(self._fd).st_dev == device:
            return
        old, self._fd = self._fd, os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if old >= 0:  # another file system is mounted there now
            os.close(old)

    def sync(self) -> None:
        """Everything that was written is on disk on return. Raises OSError."""
        self.open()
        if _libc.syncfs(self._fd) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), self._path)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class _Turn:
    """One run of a sync for all who asked before it began. The event is made when somebody waits for it."""

    __slots__ = ("error", "event")

    def __init__(self) -> None:
        self.event: threading.Event | None = None
        self.error: OSError | None = None

    def over(self) -> threading.Event:
        """Set when the run has ended; ask under the lock."""
        if self.event is None:
            self.event = threading.Event()
        return self.event


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
            running = self._running
            if running is None:
                turn = self._running = _Turn()
                leads, first = True, None
            elif self._next is None:
                turn = self._next = _Turn()
                leads, first = True, running.over()
            else:
                turn = self._next
                leads, first = False, turn.over()
        if first is not None:
            first.wait()
        if leads:
            self._lead(turn)
        if turn.error is not None:
            raise OSError(turn.error.errno, turn.error.strerror, turn.error.filename)

    def _lead(self, turn: _Turn) -> None:
        if self._running is not turn:
            with self._lock:
                self._running, self._next = turn, None
        try:
            self._sync()
        except OSError as error:
            turn.error = error
        except BaseException:
            turn.error = OSError(errno.EIO, "the sync was cut off")  # for the others
            raise
        finally:
            with self._lock:
                if self._next is None:
                    self._running = None
                over = turn.event
            if over is not None:
                over.set()


class Commit:
    """The durability of one volume. Made after fork, used by any thread."""

    def __init__(self, path: str, durability: str) -> None:
        self._sync = VolumeSync(path) if durability == "syncfs" else None
        self._volume = Grouped(self._sync.sync) if self._sync is not None else None
        self._folders: dict[str, list[Grouped]] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Call before the first write that `file` and `folders` put on disk. Raises OSError."""
        if self._sync is not None:
            with self._lock:
                self._sync.open()

    def file(self, fd: int) -> None:
        """The content of an open file is on disk on return. Raises OSError."""
        aside(partial(os.fsync, fd) if self._volume is None else self._volume.wait)

    def folders(self, paths: Iterable[str]) -> None:
        """The names in these folders are on disk on return. Raises OSError."""
        aside(partial(self._sync_folders, paths) if self._volume is None else self._volume.wait)

    def _sync_folders(self, paths: Iterable[str]) -> None:
        wanted = list(dict.fromkeys(paths))
        if len(wanted) < _MANY:
            self._sync_all(wanted)
            return
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="sync")
        # in portions: one hop between threads costs as much as a sync; nobody is looked for who wants one of so many
        for _ in self._pool.map(self._sync_each, [wanted[number::PARALLEL] for number in range(PARALLEL)]):
            pass

    def together(self, files: Sequence[int], folders: Sequence[int]) -> None:
        """The content of these open files and the names in these open folders are on disk on return. Raises OSError.

        All are told to be written before the first is waited for: a file system with a journal puts them into it
        at once, and finds little left to do for the others.
        """
        aside(partial(self._sync_open, files, folders) if self._volume is None else self._volume.wait)

    @staticmethod
    def _sync_open(files: Sequence[int], folders: Sequence[int]) -> None:
        for fd in files:
            _libc.sync_file_range(fd, 0, 0, _WRITE)  # what went wrong here is told by fsync
        for fd in (*files, *folders):
            os.fsync(fd)

    def _sync_all(self, paths: list[str]) -> None:
        for path in paths:
            self._sync_one(path)

    @staticmethod
    def _sync_each(paths: list[str]) -> None:
        for path in paths:
            sync_folder(path)

    def _sync_one(self, path: str) -> None:
        """Sync a folder, together with everybody who waits for the same one."""
        with self._lock:
            users = self._folders.setdefault(path, [])
            shared = users[0] if users else Grouped(lambda: sync_folder(path))
            users.append(shared)
        try:
            shared.wait()
        finally:
            with self._lock:
                users.pop()
                if not users:
                    del self._folders[path]

    def close(self) -> None:
        """Nothing may be in flight."""
        if self._pool is not None:
            self._pool.shutdown()
        if self._sync is not None:
            self._sync.close()
