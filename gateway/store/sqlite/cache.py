"""The droppable cache of parsed messages, in files of its own beside the shards."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from directory.model import Deferred
from gateway.store.sqlite.base import chunks, marks, shard_number
from gateway.store.sqlite.schema import CACHE, CACHE_FORMAT
from gateway.store.sqlite.shard import open_database

MAX_BLOB = 65_536
FILES = 4


class Cache:
    """Trouble here costs time and nothing else: a damaged file is made anew, an error reads as "not cached"."""

    def __init__(self, folder: Path) -> None:
        self._files = [(_open(folder / f"parsed-{number}.db"), threading.Lock()) for number in range(FILES)]

    def get(
        self, account: str, mailbox: int, uids: Collection[int], version: int, *, waits: bool = True
    ) -> dict[int, bytes]:
        connection, lock = self._files[shard_number(account, FILES)]
        found: dict[int, bytes] = {}
        if not lock.acquire(blocking=waits):
            return {}
        try:
            for part in chunks(uids):
                found.update(
                    connection.execute(
                        "SELECT uid, blob FROM parsed WHERE account=? AND mailbox=? AND version=? "
                        f"AND uid IN ({marks(part)})",
                        (account, mailbox, version, *part),
                    )
                )
        except sqlite3.Error:
            return {}
        finally:
            lock.release()
        return found

    def put(self, account: str, mailbox: int, blobs: Mapping[int, bytes], version: int) -> None:
        connection, lock = self._files[shard_number(account, FILES)]
        rows = [(account, mailbox, uid, version, blob) for uid, blob in blobs.items() if len(blob) <= MAX_BLOB]
        self._write(connection, lock, "INSERT OR REPLACE INTO parsed VALUES (?,?,?,?,?)", rows)

    def drop(self, account: str, mailbox: int, uids: Collection[int]) -> None:
        connection, lock = self._files[shard_number(account, FILES)]
        rows = [(account, mailbox, uid) for uid in uids]
        self._write(connection, lock, "DELETE FROM parsed WHERE account=? AND mailbox=? AND uid=?", rows)

    def drop_mailbox(self, account: str, mailbox: int) -> None:
        connection, lock = self._files[shard_number(account, FILES)]
        self._write(connection, lock, "DELETE FROM parsed WHERE account=? AND mailbox=?", [(account, mailbox)])

    def drop_account(self, account: str) -> None:
        connection, lock = self._files[shard_number(account, FILES)]
        self._write(connection, lock, "DELETE FROM parsed WHERE account=?", [(account,)])

    @staticmethod
    def _write(
        connection: sqlite3.Connection, lock: threading.Lock, sql: str, rows: Sequence[tuple[object, ...]]
    ) -> None:
        if not rows:
            return
        with lock:
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(sql, rows)
                connection.execute("COMMIT")
            except sqlite3.Error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def close(self) -> None:
        for connection, lock in self._files:
            with lock:
                connection.close()


def _open(path: Path) -> sqlite3.Connection:
    try:
        return open_database(path, CACHE, CACHE_FORMAT)
    except (sqlite3.DatabaseError, Deferred):
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        return open_database(path, CACHE, CACHE_FORMAT)
