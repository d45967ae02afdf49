"""Since when an account is full: first "try again later", after the grace "mailbox full"; and since when it is
over its soft quota.

One small SQLite file, shared by the processes of a host. The row of a full one goes when a delivery succeeds again.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path
from typing import Literal

from directory.model import Condition, Deferred, Refused
from gateway.files.database import connect, looking
from gateway.observe import maillog

#: what other processes changed is seen so late at most: one delivery looks several times
FRESH_SECONDS = 0.2
_FORMATS = (
    "CREATE TABLE IF NOT EXISTS over_quota (account TEXT PRIMARY KEY, since REAL NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS over_soft (account TEXT PRIMARY KEY, since REAL NOT NULL) WITHOUT ROWID",
)


def full(account: str, seconds: float, grace: float, why: str = "") -> Deferred | Refused:
    """The answer for a mailbox that has been full for `seconds`; `why` is for operators."""
    detail = f"{account}: {why}" if why else account
    return (
        Deferred(Condition.MAILBOX_FULL_FOR_NOW, detail) if seconds < grace else Refused(Condition.MAILBOX_FULL, detail)
    )


class QuotaGrace:
    """Raises Deferred(STORE_UNAVAILABLE) for trouble with the file."""

    def __init__(self, path: Path, grace_seconds: float) -> None:
        self._grace = grace_seconds
        self._lock = threading.Lock()
        self._version = -1
        self._looked = 0.0
        self._over: frozenset[str] = frozenset()
        self._soft: dict[str, float] = {}
        try:
            self._db = connect(path, formats=_FORMATS)
        except sqlite3.Error as error:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"{path}: {error}") from error

    def full(self, account: str, now: float, why: str = "") -> Deferred | Refused:
        """The answer for a full mailbox; the first time is remembered. `why` is for operators."""
        try:
            with self._lock:
                self._db.execute("INSERT OR IGNORE INTO over_quota VALUES (?,?)", (account, now))
                self._version = -1
                since = self._db.execute("SELECT since FROM over_quota WHERE account=?", (account,)).fetchone()[0]
        except sqlite3.Error as error:
            return Deferred(Condition.MAILBOX_FULL_FOR_NOW, f"{account}: {error}")
        return full(account, now - since, self._grace, why)

    def _look(self) -> None:
        """Have what the file holds in memory; nothing is read while no process has changed it."""
        now = time.monotonic()
        if self._version != -1 and now - self._looked < FRESH_SECONDS:
            return
        version = self._db.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self._over = frozenset(row[0] for row in self._db.execute("SELECT account FROM over_quota"))
            self._soft = dict(self._db.execute("SELECT account, since FROM over_soft"))
            self._version = version
        self._looked = now

    def has_room(self, account: str, *, has_soft: bool = True) -> None:
        """A delivery succeeded: the grace starts anew the next time. `has_soft`: there is a soft quota too."""
        try:
            with self._lock:
                self._look()
                if account in self._over:
                    self._db.execute("DELETE FROM over_quota WHERE account=?", (account,))
                    self._version = -1
                if not has_soft and account in self._soft:
                    self._db.execute("DELETE FROM over_soft WHERE account=?", (account,))
                    self._version = -1
        except sqlite3.Error:
            return  # the delivery itself succeeded; a row left behind shortens the next grace only

    def since(self, account: str) -> float | None:
        """Since when an account is over its soft quota; None when it is not, or nobody can say."""
        try:
            with self._lock:
                self._look()
                return self._soft.get(account)
        except sqlite3.Error:
            return None

    def note(self, account: str, is_over: bool, now: float) -> None:
        """Remember whether an account is over its soft quota; the first time counts."""
        try:
            with self._lock:
                self._look()
                if is_over == (account in self._soft):
                    return
                if is_over:
                    self._db.execute("INSERT OR IGNORE INTO over_soft VALUES (?,?)", (account, now))
                else:
                    self._db.execute("DELETE FROM over_soft WHERE account=?", (account,))
                self._version = -1
        except sqlite3.Error:
            return  # the next addition will see it
        if is_over:
            maillog.over_soft_quota(account=account)

    def close(self) -> None:
        with self._lock:
            self._version = -1
            self._db.close()


def over_since(path: Path, account: str, which: Literal["over_quota", "over_soft"] = "over_quota") -> float | None:
    """Since when an account is full, or over its soft quota, read only, for diagnosis; None when it is not.

    Raises Deferred.
    """
    if not path.exists():
        return None
    try:
        with looking(path) as db:
            row = db.execute(f"SELECT since FROM {which} WHERE account=?", (account,)).fetchone()
    except sqlite3.Error as error:
        raise Deferred(Condition.STORE_UNAVAILABLE, f"{path}: {error}") from error
    return row[0] if row else None
