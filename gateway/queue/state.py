"""What happened to each target so far: queue.db, one SQLite file, synchronous=FULL, one writer (the runner).

Rebuilt from the queue files when it is lost; then targets that were done are tried once more. An outcome
is committed here before a finished file is removed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from directory.model import Condition, Deferred

FORMAT = 1
WAITING, HELD, DONE = "waiting", "held", "done"
#: the outcome is final and stands in `reply`; the sender is not told yet
TELLING = "telling"
MAX_REPLY = 4000

_SCHEMA = """
CREATE TABLE target (message TEXT NOT NULL, number INTEGER NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
  due REAL NOT NULL, reply TEXT NOT NULL, PRIMARY KEY (message, number)) WITHOUT ROWID;
CREATE INDEX target_due ON target (state, due);
CREATE TABLE done (message TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (message, key)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class TargetRow:
    """The state of one target; `number` is its place in the envelope block, `reply` the last answer."""

    number: int
    state: str
    attempts: int
    due: float
    reply: str


class QueueState:
    """queue.db. Raises Deferred(QUEUE_UNAVAILABLE)."""

    def __init__(self, path: Path) -> None:
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                self._db.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version={FORMAT};COMMIT;")
            elif version > FORMAT:
                raise Deferred(Condition.QUEUE_UNAVAILABLE, f"{path} was written by a newer version ({version})")
        except sqlite3.Error as error:
            raise Deferred(Condition.QUEUE_UNAVAILABLE, f"{path}: {error}") from error

    def messages(self) -> set[str]:
        return {row[0] for row in self._db.execute("SELECT DISTINCT message FROM target")}

    def add(self, message: str, targets: int, now: float) -> None:
        """A message came in: every target is due now."""
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany(
            "INSERT OR IGNORE INTO target VALUES (?,?,?,0,?,'')", [(message, n, WAITING, now) for n in range(targets)]
        )
        self._db.execute("COMMIT")

    def targets(self, message: str) -> list[TargetRow]:
        rows = self._db.execute(
            "SELECT number, state, attempts, due, reply FROM target WHERE message=? ORDER BY number", (message,)
        )
        return [TargetRow(*row) for row in rows]

    def due(self, now: float, limit: int) -> list[str]:
        """Messages with a target that is due, oldest first."""
        rows = self._db.execute(
            "SELECT message FROM target WHERE state IN (?, ?) AND due<=? GROUP BY message ORDER BY min(due) LIMIT ?",
            (WAITING, TELLING, now, limit),
        )
        return [row[0] for row in rows]

    def next_due(self, now: float) -> float | None:
        """When the next target after `now` is due; None when nothing waits."""
        row = self._db.execute(
            "SELECT min(due) FROM target WHERE state IN (?, ?) AND due>?", (WAITING, TELLING, now)
        ).fetchone()
        return row[0] if row else None

    def done_keys(self, message: str) -> set[str]:
        return {row[0] for row in self._db.execute("SELECT key FROM done WHERE message=?", (message,))}

    def step_done(self, message: str, keys: Iterable[str]) -> None:
        """These steps of a message are delivered and never repeated."""
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT OR IGNORE INTO done VALUES (?,?)", [(message, key) for key in keys])
        self._db.execute("COMMIT")

    def record(self, message: str, rows: Iterable[TargetRow]) -> None:
        """The outcome of an attempt, on disk when it returns."""
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany(
            "UPDATE target SET state=?, attempts=?, due=?, reply=? WHERE message=? AND number=?",
            [(row.state, row.attempts, row.due, row.reply[:MAX_REPLY], message, row.number) for row in rows],
        )
        self._db.execute("COMMIT")

    def forget(self, message: str) -> None:
        """Drop the rows of a message whose file is gone."""
        self._db.execute("BEGIN IMMEDIATE")
        for table in ("target", "done"):
            self._db.execute(f"DELETE FROM {table} WHERE message=?", (message,))
        self._db.execute("COMMIT")

    def close(self) -> None:
        self._db.close()


def counts(path: Path) -> dict[str, int]:
    """Targets waiting, deferred (tried before) and held, for `status`; read only, zeros without a file."""
    found = {"waiting": 0, "deferred": 0, "held": 0}
    if not path.exists():
        return found
    try:
        db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=2)
        try:
            for state, tried, number in db.execute("SELECT state, attempts>0, count(*) FROM target GROUP BY 1, 2"):
                if state == HELD:
                    found["held"] += number
                elif state == WAITING:
                    found["deferred" if tried else "waiting"] += number
        finally:
            db.close()
    except sqlite3.Error as error:
        raise Deferred(Condition.QUEUE_UNAVAILABLE, f"{path}: {error}") from error
    return found


def held(path: Path, limit: int) -> list[dict[str, str]]:
    """What failed for good and waits for a decision, the newest first: message and last reply. Raises Deferred."""
    if not path.exists():
        return []
    try:
        db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=2)
        try:
            rows = db.execute(
                "SELECT message, reply FROM target WHERE state=? ORDER BY message DESC, number LIMIT ?", (HELD, limit)
            ).fetchall()
        finally:
            db.close()
    except sqlite3.Error as error:
        raise Deferred(Condition.QUEUE_UNAVAILABLE, f"{path}: {error}") from error
    return [{"message": message, "reply": reply} for message, reply in rows]
