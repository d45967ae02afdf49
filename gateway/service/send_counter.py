"""How many recipients an account has sent to lately, on this host: one SQLite file that all workers share.

Only accounts with a limit are counted. Losing the file forgets at most one period.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from directory.model import Condition, Deferred
from gateway.files.database import connect, transaction
from gateway.policy.send_limit import SendLimit

FORMATS = (
    """CREATE TABLE IF NOT EXISTS sent (account TEXT, at REAL, recipients INTEGER);
    CREATE INDEX IF NOT EXISTS sent_account ON sent (account, at)""",
)


class SendCounter:
    """Synchronous; call it in the pool. The file is made when somebody with a limit first sends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def take(self, account: str, recipients: int, limits: tuple[SendLimit, ...], now: float) -> None:
        """Count `recipients`, or raise Deferred(SENDING_TOO_FAST) and count nothing."""
        try:
            with self._lock:
                if self._connection is None:
                    self._connection = connect(self._path, "NORMAL", FORMATS)
                with transaction(self._connection) as db:
                    self._check(db, account, recipients, limits, now)
                    db.execute("INSERT INTO sent VALUES (?, ?, ?)", (account, now, recipients))
                    longest = max(limit.seconds for limit in limits)
                    db.execute("DELETE FROM sent WHERE account = ? AND at <= ?", (account, now - longest))
        except sqlite3.Error as error:
            self.close()  # a file that was replaced or repaired is opened anew
            raise Deferred(Condition.QUEUE_UNAVAILABLE, f"{self._path}: {error}") from error

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @staticmethod
    def _check(
        connection: sqlite3.Connection, account: str, recipients: int, limits: tuple[SendLimit, ...], now: float
    ) -> None:
        for limit in limits:
            row = connection.execute(
                "SELECT COALESCE(SUM(recipients), 0) FROM sent WHERE account = ? AND at > ?",
                (account, now - limit.seconds),
            ).fetchone()
            if row[0] + recipients > limit.count:
                detail = f"{account}: {row[0]} + {recipients} recipients in {limit.seconds} s, limit {limit.count}"
                raise Deferred(Condition.SENDING_TOO_FAST, detail)
