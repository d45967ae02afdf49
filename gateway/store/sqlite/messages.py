"""Messages: reading rows, flags, expunge and tombstones."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

from gateway.store.flags import changed, foreign_change
from gateway.store.repository import Counts, MessageRow, Mode, Outline
from gateway.store.sqlite.base import MESSAGE, Exhausted, chunks, live_rows, marks, next_modseq, recount, use
from gateway.store.sqlite.placing import remove
from gateway.store.sqlite.readers import Readers

_EVERYTHING = 1 << 32  # more rows than a mailbox has UIDs
#: what a row becomes: (flags, keywords, name, info), None when it must stay as it is
_Wanted: TypeAlias = Callable[[MessageRow], tuple[str, str, str, str] | None]


# from the newest back, as many as there are: what a client collects by POP3 leaves thousands of tombstones below
_ALL_LIVE = (
    "WHERE account=? AND mailbox=? AND expunged_at IS NULL ORDER BY uid DESC "
    "LIMIT coalesce((SELECT messages FROM mailbox WHERE account=? AND id=?), 0)"
)
#: columns in which is counted: of an account, of a mailbox
_COUNTS = (("used_messages", "used_bytes"), ("messages", "unseen", "octets", "deleted"))
_ACCOUNT_KEPT, _MAILBOX_KEPT = "account WHERE account=?", "mailbox WHERE account=? AND id=?"
_ACCOUNT_SUMS = "SELECT count(*), total(size) FROM message WHERE account=? AND expunged_at IS NULL"
_MAILBOX_SUMS = (
    "SELECT count(*), total(NOT instr(flags, 'S')), total(size), total(instr(flags, 'T') > 0) FROM message "
    "WHERE account=? AND mailbox=? AND expunged_at IS NULL"
)
_RENAME = "UPDATE message SET name=?, info=? WHERE account=? AND mailbox=? AND uid=?"


class Messages(Readers):
    """Part of SqliteRepository."""

    def messages(self, account: str, mailbox: int, after_modseq: int = 0) -> list[MessageRow]:
        where = "AND modseq>? " if after_modseq else ""
        rows = self._all(
            account,
            f"SELECT {MESSAGE} FROM message WHERE account=? AND mailbox=? {where}AND expunged_at IS NULL ORDER BY uid",
            (account, mailbox, after_modseq) if after_modseq else (account, mailbox),
        )
        return [MessageRow(*row) for row in rows]

    def outline(
        self,
        account: str,
        mailbox: int,
        *,
        after_modseq: int = 0,
        after_uid: int = 0,
        limit: int = 1 << 32,
        reader: str = "",
    ) -> list[Outline]:
        if reader:
            return self._outline_for(account, mailbox, reader, after_modseq, after_uid, limit)
        if not after_modseq and not after_uid and limit >= _EVERYTHING:
            rows = self._all(
                account,
                f"SELECT uid, modseq, flags, keywords, crlf, internaldate FROM message {_ALL_LIVE}",
                (account, mailbox, account, mailbox),
            )
            return rows[::-1]
        where = "AND modseq>? " if after_modseq else ""
        bounds = (after_modseq, after_uid, limit) if after_modseq else (after_uid, limit)
        return self._all(
            account,
            "SELECT uid, modseq, flags, keywords, crlf, internaldate FROM message WHERE account=? AND mailbox=? "
            f"{where}AND uid>? AND expunged_at IS NULL ORDER BY uid LIMIT ?",
            (account, mailbox, *bounds),
        )

    def message(self, account: str, mailbox: int, uid: int) -> MessageRow | None:
        row = self._one(
            account,
            f"SELECT {MESSAGE} FROM message WHERE account=? AND mailbox=? AND uid=? AND expunged_at IS NULL",
            (account, mailbox, uid),
        )
        return MessageRow(*row) if row else None

    def messages_of(self, account: str, mailbox: int, uids: Collection[int]) -> list[MessageRow]:
        rows: list[MessageRow] = []
        for part in chunks(uids):
            with self._shard(account).read() as db:
                rows += live_rows(db, account, mailbox, part)
        return rows

    def files(self, account: str, mailbox: int) -> list[tuple[int, str, str, str, bool]]:
        live = self._all(
            account,
            f"SELECT uid, ukey, name, info FROM message {_ALL_LIVE}",
            (account, mailbox, account, mailbox),
        )
        dead = ((row.uid, row.ukey, row.name, row.info, True) for row in self.leftovers(account, mailbox))
        return sorted([*((*row, False) for row in live), *dead])

    def files_changed(self, account: str, mailbox: int, after_modseq: int) -> list[tuple[int, str, str, str, bool]]:
        rows = self._all(
            account,
            "SELECT uid, ukey, name, info, expunged_at IS NOT NULL FROM message INDEXED BY message_modseq "
            "WHERE account=? AND mailbox=? AND modseq>?",
            (account, mailbox, after_modseq),
        )
        return [(uid, ukey, name, info, bool(is_expunged)) for uid, ukey, name, info, is_expunged in rows]

    def counts(self, account: str, mailbox: int) -> Counts:
        row = self._one(
            account,
            "SELECT messages, unseen, octets, deleted FROM mailbox WHERE account=? AND id=?",
            (account, mailbox),
        )
        return Counts(*row) if row else Counts(0, 0, 0, 0)

    def recount(self, account: str, *, fix: bool = False) -> list[tuple[int, str, int, int]]:
        wrong: list[tuple[int, str, int, int]] = []
        mailboxes = self._all(account, "SELECT id FROM mailbox WHERE account=?", (account,))
        for (mailbox,) in mailboxes:
            wrong += self._recount(account, mailbox, _MAILBOX_SUMS, _MAILBOX_KEPT, fix=fix)
        return wrong + self._recount(account, 0, _ACCOUNT_SUMS, _ACCOUNT_KEPT, fix=fix)

    def _recount(
        self, account: str, mailbox: int, sums: str, kept: str, *, fix: bool
    ) -> list[tuple[int, str, int, int]]:
        """One of the rows that counts are kept in, in one transaction: nothing may come between."""
        values = (account, mailbox) if mailbox else (account,)
        with self._shard(account).transaction() as db:
            counted = [int(number) for number in db.execute(sums, values).fetchone()]
            row = db.execute(f"SELECT {', '.join(_COUNTS[bool(mailbox)])} FROM {kept}", values).fetchone()
            if row is None:
                return []
            wrong = [
                (mailbox, name, known, number)
                for name, known, number in zip(_COUNTS[bool(mailbox)], row, counted, strict=True)
                if known != number
            ]
            if wrong and fix:
                table, _, where = kept.partition(" ")
                db.execute(
                    f"UPDATE {table} SET {', '.join(f'{name}=?' for name in _COUNTS[bool(mailbox)])} {where}",
                    (*counted, *values),
                )
        return wrong

    def sizes(self, account: str, mailbox: int) -> tuple[int, int]:
        row = self._one(
            account,
            "SELECT total(crlf), total(CASE WHEN instr(flags, 'T') THEN size END) FROM message "
            "WHERE account=? AND mailbox=? AND expunged_at IS NULL",
            (account, mailbox),
        )
        return int(row[0]), int(row[1])

    def keywords(self, account: str) -> set[str]:
        rows = self._all(
            account,
            "SELECT DISTINCT keywords FROM message WHERE account=? AND keywords<>'' AND expunged_at IS NULL",
            (account,),
        )
        return {word for (words,) in rows for word in words.split()}

    def store_flags(
        self,
        account: str,
        mailbox: int,
        uids: Collection[int],
        mode: Mode,
        letters: str,
        keywords: str,
        unchanged_since: int | None = None,
        within: str | None = None,
        reader: str = "",
    ) -> tuple[list[MessageRow], list[int]]:
        done: list[MessageRow] = []
        failed: list[int] = []
        become: dict[tuple[str, str], tuple[str, str]] = {}

        def wanted(row: MessageRow) -> tuple[str, str, str, str] | None:
            if unchanged_since is not None and row.modseq > unchanged_since:
                return None
            now = (row.flags, row.keywords)
            new = become.get(now)
            if new is None:
                new = become[now] = changed(mode, *now, letters, keywords, within)
            return (*new, row.name, row.info)

        def wanted_flags(row: MessageRow) -> tuple[str, str] | None:
            new = wanted(row)
            return new[:2] if new is not None else None

        for part in chunks(uids):
            if reader:
                rows, kept_out = self._change_for(account, mailbox, part, reader, wanted_flags)
            else:
                rows, kept_out = self._change(account, mailbox, part, wanted)
            done += rows
            failed += kept_out
        return done, failed

    def take_info(self, account: str, mailbox: int, found: Mapping[int, tuple[str, str]]) -> list[MessageRow]:
        done: list[MessageRow] = []
        for part in chunks(found):

            def wanted(row: MessageRow) -> tuple[str, str, str, str]:
                name, info = found[row.uid]
                return (*foreign_change(row.info, info, row.flags, row.keywords), name, info)

            rows, _ = self._change(account, mailbox, part, wanted)
            done += rows
        return done

    def _change(
        self, account: str, mailbox: int, uids: list[int], wanted: _Wanted
    ) -> tuple[list[MessageRow], list[int]]:
        """One transaction: rows whose flags changed, UIDs for which `wanted` said None."""
        while True:
            try:
                with self._shard(account).transaction() as db:
                    done: list[MessageRow] = []
                    failed: list[int] = []
                    changes: list[tuple[MessageRow, str, str, str, str]] = []
                    quiet: list[tuple[object, ...]] = []
                    unseen = deleted = 0
                    for row in live_rows(db, account, mailbox, uids):
                        new = wanted(row)
                        if new is None:
                            failed.append(row.uid)
                            continue
                        flags, keywords, name, info = new
                        if (flags, keywords) == (row.flags, row.keywords):
                            if (name, info) != (row.name, row.info):
                                quiet.append((name, info, account, mailbox, row.uid))
                            continue
                        unseen += ("S" not in flags) - ("S" not in row.flags)
                        deleted += ("T" in flags) - ("T" in row.flags)
                        changes.append((row, flags, keywords, name, info))
                    if quiet:
                        db.executemany(_RENAME, quiet)
                    if changes:
                        modseq = next_modseq(db, account, mailbox)
                        renamed = [
                            (name, i, account, mailbox, r.uid)
                            for r, _, _, name, i in changes
                            if (name, i) != (r.name, r.info)
                        ]
                        if renamed:
                            db.executemany(_RENAME, renamed)
                        alike: dict[tuple[str, str], list[int]] = {}
                        for row, flags, keywords, _, _ in changes:
                            alike.setdefault((flags, keywords), []).append(row.uid)
                        for (flags, keywords), those in alike.items():
                            db.execute(
                                "UPDATE message SET modseq=?, flags=?, keywords=? "
                                f"WHERE account=? AND mailbox=? AND uid IN ({marks(those)})",
                                (modseq, flags, keywords, account, mailbox, *those),
                            )
                        recount(db, account, mailbox, 0, unseen, 0, deleted)
                        done = [
                            MessageRow(
                                r.uid, modseq, f, k, r.size, r.crlf, r.internaldate, r.savedate, r.ukey, name,
                                r.recipient, info,
                            )
                            for r, f, k, name, info in changes
                        ]  # fmt: skip
                return done, failed
            except Exhausted:
                self._reserve(account, mailbox)

    def expunge(self, account: str, mailbox: int, uids: Collection[int]) -> list[MessageRow]:
        removed: list[MessageRow] = []
        for part in chunks(uids):
            while True:
                try:
                    with self._shard(account).transaction() as db:
                        rows = live_rows(db, account, mailbox, part)
                        remove(db, account, mailbox, rows, time.time())
                        use(db, account, -sum(r.size for r in rows), -len(rows))
                    removed += rows
                    break
                except Exhausted:
                    self._reserve(account, mailbox)
        return removed

    def expunged(self, account: str, mailbox: int, after_modseq: int) -> list[tuple[int, int]]:
        return self._all(
            account,
            "SELECT uid, modseq FROM message INDEXED BY message_tombstone "
            "WHERE account=? AND mailbox=? AND expunged_at IS NOT NULL AND modseq>? ORDER BY uid",
            (account, mailbox, after_modseq),
        )

    def saved_before(self, account: str, mailbox: int, before: float, limit: int) -> list[int]:
        rows = self._all(
            account,
            "SELECT uid FROM message WHERE account=? AND mailbox=? AND savedate<? AND expunged_at IS NULL "
            "ORDER BY uid LIMIT ?",
            (account, mailbox, before, limit),
        )
        return [uid for (uid,) in rows]

    def tombstone_floor(self, account: str, mailbox: int) -> int:
        row = self._one(account, "SELECT tomb_floor FROM mailbox WHERE account=? AND id=?", (account, mailbox))
        return int(row[0]) if row else 0

    def prune(self, account: str, mailbox: int, before: float, keep: int) -> int:
        with self._shard(account).transaction() as db:
            newest = db.execute(
                "SELECT modseq FROM message WHERE account=? AND mailbox=? AND expunged_at IS NOT NULL "
                "ORDER BY modseq DESC LIMIT 1 OFFSET ?",
                (account, mailbox, keep),
            ).fetchone()
            limit = newest[0] if newest else 0
            old = db.execute(
                "SELECT uid, modseq FROM message WHERE account=? AND mailbox=? AND expunged_at IS NOT NULL "
                "AND name='' AND (expunged_at<? OR modseq<=?) LIMIT 2000",
                (account, mailbox, before, limit),
            ).fetchall()
            if old:
                db.executemany(
                    "DELETE FROM message WHERE account=? AND mailbox=? AND uid=?",
                    [(account, mailbox, uid) for uid, _ in old],
                )
                db.execute(
                    f"DELETE FROM seen WHERE account=? AND mailbox=? AND uid IN ({marks(old)})",
                    (account, mailbox, *[uid for uid, _ in old]),
                )
                db.execute(
                    "UPDATE mailbox SET tomb_floor=max(tomb_floor, ?) WHERE account=? AND id=?",
                    (max(modseq for _, modseq in old), account, mailbox),
                )
        return len(old)

    def leftovers(self, account: str, mailbox: int) -> list[MessageRow]:
        rows = self._all(
            account,
            f"SELECT {MESSAGE} FROM message INDEXED BY message_leftover "
            "WHERE account=? AND mailbox=? AND expunged_at IS NOT NULL AND name<>'' ORDER BY uid",
            (account, mailbox),
        )
        return [MessageRow(*row) for row in rows]

    def files_gone(self, account: str, mailbox: int, uids: Collection[int]) -> None:
        for part in chunks(uids):
            with self._shard(account).transaction() as db:
                db.execute(
                    "UPDATE message SET name='', ukey='#' || uid "
                    f"WHERE account=? AND mailbox=? AND uid IN ({marks(part)}) AND expunged_at IS NOT NULL",
                    (account, mailbox, *part),
                )
