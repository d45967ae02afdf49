"""What each reader of a mailbox that several work on has seen: a row for each message that is otherwise for it.

Whether a message is seen by a reader is said by its row in `seen`; where there is none, by the message's own
flag. A change takes a MODSEQ of the mailbox, and the message has for this reader the greater of both.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Sequence

from gateway.store.flags import letters
from gateway.store.repository import MessageRow, Outline
from gateway.store.sqlite.base import MESSAGE, Base, Exhausted, chunks, marks, next_modseq, recount

_MESSAGE = ", ".join(f"m.{column.strip()}" for column in MESSAGE.split(","))
_JOINED = "message m LEFT JOIN seen s ON s.account=m.account AND s.mailbox=m.mailbox AND s.user=? AND s.uid=m.uid"
#: (flags, keywords) that a row is to have, None when it must stay as it is
Wanted = Callable[[MessageRow], tuple[str, str] | None]


def _flags(flags: str, is_seen: int | None) -> str:
    """The flags as the reader knows them."""
    if is_seen is None or bool(is_seen) == ("S" in flags):
        return flags
    return letters(flags + "S") if is_seen else flags.replace("S", "")


class Readers(Base):
    """Part of SqliteRepository."""

    def _outline_for(
        self, account: str, mailbox: int, reader: str, after_modseq: int, after_uid: int, limit: int
    ) -> list[Outline]:
        where, first, values = "", "m.uid", ()  # type: str, str, tuple[object, ...]
        if after_modseq:
            first = "+m.uid"  # so that the few are looked up, and not all from there on
            where = (
                "AND m.uid IN (SELECT uid FROM message WHERE account=? AND mailbox=? AND modseq>? "
                "UNION SELECT uid FROM seen WHERE account=? AND mailbox=? AND user=? AND modseq>?) "
            )
            values = (account, mailbox, after_modseq, account, mailbox, reader, after_modseq)
        rows = self._all(
            account,
            "SELECT m.uid, max(m.modseq, coalesce(s.modseq, 0)), m.flags, m.keywords, m.crlf, m.internaldate, s.is_seen "
            f"FROM {_JOINED} WHERE m.account=? AND m.mailbox=? {where}"
            f"AND {first}>? AND m.expunged_at IS NULL ORDER BY m.uid LIMIT ?",
            (reader, account, mailbox, *values, after_uid, limit),
        )
        return [(uid, at, _flags(flags, is_seen), *rest) for uid, at, flags, *rest, is_seen in rows]

    def _change_for(
        self, account: str, mailbox: int, uids: list[int], reader: str, wanted: Wanted
    ) -> tuple[list[MessageRow], list[int]]:
        """One transaction: rows whose flags changed for this reader, UIDs for which `wanted` said None."""
        while True:
            try:
                with self._shard(account).transaction() as db:
                    return _change(db, account, mailbox, uids, reader, wanted)
            except Exhausted:
                self._reserve(account, mailbox)

    def unseen(self, account: str, mailbox: int, reader: str) -> int:
        row = self._one(
            account,
            "SELECT (SELECT unseen FROM mailbox WHERE account=?1 AND id=?2) + coalesce((SELECT "
            "sum(CASE WHEN instr(m.flags, 'S') THEN NOT s.is_seen ELSE -s.is_seen END) FROM seen s JOIN message m "
            "ON m.account=s.account AND m.mailbox=s.mailbox AND m.uid=s.uid "
            "WHERE s.account=?1 AND s.mailbox=?2 AND s.user=?3 AND m.expunged_at IS NULL), 0)",
            (account, mailbox, reader),
        )
        return int(row[0] or 0)

    def seen_by(self, account: str, mailbox: int, uids: Collection[int], reader: str) -> set[int]:
        found: set[int] = set()
        for part in chunks(uids):
            rows = self._all(
                account,
                f"SELECT m.uid, m.flags, s.is_seen FROM {_JOINED} WHERE m.account=? AND m.mailbox=? "
                f"AND m.uid IN ({marks(part)}) AND m.expunged_at IS NULL",
                (reader, account, mailbox, *part),
            )
            found.update(uid for uid, flags, is_seen in rows if "S" in _flags(flags, is_seen))
        return found

    def copy_seen(self, account: str, mailbox: int, target: int, pairs: Sequence[tuple[int, int]]) -> int:
        copies, modseq = dict(pairs), 0
        if self._one(account, "SELECT 1 FROM seen WHERE account=? AND mailbox=? LIMIT 1", (account, mailbox)) is None:
            return 0
        for part in chunks(copies):
            while True:
                try:
                    with self._shard(account).transaction() as db:
                        rows = db.execute(
                            f"SELECT user, uid, is_seen FROM seen WHERE account=? AND mailbox=? AND uid IN ({marks(part)})",
                            (account, mailbox, *part),
                        ).fetchall()
                        if rows:
                            modseq = _write(db, account, target, [(user, copies[uid], s) for user, uid, s in rows])
                    break
                except Exhausted:
                    self._reserve(account, target)
        return modseq

    def seen_since(self, account: str, mailbox: int, after_modseq: int) -> list[tuple[str, str, bool]]:
        rows = self._all(
            account,
            "SELECT m.ukey, s.user, s.is_seen FROM seen s JOIN message m "
            "ON m.account=s.account AND m.mailbox=s.mailbox AND m.uid=s.uid "
            "WHERE s.account=? AND s.mailbox=? AND s.modseq>? AND m.expunged_at IS NULL",
            (account, mailbox, after_modseq),
        )
        return [(ukey, user, bool(is_seen)) for ukey, user, is_seen in rows]

    def restore_seen(self, account: str, mailbox: int, seen: Sequence[tuple[int, str, bool]]) -> None:
        for start in range(0, len(seen), 2_000):
            part = [(reader, uid, int(is_seen)) for uid, reader, is_seen in seen[start : start + 2_000]]
            while True:
                try:
                    with self._shard(account).transaction() as db:
                        _write(db, account, mailbox, part)
                    break
                except Exhausted:
                    self._reserve(account, mailbox)


def _write(db: sqlite3.Connection, account: str, mailbox: int, rows: list[tuple[str, int, int]]) -> int:
    """Note (reader, UID, is seen); the MODSEQ of that."""
    modseq = next_modseq(db, account, mailbox)
    db.executemany(
        "INSERT OR REPLACE INTO seen (account, mailbox, user, uid, modseq, is_seen) VALUES (?,?,?,?,?,?)",
        [(account, mailbox, reader, uid, modseq, is_seen) for reader, uid, is_seen in rows],
    )
    return modseq


def _change(
    db: sqlite3.Connection, account: str, mailbox: int, uids: list[int], reader: str, wanted: Wanted
) -> tuple[list[MessageRow], list[int]]:
    failed: list[int] = []
    changes: list[tuple[MessageRow, str, str, str]] = []
    rows = db.execute(
        f"SELECT {_MESSAGE}, s.is_seen, coalesce(s.modseq, 0) FROM {_JOINED} WHERE m.account=? AND m.mailbox=? "
        f"AND m.uid IN ({marks(uids)}) AND m.expunged_at IS NULL ORDER BY m.uid",
        (reader, account, mailbox, *uids),
    ).fetchall()
    for uid, modseq, stored, *rest, is_seen, seen_modseq in rows:
        row = MessageRow(uid, max(modseq, seen_modseq), _flags(stored, is_seen), *rest)
        new = wanted(row)
        if new is None:
            failed.append(uid)
        elif new != (row.flags, row.keywords):
            changes.append((row, stored, *new))
    if not changes:
        return [], failed
    seen = [(reader, r.uid, int("S" in flags)) for r, _, flags, _ in changes if ("S" in flags) != ("S" in r.flags)]
    modseq = _write(db, account, mailbox, seen)
    deleted = 0
    done: list[MessageRow] = []
    for row, stored, flags, keywords in changes:
        kept = letters(flags.replace("S", "") + ("S" if "S" in stored else ""))
        if (kept, keywords) != (stored, row.keywords):
            deleted += ("T" in kept) - ("T" in stored)
            db.execute(
                "UPDATE message SET modseq=?, flags=?, keywords=? WHERE account=? AND mailbox=? AND uid=?",
                (modseq, kept, keywords, account, mailbox, row.uid),
            )
        done.append(
            MessageRow(
                row.uid, modseq, flags, keywords, row.size, row.crlf, row.internaldate, row.savedate, row.ukey,
                row.name, row.recipient, row.info,
            )
        )  # fmt: skip
    recount(db, account, mailbox, 0, 0, 0, deleted)
    return done, failed
