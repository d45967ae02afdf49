"""What accounts have sent, day by day (UTC), as far as the brake asks: sending.db, one SQLite file, shared by the
processes of a host. Losing it forgets what is usual for whom.

Different recipients and networks are counted by hashes that are kept for the day alone, at most MAX_DIFFERENT of an
account; days are kept for `brake.history`.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from directory.model import Condition, Deferred
from gateway.files.database import connect, transaction
from gateway.policy.brake import WEEK_DAYS, Counts, Facts

DAY = 86400
MAX_DIFFERENT = 100_000
MAX_PURGED = 1000  # rows at once
RECIPIENT, NETWORK = 0, 1
_FORMATS = (
    """
CREATE TABLE day (account TEXT NOT NULL, day INTEGER NOT NULL, recipients INTEGER NOT NULL, failed INTEGER NOT NULL,
  outside INTEGER NOT NULL, limited INTEGER NOT NULL, networks INTEGER NOT NULL,
  PRIMARY KEY (account, day)) WITHOUT ROWID;
CREATE INDEX day_day ON day (day);
CREATE TABLE seen (day INTEGER NOT NULL, account TEXT NOT NULL, kind INTEGER NOT NULL, hash BLOB NOT NULL,
  PRIMARY KEY (day, account, kind, hash)) WITHOUT ROWID;
CREATE TABLE began (at REAL NOT NULL);
""",
)


def mark(text: str) -> bytes:
    """What is kept of a recipient or a network."""
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest()


@dataclass(slots=True)
class Tally:
    """What an account did since it was last written down."""

    recipients: int = 0
    failed: int = 0
    limited: int = 0
    outside: set[bytes] = field(default_factory=set)
    networks: set[bytes] = field(default_factory=set)


class SendingFacts:
    """Synchronous and thread-safe. Raises Deferred(QUEUE_UNAVAILABLE)."""

    def __init__(self, path: Path, history_seconds: float) -> None:
        self._path = path
        self._days = max(1, int(history_seconds // DAY))
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None

    def add(self, tallies: Mapping[str, Tally], now: float) -> dict[str, Facts]:
        """Write down what accounts did; what is known of each then."""
        with self._lock:
            try:
                if self._db is None:
                    self._db = connect(self._path, "NORMAL", _FORMATS)
                with transaction(self._db) as db:
                    began = self._began(db, now)
                    for account, tally in tallies.items():
                        self._add(db, account, tally, int(now // DAY))
                    self._purge(db, int(now // DAY))
                    return {account: self._facts(db, account, now, began) for account in tallies}
            except sqlite3.Error as error:
                self._close()
                raise Deferred(Condition.QUEUE_UNAVAILABLE, f"{self._path}: {error}") from error

    @staticmethod
    def _began(db: sqlite3.Connection, now: float) -> float:
        row = db.execute("SELECT at FROM began").fetchone()
        if row is None:
            db.execute("INSERT INTO began VALUES (?)", (now,))
        return now if row is None else float(row[0])

    def _add(self, db: sqlite3.Connection, account: str, tally: Tally, today: int) -> None:
        row = db.execute("SELECT outside, networks FROM day WHERE account=? AND day=?", (account, today)).fetchone()
        outside, networks = row or (0, 0)
        db.execute(
            "INSERT INTO day VALUES (?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET recipients=recipients+excluded.recipients,"
            " failed=failed+excluded.failed, limited=limited+excluded.limited, outside=outside+excluded.outside,"
            " networks=networks+excluded.networks",
            (
                account,
                today,
                tally.recipients,
                tally.failed,
                self._fresh(db, account, today, RECIPIENT, tally.outside, MAX_DIFFERENT - outside),
                tally.limited,
                self._fresh(db, account, today, NETWORK, tally.networks, MAX_DIFFERENT - networks),
            ),
        )

    @staticmethod
    def _fresh(
        db: sqlite3.Connection, account: str, today: int, kind: int, marks: Iterable[bytes], room: int
    ) -> int:  # fmt: skip
        """How many of these were not seen today."""
        rows = [(today, account, kind, each) for each in marks][: max(room, 0)]
        return db.executemany("INSERT OR IGNORE INTO seen VALUES (?,?,?,?)", rows).rowcount if rows else 0

    def _purge(self, db: sqlite3.Connection, today: int) -> None:
        db.execute(
            "DELETE FROM seen WHERE (day, account, kind, hash) IN"
            " (SELECT day, account, kind, hash FROM seen WHERE day<? LIMIT ?)",
            (today, MAX_PURGED),
        )
        db.execute(
            "DELETE FROM day WHERE (account, day) IN (SELECT account, day FROM day WHERE day<? LIMIT ?)",
            (today - self._days, MAX_PURGED),
        )

    @staticmethod
    def _facts(db: sqlite3.Connection, account: str, now: float, began: float) -> Facts:
        day = int(now // DAY)
        values = (account, day)
        today = db.execute("SELECT outside, limited, networks FROM day WHERE account=? AND day=?", values).fetchone()
        usual = db.execute(
            "SELECT ifnull(max(outside),0), ifnull(max(limited),0), ifnull(max(networks),0) FROM day"
            " WHERE account=? AND day<?",
            values,
        ).fetchone()
        week = db.execute(
            "SELECT ifnull(sum(recipients),0), ifnull(sum(failed),0) FROM day WHERE account=? AND day>?",
            (account, day - WEEK_DAYS),
        ).fetchone()
        return Facts(Counts(*today or (0, 0, 0)), Counts(*usual), week[0], week[1], now - began)

    def forgive(self, account: str, now: float, *, is_usual: bool) -> None:
        """Nothing that was counted until now is a sign any more; `is_usual`: and may be done again on any day."""
        today = int(now // DAY)
        with self._lock:
            try:
                if self._db is None:
                    self._db = connect(self._path, "NORMAL", _FORMATS)
                with transaction(self._db) as db:
                    if is_usual:
                        db.execute(
                            "INSERT INTO day SELECT account, day-1, 0, 0, outside, limited, networks FROM day"
                            " WHERE account=? AND day=? ON CONFLICT DO UPDATE SET outside=max(outside, excluded.outside),"
                            " limited=max(limited, excluded.limited), networks=max(networks, excluded.networks)",
                            (account, today),
                        )
                    db.execute("DELETE FROM day WHERE account=? AND day=?", (account, today))
                    db.execute("DELETE FROM seen WHERE account=? AND day=?", (account, today))
                    db.execute("UPDATE day SET recipients=0, failed=0 WHERE account=?", (account,))
            except sqlite3.Error as error:
                self._close()
                raise Deferred(Condition.QUEUE_UNAVAILABLE, f"{self._path}: {error}") from error

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def close(self) -> None:
        with self._lock:
            self._close()
