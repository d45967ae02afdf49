"""How full a store is, read without opening the repository: for diagnosis beside a running service."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from gateway.store.repository import AccountRow
from gateway.store.sqlite.base import shard_number
from gateway.store.sqlite.repository import SHARDS


def usage(folder: Path, account: str) -> AccountRow | None:
    """The account's row; None for one without a store. Raises sqlite3.Error."""
    path = folder / f"{shard_number(account, SHARDS):02x}.db"
    if not path.exists():
        return None
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2)
    try:
        row = db.execute(
            "SELECT account, path, used_bytes, used_messages FROM account WHERE account=?", (account,)
        ).fetchone()
    finally:
        db.close()
    return AccountRow(*row) if row else None
