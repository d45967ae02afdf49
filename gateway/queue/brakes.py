"""Which accounts may not send: brakes.db, small, synchronous=FULL, shared by the processes of a host; in every backup.

Who looks asks SQLite five times a second whether another process has changed the file, and reads it only then; so a stop
counts everywhere within a quarter of a second, and looking costs next to nothing in between. A file that cannot be read
stops nobody who was not stopped before: `status` is red then, and mail of everybody else goes on.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from directory.model import Condition, Deferred
from gateway.files.database import connect, looking, transaction

BRAKES = "brakes.db"  # in state_dir
KEPT_EVENTS = 10_000
LOOK_SECONDS = 0.2
_FORMATS = (
    """
CREATE TABLE stopped (account TEXT PRIMARY KEY, at REAL NOT NULL, sign TEXT NOT NULL, seen TEXT NOT NULL,
  by TEXT NOT NULL, is_told INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE event (number INTEGER PRIMARY KEY, at REAL NOT NULL, account TEXT NOT NULL, what TEXT NOT NULL,
  by TEXT NOT NULL, seen TEXT NOT NULL);
""",
)
_COLUMNS = "account, at, sign, seen, by"


@dataclass(frozen=True, slots=True)
class Stopped:
    """One account: since when, the kind of sign, what was seen, who stopped it ("brake", or an operator)."""

    account: str
    at: float
    sign: str
    seen: str
    by: str


def why_stopped(account: str) -> Deferred:
    """What an account that is stopped is answered."""
    return Deferred(Condition.SENDING_STOPPED, f"{account} is stopped: gatepost user brake list")


class Brakes:
    """Thread-safe; changes raise Deferred, looking never does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._version = -1
        self._looked = -LOOK_SECONDS
        self._stopped: frozenset[str] = frozenset()
        #: why the file cannot be read, "" = it can
        self.trouble = ""

    def is_stopped(self, account: str) -> bool:
        """May this account send nothing?"""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return account in self._stopped
        with self._lock:
            self._looked = now
            try:
                if self._db is None:
                    self._db = connect(self._path, formats=_FORMATS)
                version = self._db.execute("PRAGMA data_version").fetchone()[0]
                if version != self._version:
                    self._stopped = frozenset(row[0] for row in self._db.execute("SELECT account FROM stopped"))
                    self._version, self.trouble = version, ""
            except sqlite3.Error as error:
                self.trouble = f"{self._path}: {error}"
                self._close()
            return account in self._stopped

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own, so that who looks does not wait for the disk, and sees that it was changed; in this
        process at once."""
        try:
            db = connect(self._path, formats=_FORMATS)
            try:
                with transaction(db):
                    yield db
            finally:
                db.close()
                self._looked = -LOOK_SECONDS
        except sqlite3.Error as error:
            raise Deferred(Condition.QUEUE_UNAVAILABLE, f"{self._path}: {error}") from error

    @staticmethod
    def _note(db: sqlite3.Connection, at: float, account: str, what: str, by: str, seen: str) -> None:
        number = db.execute(
            "INSERT INTO event (at, account, what, by, seen) VALUES (?,?,?,?,?)", (at, account, what, by, seen)
        ).lastrowid
        db.execute("DELETE FROM event WHERE number<=?", ((number or 0) - KEPT_EVENTS,))

    def stop(self, account: str, sign: str, seen: str, by: str, now: float) -> bool:
        """On disk when it returns; False when it was stopped already."""
        with self._change() as db:
            values = (account, now, sign, seen, by)
            done = db.execute(f"INSERT OR IGNORE INTO stopped ({_COLUMNS}, is_told) VALUES (?,?,?,?,?,0)", values)
            if done.rowcount:
                self._note(db, now, account, "stop", by, seen)
        return bool(done.rowcount)

    def release(self, account: str, by: str, how: str, now: float) -> bool:
        """The account may send again, on disk when it returns; False when it might."""
        with self._change() as db:
            done = db.execute("DELETE FROM stopped WHERE account=?", (account,))
            if done.rowcount:
                self._note(db, now, account, "release", by, how)
        return bool(done.rowcount)

    def untold(self) -> list[Stopped]:
        """Those of whom nobody was told yet."""
        with self._change() as db:
            return [Stopped(*row) for row in db.execute(f"SELECT {_COLUMNS} FROM stopped WHERE is_told=0")]

    def told(self, account: str, at: float) -> None:
        """The postmaster was told of the stop of that moment."""
        with self._change() as db:
            db.execute("UPDATE stopped SET is_told=1 WHERE account=? AND at=?", (account, at))

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db, self._version = None, -1

    def close(self) -> None:
        with self._lock:
            self._close()


def stopped(path: Path) -> list[Stopped]:
    """Who is stopped, the latest first, read only, for operators. Raises Deferred."""
    if not path.exists():
        return []
    try:
        with looking(path) as db:
            return [Stopped(*row) for row in db.execute(f"SELECT {_COLUMNS} FROM stopped ORDER BY at DESC")]
    except sqlite3.Error as error:
        raise Deferred(Condition.QUEUE_UNAVAILABLE, f"{path}: {error}") from error


def events(path: Path, limit: int) -> list[dict[str, object]]:
    """Who stopped and released whom, the latest first. Raises Deferred."""
    if not path.exists():
        return []
    try:
        with looking(path) as db:
            found = db.execute("SELECT at, account, what, by, seen FROM event ORDER BY number DESC LIMIT ?", (limit,))
            return [dict(zip(("at", "account", "what", "by", "seen"), row, strict=True)) for row in found]
    except sqlite3.Error as error:
        raise Deferred(Condition.QUEUE_UNAVAILABLE, f"{path}: {error}") from error
