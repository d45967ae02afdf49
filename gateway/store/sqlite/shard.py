"""One shard file: its connection, its lock, its transactions, and what a power cut may have taken from it."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from directory.model import Condition, Deferred
from gateway.files.database import use_wal
from gateway.store.sqlite.schema import FORMAT, SHARD, UPGRADES

BUSY_MS = 10_000
UID_BLOCK = 1024
MODSEQ_BLOCK = 16384


def open_database(
    path: Path, schema: str, wanted: int, upgrades: Mapping[int, str] = MappingProxyType({})
) -> sqlite3.Connection:
    """A connection in autocommit mode; tables are made in an empty file, one of a format that `upgrades` begin
    behind is brought up to `wanted`. Raises sqlite3.Error, Deferred."""
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000, cached_statements=256
    )
    try:
        execute = connection.execute
        use_wal(connection)
        execute("PRAGMA synchronous=NORMAL")
        version = execute("PRAGMA user_version").fetchone()[0]
        if version == 0 or version + 1 in upgrades:
            execute("BEGIN EXCLUSIVE")
            version = execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                _run(connection, schema)
                version = wanted
            while version + 1 in upgrades:
                version += 1
                _run(connection, upgrades[version])
            execute(f"PRAGMA user_version={version}")
            execute("COMMIT")
        if version != wanted:
            age = "a newer" if version > wanted else "an older"
            raise Deferred(
                Condition.STORE_UNAVAILABLE, f"{path} was written by {age} version (format {version}, known {wanted})"
            )
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def opening(folder: Path) -> Iterator[None]:
    """One process at a time makes or opens the files of an index. Raises OSError."""
    with (folder / "opening.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # which ends with the file
        yield


def forget_log(path: Path) -> None:
    """Remove what a database left behind whose own file somebody has removed: SQLite would take it for the new one's.
    Call in `opening`. Raises OSError."""
    if not path.exists():
        for end in ("-wal", "-shm"):
            Path(f"{path}{end}").unlink(missing_ok=True)


def _run(connection: sqlite3.Connection, script: str) -> None:
    """Each statement of a script, within the transaction that is open."""
    for statement in script.split(";"):
        connection.execute(statement)


class Shard:
    """Opened after fork only; used by any thread."""

    def __init__(self, path: Path, boot: str) -> None:
        self.path = path
        self.lock = threading.Lock()
        self.is_dirty = False  # committed without fsync since the last flush
        self.connection = open_database(path, SHARD, FORMAT, UPGRADES)
        # reads have a connection of their own: one that a loop waits for must not wait for a commit
        self._reader = open_database(path, SHARD, FORMAT)
        self._reader_lock = threading.Lock()
        self._file = _identity(path)
        self._boot = boot
        self._alone = 0  # the thread in whose one transaction everything is
        try:
            self._reader.execute("PRAGMA query_only=1")
            self._begin()
        except BaseException:
            self._reader.close()
            self.connection.close()
            raise

    def _begin(self) -> None:
        """Note that this process has the shard open; after a possible power cut, start behind every reservation."""
        with self.transaction(full=True) as db:
            known = db.execute("SELECT boot, clean FROM state").fetchone()
            if known is not None and known[0] != self._boot:
                db.execute("DELETE FROM opener")
                if not known[1]:
                    # what was committed in the last second may be lost, so every number below the
                    # reservation may have been given
                    db.execute(
                        "UPDATE mailbox SET lost_from=CASE WHEN lost_from THEN lost_from ELSE uidnext END, uidnext=uid_reserved, uid_reserved=uid_reserved+?, "
                        "highestmodseq=modseq_reserved, modseq_reserved=modseq_reserved+?",
                        (UID_BLOCK, MODSEQ_BLOCK),
                    )
            db.execute("INSERT OR REPLACE INTO state VALUES (1,?,0)", (self._boot,))
            db.execute("INSERT OR REPLACE INTO opener VALUES (?,?)", (os.getpid(), self._boot))

    @contextmanager
    def transaction(self, *, full: bool = False) -> Iterator[sqlite3.Connection]:
        """One write transaction; `full` puts it on disk before it returns."""
        if self._alone == threading.get_ident():
            yield self.connection  # which is undone as a whole, or not at all
            return
        with self.lock, self.locked_transaction(full=full) as db:
            yield db

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Everything that this thread reads and writes is one transaction: others see what was before, and cannot write,
        until its end. Only where a process serves nobody else, since its other threads wait for it."""
        with self.lock, self.locked_transaction(full=True):
            self._alone = threading.get_ident()
            try:
                yield
            finally:
                self._alone = 0

    @contextmanager
    def locked_transaction(self, *, full: bool = False) -> Iterator[sqlite3.Connection]:
        """As `transaction`, for a caller that holds `lock`."""
        execute = self.connection.execute
        if full:
            execute("PRAGMA synchronous=FULL")
        try:
            execute("BEGIN IMMEDIATE")
            try:
                if not self.is_in_place():  # what is written here nobody else would ever see
                    raise Deferred(
                        Condition.STORE_UNAVAILABLE, f"index {self.path.name} was removed while it was in use"
                    )
                yield self.connection
                execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    execute("ROLLBACK")
                raise
            self.is_dirty = True
        except sqlite3.Error as error:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"index {self.path.name}: {error}") from error
        finally:
            if full:
                execute("PRAGMA synchronous=NORMAL")

    def is_in_place(self) -> bool:
        """False once the file was removed, or replaced, under this process."""
        return self._file == _identity(self.path)

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """One read; statements of one call see one state only when they are one statement."""
        if self._alone == threading.get_ident():
            yield self.connection
            return
        with self._reader_lock:
            try:
                yield self._reader
            except sqlite3.Error as error:
                raise Deferred(Condition.STORE_UNAVAILABLE, f"index {self.path.name}: {error}") from error

    def one(self, sql: str, parameters: tuple[Any, ...]) -> Any:
        """The first row of a query, None without one."""
        with self.read() as db:
            return db.execute(sql, parameters).fetchone()

    def all(self, sql: str, parameters: tuple[Any, ...]) -> list[Any]:
        """All rows of a query."""
        with self.read() as db:
            return db.execute(sql, parameters).fetchall()

    def flush(self) -> None:
        """Put what was committed on disk. Raises OSError."""
        if not self.is_dirty:
            return
        self.is_dirty = False
        try:
            fd = os.open(f"{self.path}-wal", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # a checkpoint of the last process that closed has put everything into the file
        try:
            os.fdatasync(fd)
        finally:
            os.close(fd)

    def close(self) -> None:
        """The last process to close marks the shard clean."""
        with self._reader_lock:
            self._reader.close()
        with self.lock:
            try:
                with self.locked_transaction(full=True) as db:
                    db.execute("DELETE FROM opener WHERE pid=?", (os.getpid(),))
                    others = [pid for (pid,) in db.execute("SELECT pid FROM opener").fetchall()]
                    if not any(map(_is_alive, others)):
                        db.execute("UPDATE state SET clean=1")
            except Deferred:
                pass  # it stays marked unclean, which costs numbers and nothing else
            finally:
                self.connection.close()


def _identity(path: Path) -> tuple[int, int]:
    """Which file it is; (0, 0) when there is none."""
    try:
        facts = os.stat(path)
    except OSError:
        return 0, 0
    return facts.st_dev, facts.st_ino


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
