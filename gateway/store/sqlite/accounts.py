"""Accounts, who owned which address, and the mailboxes of an account."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from directory.model import Deferred
from gateway.store.acl import read_acl
from gateway.store.errors import MailboxExists
from gateway.store.repository import (
    INBOX,
    INBOX_ID,
    OWN_SECONDS,
    AccountRow,
    MailboxRow,
    NewAccount,
    first_uidvalidity,
    lost_modseq,
)
from gateway.store.sqlite.base import MAILBOX, ROWS, Base, gone, marks, use
from gateway.store.sqlite.shard import MODSEQ_BLOCK, UID_BLOCK, Shard

_TABLES = ("account", "mailbox", "message", "seen", "grantee")

GRANTEES = 500  # identifiers that one query names


class Accounts(Base):
    """Part of SqliteRepository."""

    def account(self, account: str) -> AccountRow | None:
        row = self._one(
            account, "SELECT account, path, used_bytes, used_messages FROM account WHERE account=?", (account,)
        )
        return AccountRow(*row) if row else None

    def accounts(self, after: str = "", limit: int = 1_000) -> list[AccountRow]:
        rows = [
            AccountRow(*row)
            for shard in self._shards
            for row in shard.all(
                "SELECT account, path, used_bytes, used_messages FROM account WHERE account>? ORDER BY account LIMIT ?",
                (after, limit),
            )
        ]
        return sorted(rows, key=lambda row: row.account)[:limit]

    def create_account(
        self,
        account: str,
        path: str,
        now: float,
        *,
        inbox_uidvalidity: int = 0,
        inbox_uidnext: int = 0,
        next_mailbox: tuple[int, int] = (0, 0),
    ) -> AccountRow:
        with self._shard(account).transaction(full=True) as db:
            known = db.execute("SELECT 1 FROM account WHERE account=?", (account,)).fetchone()
            if known is None:
                start = inbox_uidvalidity or int(now)
                first = max(
                    first_uidvalidity(start, now, is_lost=inbox_uidnext > 0 and not any(next_mailbox)), next_mailbox[1]
                )
                db.execute(
                    "INSERT INTO account VALUES (?,?,?,?,0,0)",
                    (account, path, first, max(INBOX_ID + 1, next_mailbox[0])),
                )
                _insert_mailbox(db, account, INBOX_ID, INBOX, "", start, inbox_uidnext)
        created = self.account(account)
        assert created is not None
        return created

    def next_mailbox(self, account: str) -> tuple[int, int]:
        row = self._one(account, "SELECT mailbox_next, uidvalidity_next FROM account WHERE account=?", (account,))
        return (row[0], row[1]) if row else (0, 0)

    def create_accounts(
        self, wanted: Sequence[NewAccount], now: float
    ) -> list[tuple[AccountRow, MailboxRow] | Deferred]:
        # not FULL: a row that a power cut takes is restored from its marker behind a gap, see `rebuilding`; what goes
        # beyond its first reservation is preceded by a FULL commit, which keeps the row too
        made: dict[int, tuple[AccountRow, MailboxRow] | Deferred] = {}
        work: dict[Shard, tuple[list[int], list[tuple[int, str]]]] = {}
        for number, new in enumerate(wanted):
            work.setdefault(self._shard(new.account), ([], []))[0].append(number)
            for address in new.addresses:
                work.setdefault(self._shard(address), ([], []))[1].append((number, address))
        failed: dict[int, Deferred] = {}
        for shard, (numbers, owned) in work.items():
            try:
                with shard.transaction() as db:
                    rows = [_create(db, wanted[number], now) for number in numbers]
                    db.executemany(
                        "INSERT OR REPLACE INTO owner VALUES (?,?,?)",
                        [(address, wanted[number].account, now) for number, address in owned],
                    )
            except Deferred as error:
                failed |= dict.fromkeys((*numbers, *(number for number, _ in owned)), error)
            else:
                made.update(zip(numbers, rows, strict=True))
        made.update(failed)
        return [made[number] for number in range(len(wanted))]

    def alone(self, account: str) -> AbstractContextManager[None]:
        return self._shard(account).alone()

    def delete_account(self, account: str) -> None:
        with self._shard(account).transaction(full=True) as db:
            for table in reversed(_TABLES):
                db.execute(f"DELETE FROM {table} WHERE account=?", (account,))

    def rebind_account(self, old: str, new: str) -> None:
        if self.account(old) is None:
            raise ValueError(f"{old} has no store")
        if self.account(new) is not None:
            raise ValueError(f"{new} has a store already")
        source, target = self._shard(old), self._shard(new)
        if source is target:
            with source.transaction(full=True) as db:
                for table in _TABLES:
                    db.execute(f"UPDATE {table} SET account=? WHERE account=?", (new, old))
            return
        rows: dict[str, list[tuple[object, ...]]] = {}
        with source.read() as db:
            for table in _TABLES:
                rows[table] = db.execute(f"SELECT * FROM {table} WHERE account=?", (old,)).fetchall()
        self._write(target, new, rows)
        self.delete_account(old)

    @staticmethod
    def _write(target: Shard, new: str, rows: dict[str, list[tuple[object, ...]]]) -> None:
        # the account's own row last: what a crash left half written is never seen, and is written again
        for table in reversed(_TABLES):
            for start in range(0, len(rows[table]), 2_000):
                with target.transaction(full=True) as db:
                    db.executemany(
                        f"INSERT OR REPLACE INTO {table} VALUES ({','.join('?' * len(rows[table][0]))})",
                        [(new, *row[1:]) for row in rows[table][start : start + 2_000]],
                    )

    def owners(self, address: str, since: float) -> list[str]:
        rows = self._all(
            address, "SELECT account FROM owner WHERE address=? AND last_seen>=? ORDER BY account", (address, since)
        )
        return [account for (account,) in rows]

    def own(self, account: str, addresses: Collection[str], now: float) -> None:
        for address in addresses:
            known = self._one(address, "SELECT last_seen FROM owner WHERE address=? AND account=?", (address, account))
            if known is not None and now - known[0] < OWN_SECONDS:
                continue
            with self._shard(address).transaction() as db:
                db.execute("INSERT OR REPLACE INTO owner VALUES (?,?,?)", (address, account, now))

    def disown(self, account: str, addresses: Collection[str]) -> None:
        for address in addresses:
            with self._shard(address).transaction() as db:
                db.execute("DELETE FROM owner WHERE address=? AND account=?", (address, account))

    # mailboxes

    def mailbox(self, account: str, name: str) -> MailboxRow | None:
        return self._mailbox_row(account, "name", name)

    def mailbox_by_id(self, account: str, mailbox: int) -> MailboxRow | None:
        return self._mailbox_row(account, "id", mailbox)

    def mailboxes(self, account: str) -> list[MailboxRow]:
        rows = self._all(account, f"SELECT {MAILBOX} FROM mailbox WHERE account=? ORDER BY name", (account,))
        return [MailboxRow(*row) for row in rows]

    def create_mailbox(
        self,
        account: str,
        name: str,
        special_use: str = "",
        *,
        mailbox: int = 0,
        uidvalidity: int = 0,
        uidnext: int = 0,
        acl: str = "",
        metadata: str = "",
    ) -> MailboxRow:
        with self._shard(account).transaction(full=True) as db:
            if db.execute("SELECT 1 FROM mailbox WHERE account=? AND name=?", (account, name)).fetchone():
                raise MailboxExists(name)
            known = db.execute(
                "SELECT uidvalidity_next, mailbox_next FROM account WHERE account=?", (account,)
            ).fetchone()
            if known is None:
                raise gone(account, mailbox)
            free = (
                not mailbox
                or db.execute("SELECT 1 FROM mailbox WHERE account=? AND id=?", (account, mailbox)).fetchone()
            )
            number = known[1] if free else mailbox
            validity = uidvalidity or known[0]
            db.execute(
                "UPDATE account SET uidvalidity_next=max(uidvalidity_next, ?), mailbox_next=max(mailbox_next, ?) "
                "WHERE account=?",
                (validity + 1, number + 1, account),
            )
            row = _insert_mailbox(db, account, number, name, special_use, validity, uidnext)
            return _annotate(db, account, replace(row, acl=acl, metadata=metadata)) if acl or metadata else row

    def delete_mailbox(self, account: str, mailbox: int) -> None:
        if mailbox == INBOX_ID:
            raise ValueError("INBOX cannot be deleted")
        while True:
            with self._shard(account).transaction(full=True) as db:
                rows = db.execute(
                    "SELECT uid, size, expunged_at IS NULL FROM message WHERE account=? AND mailbox=? LIMIT ?",
                    (account, mailbox, ROWS),
                ).fetchall()
                live = [size for _, size, is_live in rows if is_live]
                use(db, account, -sum(live), -len(live))
                db.executemany(
                    "DELETE FROM message WHERE account=? AND mailbox=? AND uid=?",
                    [(account, mailbox, uid) for uid, _, _ in rows],
                )
                if len(rows) < ROWS:
                    for table in ("seen", "grantee"):
                        db.execute(f"DELETE FROM {table} WHERE account=? AND mailbox=?", (account, mailbox))
                    db.execute("DELETE FROM mailbox WHERE account=? AND id=?", (account, mailbox))
                    return

    def rename_mailbox(self, account: str, mailbox: int, name: str) -> list[tuple[str, MailboxRow]]:
        if mailbox == INBOX_ID:
            raise ValueError("INBOX cannot be renamed")
        with self._shard(account).transaction(full=True) as db:
            row = db.execute("SELECT name FROM mailbox WHERE account=? AND id=?", (account, mailbox)).fetchone()
            if row is None:
                raise gone(account, mailbox)
            old = row[0]
            renamed = [
                (number, known, name + known[len(old) :])
                for number, known in db.execute("SELECT id, name FROM mailbox WHERE account=?", (account,)).fetchall()
                if known == old or known.startswith(old + "/")
            ]
            moving = {number for number, _, _ in renamed}
            for _, _, new in renamed:
                taken = db.execute("SELECT id FROM mailbox WHERE account=? AND name=?", (account, new)).fetchone()
                if taken is not None and taken[0] not in moving:
                    raise MailboxExists(new)
            # through a name that no mailbox can have, since names are unique at every moment
            for number, _, _ in renamed:
                db.execute("UPDATE mailbox SET name=? WHERE account=? AND id=?", (f"\0{number}", account, number))
            for number, _, new in renamed:
                db.execute("UPDATE mailbox SET name=? WHERE account=? AND id=?", (new, account, number))
            done = []
            for number, known, _ in sorted(renamed, key=lambda item: item[1]):
                found = db.execute(
                    f"SELECT {MAILBOX} FROM mailbox WHERE account=? AND id=?", (account, number)
                ).fetchone()
                done.append((known, MailboxRow(*found)))
        return done

    def set_special_use(self, account: str, mailbox: int, special_use: str) -> None:
        with self._shard(account).transaction(full=True) as db:
            db.execute("UPDATE mailbox SET special_use=? WHERE account=? AND id=?", (special_use, account, mailbox))

    def annotate(self, account: str, mailbox: int, change: Callable[[MailboxRow], MailboxRow]) -> MailboxRow:
        with self._shard(account).transaction(full=True) as db:
            found = db.execute(f"SELECT {MAILBOX} FROM mailbox WHERE account=? AND id=?", (account, mailbox)).fetchone()
            if found is None:
                raise gone(account, mailbox)
            return _annotate(db, account, change(MailboxRow(*found)))

    def granted(self, identifiers: Collection[str], limit: int) -> list[tuple[str, int]]:
        names = sorted(identifiers)
        rows: set[tuple[str, int]] = set()
        for shard in self._shards:
            for start in range(0, len(names), GRANTEES):
                part = names[start : start + GRANTEES]
                rows.update(
                    shard.all(
                        f"SELECT account, mailbox FROM grantee WHERE identifier IN ({marks(part)}) LIMIT ?",
                        (*part, limit),
                    )
                )
        return sorted(rows)[:limit]

    def settle(self, account: str, mailbox: int) -> None:
        with self._shard(account).transaction() as db:
            db.execute("UPDATE mailbox SET lost_from=0 WHERE account=? AND id=? AND lost_from", (account, mailbox))


def _annotate(db: sqlite3.Connection, account: str, row: MailboxRow) -> MailboxRow:
    db.execute(
        "UPDATE mailbox SET acl=?, metadata=? WHERE account=? AND id=?", (row.acl, row.metadata, account, row.id)
    )
    db.execute("DELETE FROM grantee WHERE account=? AND mailbox=?", (account, row.id))
    db.executemany(
        "INSERT INTO grantee VALUES (?,?,?)", [(account, row.id, identifier) for identifier in read_acl(row.acl)]
    )
    return row


def _create(db: sqlite3.Connection, new: NewAccount, now: float) -> tuple[AccountRow, MailboxRow]:
    """The rows of an account and of its INBOX, made where there are none."""
    known = db.execute(
        "SELECT account, path, used_bytes, used_messages FROM account WHERE account=?", (new.account,)
    ).fetchone()
    if known is not None:
        inbox = db.execute(
            f"SELECT {MAILBOX} FROM mailbox WHERE account=? AND id=?", (new.account, INBOX_ID)
        ).fetchone()
        return AccountRow(*known), MailboxRow(*inbox)
    start = new.inbox_uidvalidity
    db.execute(
        "INSERT INTO account VALUES (?,?,?,?,0,0)",
        (new.account, new.path, first_uidvalidity(start, now, is_lost=False), INBOX_ID + 1),
    )
    row = _insert_mailbox(db, new.account, INBOX_ID, INBOX, "", start, 0)
    return AccountRow(new.account, new.path, 0, 0), row


def _insert_mailbox(
    db: sqlite3.Connection, account: str, number: int, name: str, special_use: str, uidvalidity: int, uidnext: int
) -> MailboxRow:
    """`uidnext` is 0 for a new one, else that of a mailbox whose rows were lost, and with them what was expunged."""
    row = MailboxRow(number, name, uidvalidity, uidnext or 1, lost_modseq() if uidnext else 1, special_use)
    db.execute(
        "INSERT INTO mailbox (account, id, name, special_use, uidvalidity, uidnext, uid_reserved, highestmodseq, "
        "modseq_reserved, lost_from, tomb_floor) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
        (
            account, number, name, special_use, uidvalidity, row.uidnext, row.uidnext + UID_BLOCK,
            row.highestmodseq, row.highestmodseq + MODSEQ_BLOCK, int(uidnext > 0), row.highestmodseq if uidnext else 0,
        ),
    )  # fmt: skip
    return row
