"""Who got an automatic reply from whom, and when: one small SQLite file, shared by the processes of a host.

The row is written before the reply: a crash between the two costs a reply, never sends a second one.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from directory.model import Condition, Deferred
from gateway.files.database import connect

KEPT = 366 * 86400.0  # seconds; no period is longer
MAX_PURGED = 1000  # rows at once
_SCHEMA = """
CREATE TABLE IF NOT EXISTS replied (account TEXT NOT NULL, sender TEXT NOT NULL, at REAL NOT NULL,
  PRIMARY KEY (account, sender)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS replied_at ON replied (at);
"""


class Replied:
    """Raises Deferred(QUEUE_UNAVAILABLE) for trouble with the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            self._db = connect(path, formats=(_SCHEMA,))
        except sqlite3.Error as error:
            raise Deferred(Condition.QUEUE_UNAVAILABLE, f"{path}: {error}") from error

    def take(self, account: str, sender: str, seconds: float, now: float) -> bool:
        """True once in `seconds` for this pair, for one caller among all processes."""
        try:
            with self._lock:
                taken = self._db.execute(
                    "INSERT INTO replied VALUES (?,?,?) ON CONFLICT DO UPDATE SET at=excluded.at"
                    " WHERE at <= excluded.at - ? OR at > excluded.at",  # a clock that was set back
                    (account, sender, now, seconds),
                ).rowcount
                if taken:
                    self._db.execute(
                        "DELETE FROM replied WHERE (account, sender) IN"
                        " (SELECT account, sender FROM replied WHERE at < ? LIMIT ?)",
                        (now - KEPT, MAX_PURGED),
                    )
            return bool(taken)
        except sqlite3.Error as error:
            raise Deferred(Condition.QUEUE_UNAVAILABLE, f"{self._path}: {error}") from error

    def close(self) -> None:
        self._db.close()
