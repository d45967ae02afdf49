"""How many recipients accounts and domains have sent to lately, on this host: one SQLite file that all workers share.

Only who has a limit is counted. A limit's period is counted in hundredths, each of which counts until the last of its
recipients has left the period: never more than the limit goes out in any period, and a hundredth of it may pass
before there is room again. So a limit has about a hundred rows however much is sent. Losing the file forgets at most
one period.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

from directory.model import Condition, Deferred
from directory.model.send_limit import SendLimit
from gateway.files.database import connect, transaction

FORMATS = (
    "CREATE TABLE IF NOT EXISTS sent (account TEXT, at REAL, recipients INTEGER)",
    """DROP TABLE sent;
    CREATE TABLE sent (who TEXT NOT NULL, seconds INTEGER NOT NULL, part INTEGER NOT NULL, recipients INTEGER NOT NULL,
      PRIMARY KEY (who, seconds, part)) WITHOUT ROWID""",
)
PARTS = 100  # of a period


class OverLimit(Deferred):
    """Whose limit it is, by the name that is counted."""

    def __init__(self, who: str, detail: str) -> None:
        super().__init__(Condition.SENDING_TOO_FAST, detail)
        self.who = who


class SendCounter:
    """Synchronous; call it in the pool. The file is made when somebody with a limit first sends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def take(self, wanted: Sequence[tuple[str, tuple[SendLimit, ...]]], recipients: int, now: float) -> None:
        """Count `recipients` for each name with its limits, or raise OverLimit and count nothing."""
        try:
            with self._lock:
                if self._connection is None:
                    self._connection = connect(self._path, "NORMAL", FORMATS)
                with transaction(self._connection) as db:
                    for who, limits in wanted:
                        for limit in limits:
                            self._check(db, who, recipients, limit, now)
                    for who, limits in wanted:
                        for seconds in {limit.seconds for limit in limits}:
                            db.execute(
                                "INSERT INTO sent VALUES (?,?,?,?)"
                                " ON CONFLICT DO UPDATE SET recipients=recipients+excluded.recipients",
                                (who, seconds, int(now * PARTS // seconds), recipients),
                            )
        except sqlite3.Error as error:
            self.close()  # a file that was replaced or repaired is opened anew
            raise Deferred(Condition.QUEUE_UNAVAILABLE, f"{self._path}: {error}") from error

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @staticmethod
    def _check(db: sqlite3.Connection, who: str, recipients: int, limit: SendLimit, now: float) -> None:
        last = int(now * PARTS // limit.seconds)
        key = (who, limit.seconds, last - PARTS, last)  # what a clock wrote that was ahead counts for nothing
        db.execute("DELETE FROM sent WHERE who=? AND seconds=? AND part NOT BETWEEN ? AND ?", key)
        row = db.execute(
            "SELECT COALESCE(SUM(recipients), 0) FROM sent WHERE who=? AND seconds=? AND part BETWEEN ? AND ?", key
        ).fetchone()
        if row[0] + recipients > limit.count:
            detail = f"{who}: {row[0]} + {recipients} recipients in {limit.seconds} s, limit {limit.count}"
            raise OverLimit(who, detail)
