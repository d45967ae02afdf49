"""What the parts of the SQLite repository share: the shards and how rows are read."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection, Iterator
from typing import Any

from directory.model import Condition, Deferred
from gateway.store.repository import MailboxRow, MessageRow
from gateway.store.sqlite.shard import MODSEQ_BLOCK, UID_BLOCK, Shard

ROWS = 2_000  # rows one transaction may touch, far below 100 ms
MAILBOX = "id, name, uidvalidity, uidnext, highestmodseq, special_use, acl, metadata"
MESSAGE = "uid, modseq, flags, keywords, size, crlf, internaldate, savedate, ukey, name, rcpt, info"


def shard_number(account: str, count: int) -> int:
    return hashlib.sha256(account.encode()).digest()[0] % count


def chunks(uids: Collection[int], size: int = ROWS) -> Iterator[list[int]]:
    """The UIDs ascending, each once, in portions."""
    ordered = sorted(set(uids))
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def marks(values: Collection[object]) -> str:
    return ",".join("?" * len(values))


def live_rows(db: sqlite3.Connection, account: str, mailbox: int, uids: list[int]) -> list[MessageRow]:
    """Living messages of these UIDs, by UID."""
    found = db.execute(
        f"SELECT {MESSAGE} FROM message WHERE account=? AND mailbox=? AND uid IN ({marks(uids)}) "
        "AND expunged_at IS NULL ORDER BY uid",
        (account, mailbox, *uids),
    )
    return [MessageRow(*row) for row in found]


def gone(account: str, mailbox: int) -> Deferred:
    return Deferred(Condition.STORE_UNAVAILABLE, f"mailbox {mailbox} of {account} is gone")


class Base:
    """Shards by account."""

    _shards: list[Shard]

    def _shard(self, account: str) -> Shard:
        return self._shards[shard_number(account, len(self._shards))]

    def _all(self, account: str, sql: str, parameters: tuple[Any, ...]) -> list[Any]:
        return self._shard(account).all(sql, parameters)

    def _one(self, account: str, sql: str, parameters: tuple[Any, ...]) -> Any:
        return self._shard(account).one(sql, parameters)

    def _mailbox_row(self, account: str, where: str, value: object) -> MailboxRow | None:
        row = self._one(account, f"SELECT {MAILBOX} FROM mailbox WHERE account=? AND {where}=?", (account, value))
        return MailboxRow(*row) if row else None

    def _reserve(self, account: str, mailbox: int, uids: int = 0) -> None:
        """Raise both reservations, on disk on return; no UID or MODSEQ above them is ever given."""
        with self._shard(account).transaction(full=True) as db:
            reserve(db, account, mailbox, uids)


def reserve(db: sqlite3.Connection, account: str, mailbox: int, uids: int = 0) -> None:
    db.execute(
        "UPDATE mailbox SET uid_reserved=max(uid_reserved, uidnext+?), "
        "modseq_reserved=max(modseq_reserved, highestmodseq+?) WHERE account=? AND id=?",
        (UID_BLOCK + uids, MODSEQ_BLOCK, account, mailbox),
    )


class Exhausted(Exception):
    """The reservation does not reach; raise it and begin again."""

    def __init__(self, account: str, mailbox: int, uids: int) -> None:
        super().__init__(account, mailbox, uids)
        self.account, self.mailbox, self.uids = account, mailbox, uids


def next_modseq(db: sqlite3.Connection, account: str, mailbox: int) -> int:
    """The MODSEQ for this transaction's changes. Raises Exhausted before anything is written."""
    row = db.execute(
        "SELECT highestmodseq+1, modseq_reserved FROM mailbox WHERE account=? AND id=?", (account, mailbox)
    ).fetchone()
    if row is None:
        raise gone(account, mailbox)
    if row[0] >= row[1]:
        raise Exhausted(account, mailbox, 0)
    db.execute("UPDATE mailbox SET highestmodseq=? WHERE account=? AND id=?", (row[0], account, mailbox))
    return int(row[0])


def recount(
    db: sqlite3.Connection, account: str, mailbox: int, messages: int, unseen: int, octets: int, deleted: int
) -> None:
    """Add to the counters of a mailbox and, as far as it has changed, to the account's quota use."""
    db.execute(
        "UPDATE mailbox SET messages=messages+?, unseen=unseen+?, octets=octets+?, deleted=deleted+? "
        "WHERE account=? AND id=?",
        (messages, unseen, octets, deleted, account, mailbox),
    )


def use(db: sqlite3.Connection, account: str, octets: int, messages: int) -> None:
    """Add to the quota use of an account."""
    db.execute(
        "UPDATE account SET used_bytes=used_bytes+?, used_messages=used_messages+? WHERE account=?",
        (octets, messages, account),
    )
