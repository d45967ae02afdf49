"""What is remembered about the TLS of others (`state_dir/tls.db`): MTA-STS policies, and counts of connections by
domain, day and policy, as TLS reports want them (RFC 8460 4.4).

A cache: without it policies are fetched again and a day's counts are short. One process writes it.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from directory.model import Condition, Deferred
from gateway.deliver.mta_sts import StsPolicy
from gateway.files.database import connect, looking, transaction
from gateway.observe.log import fields

_log = logging.getLogger("gatepost.tls")
#: in state_dir
FILE = "tls.db"
VERSION = 1
KEPT_DAYS = 30
MAX_WAITING = 1000
FLUSH_SECONDS = 60.0
SUCCESS = "success"
SECONDS_A_DAY = 86400
_SCHEMA = """
CREATE TABLE IF NOT EXISTS policy (domain TEXT PRIMARY KEY, content BLOB NOT NULL, until REAL NOT NULL);
CREATE TABLE IF NOT EXISTS session (
    day TEXT NOT NULL, domain TEXT NOT NULL, kind TEXT NOT NULL, policy TEXT NOT NULL, host TEXT NOT NULL,
    result TEXT NOT NULL, number INTEGER NOT NULL,
    PRIMARY KEY (day, domain, kind, policy, host, result)) WITHOUT ROWID;
"""


class Sessions(NamedTuple):
    """A count. `kind` is tlsa, sts or no-policy-found, `policy` what it said, `result` success or a result type
    of RFC 8460 4.3."""

    day: str
    domain: str
    kind: str
    policy: str
    host: str
    result: str
    connections: int


class TlsStore:
    """One process writes; any may read. Nothing here ever stops a message: a damaged file is begun anew, what
    cannot be written is said in the log and left out, without a file everything is kept in memory."""

    def __init__(self, path: Path, clock: Callable[[], float], on_waiting: Callable[[], None]) -> None:
        """`on_waiting` is called when counts begin to wait: `flush` is due `FLUSH_SECONDS` later."""
        self._clock, self._on_waiting = clock, on_waiting
        self._waiting: dict[tuple[str, str, str, str, str, str], int] = {}
        self._db = self._opened(path)

    def _opened(self, path: Path) -> sqlite3.Connection:
        problem: Exception | None = None
        for again in (False, True):
            try:
                return self._open(str(path))
            except _Newer as error:
                problem = error
                break
            except sqlite3.Error as error:
                problem = error
                if again or isinstance(error, sqlite3.OperationalError):  # the disk's trouble, not the file's
                    break
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        _log.error("%s", fields(event="tls-store-in-memory", file=path, detail=problem))
        return self._open(":memory:")

    def _open(self, path: str) -> sqlite3.Connection:
        db = connect(path, "NORMAL")
        try:
            if db.execute("PRAGMA user_version").fetchone()[0] > VERSION:
                raise _Newer("written by a newer version")
            db.executescript(_SCHEMA)
            db.execute(f"PRAGMA user_version={VERSION}")
        except BaseException:
            db.close()
            raise
        return db

    def policy(self, domain: str) -> StsPolicy | None:
        """See `PolicyStore`."""
        try:
            row = self._db.execute("SELECT content FROM policy WHERE domain = ?", (domain,)).fetchone()
            return None if row is None else msgspec.json.decode(row[0], type=StsPolicy)
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            _log.error("%s", fields(event="tls-store-failed", domain=domain, detail=error))
            return None

    def keep_policy(self, domain: str, policy: StsPolicy) -> None:
        """See `PolicyStore`."""
        row = domain, msgspec.json.encode(policy), policy.fetched + policy.max_age
        try:
            self._db.execute("INSERT OR REPLACE INTO policy VALUES (?, ?, ?)", row)
        except sqlite3.Error as error:
            _log.error("%s", fields(event="tls-store-failed", domain=domain, detail=error))

    def count(self, domain: str, kind: str, policy: str, host: str, result: str) -> None:
        """Count one connection."""
        if not self._waiting:
            self._on_waiting()
        key = (day_of(self._clock()), domain, kind, policy, host, result)
        self._waiting[key] = self._waiting.get(key, 0) + 1
        if len(self._waiting) >= MAX_WAITING:
            self.flush()

    def flush(self) -> None:
        """Write the counts down and drop those of more than a month ago."""
        now = self._clock()
        waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        try:
            with transaction(self._db) as db:
                db.executemany(
                    "INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, ?) "
                    "ON CONFLICT DO UPDATE SET number = number + excluded.number",
                    [(*key, number) for key, number in waiting.items()],
                )
                db.execute("DELETE FROM session WHERE day < ?", (day_of(now - KEPT_DAYS * SECONDS_A_DAY),))
                db.execute("DELETE FROM policy WHERE until < ?", (now,))
        except sqlite3.Error as error:
            _log.error("%s", fields(event="tls-store-failed", counts=len(waiting), detail=error))

    def close(self) -> None:
        """Write what waits, and close."""
        self.flush()
        self._db.close()


class _Newer(Exception):
    """The file is of a later version of Gatepost: it is left alone."""


def day_of(now: float) -> str:
    """The day by which connections are counted, in UTC (RFC 8460 4.1)."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")


def seen(
    path: Path, since: str, *, domain: str | None = None, only_failed: bool = False, limit: int = 1000
) -> list[Sessions]:
    """Counts from the day `since` on, the newest day first, for operators; nothing without a file. Raises Deferred."""
    if not path.exists():
        return []
    try:
        with looking(path) as db:
            rows = db.execute(
                "SELECT day, domain, kind, policy, host, result, number FROM session "
                "WHERE day >= ? AND (? IS NULL OR domain = ?) AND (NOT ? OR result <> ?) "
                "ORDER BY day DESC, domain, kind, policy, host, result LIMIT ?",
                (since, domain, domain, only_failed, SUCCESS, limit),
            )
            return [Sessions(*row) for row in rows]
    except sqlite3.Error as error:
        raise Deferred(Condition.QUEUE_UNAVAILABLE, f"{path}: {error}") from error
