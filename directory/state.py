"""state.db: what Gatepost knows and no directory, file or index could tell again. SQLite, synchronous=FULL.

Owned by the agent alone, behind a lock file; part of every backup, never rebuilt. `user_version` is the
format; a newer one is refused. Committed = on disk. Tables: failed logins, addresses of good ones,
verifiers for the grace time, app passwords, sessions, second factors, the journal of directory changes, what people
chose in the web front end, applications for mailboxes.

It opens its file and ends its transactions itself, as `gateway.files.database` does for the gateway's files: directory
imports nothing of gateway, gateway's files see nothing of directory but model and port, and those are pure.
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

FORMAT = 5
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
#: what a format has more than the one before it
_STEPS = {
    2: """
CREATE TABLE preference (account TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (account, name)) WITHOUT ROWID;
""",
    3: """
CREATE TABLE application (id TEXT PRIMARY KEY, at REAL NOT NULL, login TEXT NOT NULL, name TEXT NOT NULL,
  domain TEXT NOT NULL, contact TEXT NOT NULL, note TEXT NOT NULL, client TEXT NOT NULL, state TEXT NOT NULL,
  decided_by TEXT NOT NULL, entry TEXT NOT NULL, code BLOB NOT NULL) WITHOUT ROWID;
""",
    4: """
CREATE TABLE factor (id TEXT PRIMARY KEY, account TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
  secret BLOB NOT NULL, counter INTEGER NOT NULL, created REAL NOT NULL, used REAL) WITHOUT ROWID;
CREATE INDEX factor_account ON factor (account);
""",
    # what `LoginMark.password` was when the token was made; NULL = made before that was noted
    5: """
ALTER TABLE token ADD COLUMN password TEXT;
""",
}


class State:
    """Thread-safe; one in the agent. Raises Deferred for trouble with the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        #: why this is not the file but an empty stand-in; "" = it is the file
        self.trouble = ""
        self._lock = threading.RLock()
        self._guard = -1
        try:
            self._guard = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # SQLite would ask the umask
            self._db = self._opened(str(path))
        except BlockingIOError as error:
            self.close()
            raise self._problem("another process has it") from error
        except OSError as error:
            self.close()
            raise self._problem(str(error.strerror)) from error
        except sqlite3.Error as error:
            self.close()
            raise self._problem(str(error)) from error

    @classmethod
    def open(cls, path: Path) -> State:
        """The file, or an empty stand-in in memory that says why: a damaged file must not stop the agent, which
        follows the directory too. It is left as it is."""
        try:
            return cls(path)
        except Deferred as error:
            stand_in = cls.__new__(cls)
            stand_in._path, stand_in._lock, stand_in._guard = path, threading.RLock(), -1
            stand_in._db = stand_in._opened(":memory:")
            stand_in.trouble = error.detail
            return stand_in

    def _opened(self, name: str) -> sqlite3.Connection:
        db = sqlite3.connect(name, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > FORMAT:
                raise sqlite3.DatabaseError(_newer(version))
            if version < FORMAT:
                steps = "".join(text for number, text in sorted(_STEPS.items()) if number > version)
                db.executescript(f"BEGIN;{'' if version else _SCHEMA}{steps}PRAGMA user_version={FORMAT};COMMIT;")
        except sqlite3.Error:
            db.close()
            raise
        return db

    def check(self) -> None:
        """Raise Deferred when this is a stand-in: for what must not be answered from an empty one."""
        if self.trouble:
            raise Deferred(Condition.AUTHENTICATION_UNAVAILABLE, self.trouble)

    def _problem(self, what: str) -> Deferred:
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
                raise self._problem(str(error)) from error

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query."""
        with self._lock:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise self._problem(str(error)) from error

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if hasattr(self, "_db"):
                self._db.close()
            if self._guard >= 0:
                os.close(self._guard)
                self._guard = -1


def _newer(version: int) -> str:
    return f"was written by a newer version (format {version}, known {FORMAT})"


def problem(path: Path) -> str:
    """What is wrong with the file, read only, for `status`; "" for nothing, or when there is none yet."""
    if not path.exists():
        return ""
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2)
        try:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            db.execute("SELECT count(*) FROM token").fetchone()
        finally:
            db.close()
    except sqlite3.Error as error:
        return f"{path}: {error}"
    return f"{path}: {_newer(version)}" if version > FORMAT else ""
