"""The index in SQLite: 16 shard files on local disk, WAL, one connection a shard and process.

Every write is BEGIN IMMEDIATE. UIDs and MODSEQs come from a reservation that is committed with
synchronous=FULL before use; other commits are NORMAL, so that a power cut may lose rows whose files
are found again, but never lets a UID be given twice.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from directory.model import Condition, Deferred, Refused
from gateway.store.repository import AccountRow, Limits, MailboxRow, MessageRow, NewMessage

SHARDS = 16
FORMAT = 1
BUSY_MS = 10_000
UID_BLOCK = 1024
MODSEQ_BLOCK = 16384

_SCHEMA = """
CREATE TABLE account (
  account TEXT NOT NULL PRIMARY KEY, path TEXT NOT NULL, uidvalidity_next INTEGER NOT NULL,
  used_bytes INTEGER NOT NULL DEFAULT 0, used_messages INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE mailbox (
  account TEXT NOT NULL, id INTEGER NOT NULL, name TEXT NOT NULL, uidvalidity INTEGER NOT NULL,
  uidnext INTEGER NOT NULL, uid_reserved INTEGER NOT NULL,
  highestmodseq INTEGER NOT NULL, modseq_reserved INTEGER NOT NULL,
  PRIMARY KEY (account, id), UNIQUE (account, name)
) WITHOUT ROWID;
CREATE TABLE message (
  account TEXT NOT NULL, mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, modseq INTEGER NOT NULL,
  flags TEXT NOT NULL, info TEXT NOT NULL, size INTEGER NOT NULL, crlf INTEGER NOT NULL,
  internaldate REAL NOT NULL, ukey TEXT NOT NULL, name TEXT NOT NULL, rcpt TEXT NOT NULL,
  expunged_at REAL,
  PRIMARY KEY (account, mailbox, uid), UNIQUE (account, mailbox, ukey)
) WITHOUT ROWID;
CREATE INDEX message_modseq ON message (account, mailbox, modseq);
"""


def _row(row: tuple[int, str, int, int, int]) -> MailboxRow:
    return MailboxRow(*row)


class _Shard:
    def __init__(self, path: Path) -> None:
        self.lock = threading.Lock()
        self.connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000, cached_statements=256
        )
        execute = self.connection.execute
        execute("PRAGMA journal_mode=WAL")
        execute("PRAGMA synchronous=NORMAL")
        version = execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            execute("BEGIN EXCLUSIVE")
            if execute("PRAGMA user_version").fetchone()[0] == 0:
                for statement in _SCHEMA.split(";"):
                    if statement.strip():
                        execute(statement)
                execute(f"PRAGMA user_version={FORMAT}")
            execute("COMMIT")
        elif version > FORMAT:
            raise Deferred(
                Condition.STORE_UNAVAILABLE,
                f"{path} was written by a newer version (format {version}, known {FORMAT})",
            )

    @contextmanager
    def transaction(self, *, full: bool = False) -> Iterator[sqlite3.Connection]:
        """One write transaction; `full` puts it on disk before it returns."""
        with self.lock:
            if full:
                self.connection.execute("PRAGMA synchronous=FULL")
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self.connection
                except BaseException:
                    self.connection.execute("ROLLBACK")
                    raise
                self.connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise Deferred(Condition.STORE_UNAVAILABLE, f"index: {error}") from error
            finally:
                if full:
                    self.connection.execute("PRAGMA synchronous=NORMAL")


class SqliteRepository:
    """Implements `gateway.store.repository.Repository`. Opened after fork only."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._shards = [_Shard(folder / f"{number:02x}.db") for number in range(SHARDS)]
        except sqlite3.Error as error:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"index {folder}: {error}") from error

    def _shard(self, account: str) -> _Shard:
        return self._shards[hashlib.sha256(account.encode()).digest()[0] % SHARDS]

    @contextmanager
    def _read(self, account: str) -> Iterator[sqlite3.Connection]:
        shard = self._shard(account)
        with shard.lock:
            try:
                yield shard.connection
            except sqlite3.Error as error:
                raise Deferred(Condition.STORE_UNAVAILABLE, f"index: {error}") from error

    def account(self, account: str) -> AccountRow | None:
        with self._read(account) as db:
            row = db.execute(
                "SELECT account, path, used_bytes, used_messages FROM account WHERE account=?", (account,)
            ).fetchone()
        return AccountRow(*row) if row else None

    def create_account(self, account: str, path: str, now: float) -> AccountRow:
        with self._shard(account).transaction(full=True) as db:
            known = db.execute("SELECT 1 FROM account WHERE account=?", (account,)).fetchone()
            if known is None:
                start = int(now)
                db.execute("INSERT INTO account VALUES (?,?,?,0,0)", (account, path, start + 1))
                db.execute(
                    "INSERT INTO mailbox VALUES (?,1,'INBOX',?,1,?,1,?)",
                    (account, start, 1 + UID_BLOCK, 1 + MODSEQ_BLOCK),
                )
        created = self.account(account)
        assert created is not None
        return created

    def mailbox(self, account: str, name: str) -> MailboxRow | None:
        with self._read(account) as db:
            row = db.execute(
                "SELECT id, name, uidvalidity, uidnext, highestmodseq FROM mailbox WHERE account=? AND name=?",
                (account, name),
            ).fetchone()
        return _row(row) if row else None

    def mailboxes(self, account: str) -> list[MailboxRow]:
        with self._read(account) as db:
            rows = db.execute(
                "SELECT id, name, uidvalidity, uidnext, highestmodseq FROM mailbox WHERE account=? ORDER BY name",
                (account,),
            ).fetchall()
        return [_row(row) for row in rows]

    def _reserve(self, account: str, mailbox: int) -> None:
        with self._shard(account).transaction(full=True) as db:
            db.execute(
                "UPDATE mailbox SET uid_reserved=max(uid_reserved, uidnext+?), "
                "modseq_reserved=max(modseq_reserved, highestmodseq+?) WHERE account=? AND id=?",
                (UID_BLOCK, MODSEQ_BLOCK, account, mailbox),
            )

    def add(self, account: str, mailbox: int, message: NewMessage, limits: Limits) -> tuple[int, int, str]:
        while True:
            with self._shard(account).transaction() as db:
                row = db.execute(
                    "SELECT m.uidnext, m.uid_reserved, m.highestmodseq, m.modseq_reserved, a.used_bytes, a.used_messages "
                    "FROM mailbox m JOIN account a USING (account) WHERE m.account=? AND m.id=?",
                    (account, mailbox),
                ).fetchone()
                if row is None:
                    raise Deferred(Condition.STORE_UNAVAILABLE, f"mailbox {mailbox} of {account} is gone")
                uid, uid_reserved, modseq, modseq_reserved, used, count = row
                modseq += 1
                if uid < uid_reserved and modseq < modseq_reserved:
                    if (limits.bytes and used + message.size > limits.bytes) or (
                        limits.messages and count + 1 > limits.messages
                    ):
                        raise Refused(Condition.MAILBOX_FULL)
                    name = f"{message.ukey},S={message.size},W={message.crlf},U={uid}"
                    db.execute(
                        "INSERT INTO message VALUES (?,?,?,?,?,?,?,?,?,?,?,?,NULL)",
                        (
                            account,
                            mailbox,
                            uid,
                            modseq,
                            message.flags,
                            message.flags,
                            message.size,
                            message.crlf,
                            message.internaldate,
                            message.ukey,
                            name,
                            message.recipient,
                        ),
                    )
                    db.execute(
                        "UPDATE mailbox SET uidnext=?, highestmodseq=? WHERE account=? AND id=?",
                        (uid + 1, modseq, account, mailbox),
                    )
                    db.execute(
                        "UPDATE account SET used_bytes=used_bytes+?, used_messages=used_messages+1 WHERE account=?",
                        (message.size, account),
                    )
                    return uid, modseq, name
            self._reserve(account, mailbox)

    def messages(self, account: str, mailbox: int, after_modseq: int = 0) -> list[MessageRow]:
        with self._read(account) as db:
            rows = db.execute(
                "SELECT uid, modseq, flags, size, crlf, internaldate, ukey, name FROM message "
                "WHERE account=? AND mailbox=? AND modseq>? ORDER BY uid",
                (account, mailbox, after_modseq),
            ).fetchall()
        return [MessageRow(*row) for row in rows]

    def close(self) -> None:
        for shard in self._shards:
            with shard.lock:
                shard.connection.close()
