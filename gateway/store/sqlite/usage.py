"""The index, read only and without opening it as a repository: for diagnosis beside a running service."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from directory.model import Condition, Deferred
from gateway.files.database import looking
from gateway.store.repository import AccountRow
from gateway.store.sqlite.base import shard_number
from gateway.store.sqlite.repository import SHARDS


class ReadOnlyIndex:
    """The part of `Repository` that is asked before a delivery. Raises Deferred; nothing is made or changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _rows(self, key: str, sql: str, values: tuple[Any, ...]) -> list[Any]:
        path = self._folder / f"{shard_number(key, SHARDS):02x}.db"
        if not path.exists():
            return []
        try:
            with looking(path) as db:
                return db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"index {path}: {error}") from error

    def account(self, account: str) -> AccountRow | None:
        """The account's row; None for one without a store."""
        rows = self._rows(
            account, "SELECT account, path, used_bytes, used_messages FROM account WHERE account=?", (account,)
        )
        return AccountRow(*rows[0]) if rows else None

    def owners(self, address: str, since: float) -> list[str]:
        """Accounts that owned the address since then."""
        rows = self._rows(
            address, "SELECT account FROM owner WHERE address=? AND last_seen>=? ORDER BY account", (address, since)
        )
        return [account for (account,) in rows]
