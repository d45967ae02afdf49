"""What lists remember of their members: bounces and who is parked. lists.db, one SQLite file, synchronous=FULL.

It stands beside the queue and not in state.db, because workers ask it at every message to a list and may not open the
agent's files. Part of every backup, never rebuilt. Any process of the mail user writes, all read; who asks again while
nothing changed is answered from memory.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from directory.model import Condition, Deferred
from gateway.files.database import connect, looking, transaction

MAX_SHOWN = 10_000  # rows of one list in one answer

_SCHEMA = """
CREATE TABLE bounce (list TEXT NOT NULL, member TEXT NOT NULL, score REAL NOT NULL, count INTEGER NOT NULL,
  last REAL NOT NULL, message TEXT NOT NULL, why TEXT NOT NULL, parked REAL, PRIMARY KEY (list, member)) WITHOUT ROWID;
CREATE INDEX bounce_last ON bounce (last);
CREATE TABLE no_copy (list TEXT NOT NULL, member TEXT NOT NULL, PRIMARY KEY (list, member)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Bounces:
    """What came back for one member. `parked` is since when he gets nothing, None while he does."""

    member: str
    score: float
    count: int
    last: float
    why: str
    parked: float | None


class ListState:
    """Thread-safe. Raises Deferred(QUEUE_UNAVAILABLE) for trouble with the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._version = -1
        self._parked: dict[str, frozenset[str]] = {}
        self._no_copy: dict[str, frozenset[str]] = {}
        try:
            self._db = connect(path, formats=(_SCHEMA,))
        except sqlite3.Error as error:
            raise Deferred(Condition.QUEUE_UNAVAILABLE, f"{path}: {error}") from error

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, on disk when the block ends without an error."""
        with self._lock:
            try:
                with transaction(self._db):
                    yield self._db
            except sqlite3.Error as error:
                raise Deferred(Condition.QUEUE_UNAVAILABLE, f"{self._path}: {error}") from error
            finally:
                self._version = -1  # the pragma does not count one's own changes

    def parked(self, list_id: str) -> frozenset[str]:
        """Members of the list who get nothing at the moment."""
        with self._lock:
            self._look()
            return self._parked.get(list_id, frozenset())

    def no_copy(self, list_id: str) -> frozenset[str]:
        """Members who do not want their own posts back."""
        with self._lock:
            self._look()
            return self._no_copy.get(list_id, frozenset())

    def _look(self) -> None:
        try:
            version = self._db.execute("PRAGMA data_version").fetchone()[0]
            if version != self._version:
                self._parked = self._by_list("SELECT list, member FROM bounce WHERE parked IS NOT NULL")
                self._no_copy = self._by_list("SELECT list, member FROM no_copy")
                self._version = version
        except sqlite3.Error as error:
            raise Deferred(Condition.QUEUE_UNAVAILABLE, f"{self._path}: {error}") from error

    def _by_list(self, query: str) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for one, member in self._db.execute(query):
            found.setdefault(one, set()).add(member)
        return {one: frozenset(some) for one, some in found.items()}

    def want_copies(self, list_id: str, member: str, *, wanted: bool) -> None:
        """Remember whether a member wants his own posts back; everybody does until he says so."""
        with self._changing() as db:
            if wanted:
                db.execute("DELETE FROM no_copy WHERE list=? AND member=?", (list_id, member))
            else:
                db.execute("INSERT OR IGNORE INTO no_copy VALUES (?,?)", (list_id, member))

    def bounced(
        self, list_id: str, member: str, weight: float, why: str, message: str, now: float, *, limit: int, forget: float
    ) -> bool:
        """Count a bounce; True when the member is parked by it. The same `message` counts once."""
        with self._changing() as db:
            row = db.execute(
                "SELECT score, count, last, message, parked FROM bounce WHERE list=? AND member=?", (list_id, member)
            ).fetchone()
            score, count, last, known, parked = row or (0.0, 0, now, "", None)
            if known == message:
                return False
            if parked is None and now - last > forget:
                score, count = 0.0, 0
            score, count = score + weight, count + 1
            is_new = parked is None and score >= limit
            db.execute(
                "INSERT INTO bounce VALUES (?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET score=excluded.score,"
                " count=excluded.count, last=excluded.last, message=excluded.message, why=excluded.why,"
                " parked=excluded.parked",
                (list_id, member, score, count, now, message, why[:1000], now if is_new else parked),
            )
            db.execute("DELETE FROM bounce WHERE parked IS NULL AND last < ?", (now - forget,))
            return is_new

    def unpark(self, list_id: str, member: str) -> bool:
        """Forget a member's bounces; False when there are none."""
        with self._changing() as db:
            return db.execute("DELETE FROM bounce WHERE list=? AND member=?", (list_id, member)).rowcount > 0

    def close(self) -> None:
        with self._lock:
            self._db.close()


def bounces(path: Path, list_id: str) -> list[Bounces]:
    """The members of a list for whom something came back, read only, worst first. Raises Deferred."""
    if not path.exists():
        return []
    try:
        with looking(path) as db:
            rows = db.execute(
                "SELECT member, score, count, last, why, parked FROM bounce WHERE list=?"
                " ORDER BY parked IS NULL, score DESC, member LIMIT ?",
                (list_id, MAX_SHOWN),
            ).fetchall()
    except sqlite3.Error as error:
        raise Deferred(Condition.QUEUE_UNAVAILABLE, f"{path}: {error}") from error
    return [Bounces(*row) for row in rows]
