"""Small SQLite files that the processes of a host share."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Literal

BUSY_SECONDS = 10.0


def connect(path: Path | str, synchronous: Literal["FULL", "NORMAL"] = "FULL") -> sqlite3.Connection:
    """The database in WAL mode, without transactions of its own, for any thread. Raises sqlite3.Error.

    The first processes of a host open a new file at once, and SQLite does not wait for the change of mode as it
    waits for everything else.
    """
    db = sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False)
    deadline = time.monotonic() + BUSY_SECONDS
    try:
        while True:
            try:
                db.execute("PRAGMA journal_mode=WAL")
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        db.execute(f"PRAGMA synchronous={synchronous}")
    except BaseException:
        db.close()
        raise
    return db
