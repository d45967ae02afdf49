"""state.db: what Gatepost knows and no directory, file or index could tell again. SQLite, synchronous=FULL.

Owned by the agent alone, behind a lock file; part of every backup, never rebuilt. `user_version` is the
format; a newer one is refused. Committed = on disk. Tables: failed logins, addresses of good ones,
verifiers for the grace time, app passwords, sessions, the journal of directory changes.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from directory.model import Condition, Deferred

FORMAT = 1
BUSY_SECONDS = 10.0

_SCHEMA = """
CREATE TABLE failed (account TEXT NOT NULL, pair BLOB NOT NULL, at REAL NOT NULL, content TEXT NOT NULL,
  version TEXT NOT NULL, policy INTEGER NOT NULL, trusted INTEGER NOT NULL, PRIMARY KEY (account, pair)) WITHOUT ROWID;
CREATE TABLE trusted (account TEXT NOT NULL, source TEXT NOT NULL, at REAL NOT NULL,
  PRIMARY KEY (account, source)) WITHOUT ROWID;
CREATE INDEX trusted_source ON trusted (source);
CREATE TABLE verifier (account TEXT PRIMARY KEY, at REAL NOT NULL, verifier TEXT NOT NULL, content TEXT NOT NULL,
  version TEXT NOT NULL, policy INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE token (hash BLOB PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, account TEXT NOT NULL,
  name TEXT NOT NULL, services TEXT NOT NULL, networks TEXT NOT NULL, created REAL NOT NULL, expires REAL,
  used REAL) WITHOUT ROWID;
CREATE INDEX token_account ON token (account);
CREATE TABLE journal (number INTEGER PRIMARY KEY, at REAL NOT NULL, actor TEXT NOT NULL, verb TEXT NOT NULL,
  entry TEXT NOT NULL, dn TEXT NOT NULL, change TEXT NOT NULL, undo TEXT NOT NULL, outcome TEXT NOT NULL);
CREATE INDEX journal_entry ON journal (entry, number);
"""


class State:
    """Thread-safe; one in the agent. Raises Deferred for trouble with the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        try:
            self._guard = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise self._trouble(f"{error.strerror}; another process has it") from error
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # SQLite would ask the umask
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                self._db.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version={FORMAT};COMMIT;")
            elif version > FORMAT:
                raise self._trouble(f"was written by a newer version (format {version})")
        except sqlite3.Error as error:
            raise self._trouble(str(error)) from error

    def _trouble(self, what: str) -> Deferred:
        return Deferred(Condition.AUTHENTICATION_UNAVAILABLE, f"{self._path}: {what}")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One transaction, on disk when the block ends without an error."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise self._trouble(str(error)) from error

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query."""
        with self._lock:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise self._trouble(str(error)) from error

    def close(self) -> None:
        with self._lock:
            self._db.close()
            os.close(self._guard)
