"""Small SQLite files that the processes of a host share."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

BUSY_SECONDS = 10.0
LOOK_SECONDS = 2.0


def connect(
    path: Path | str, synchronous: Literal["FULL", "NORMAL"] = "FULL", formats: Sequence[str] = ()
) -> sqlite3.Connection:
    """The database in WAL mode, without transactions of its own, for any thread.

    `formats[n]` are the statements that lead from format n to the next one. Raises sqlite3.Error, for a file of a
    later format too.
    """
    db = sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False)
    try:
        use_wal(db)
        db.execute(f"PRAGMA synchronous={synchronous}")
        if formats:
            _bring_up(db, formats)
    except BaseException:
        db.close()
        raise
    return db


def use_wal(db: sqlite3.Connection) -> None:
    """Change to WAL mode. Raises sqlite3.Error.

    The first processes of a host open a new file at once, and SQLite does not wait for the change of mode as it
    waits for everything else.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One transaction, on disk when the block ends without an error; none is open behind it. Raises sqlite3.Error."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite ends it itself behind some errors, not behind a commit that failed
            db.execute("ROLLBACK")
        raise


def _bring_up(db: sqlite3.Connection, formats: Sequence[str]) -> None:
    with transaction(db):
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(formats):
            raise sqlite3.DatabaseError(f"was written by a newer version ({version})")
        for statements in formats[version:]:
            for statement in statements.split(";"):
                db.execute(statement)
        if version < len(formats):
            db.execute(f"PRAGMA user_version={len(formats)}")


@contextmanager
def looking(path: Path) -> Iterator[sqlite3.Connection]:
    """The database for looking only, beside a running service. Raises sqlite3.Error, for one that is not there too."""
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=LOOK_SECONDS)
    try:
        yield db
    finally:
        db.close()
