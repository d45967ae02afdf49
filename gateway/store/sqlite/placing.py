"""Placing messages: UIDs, quota and rows in one transaction; waiting deliveries of a shard share one."""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence

from directory.model import Condition, Deferred, Refused
from gateway.store.objectid import copy_of
from gateway.store.repository import Limits, MessageRow, NewMessage, Placement
from gateway.store.sqlite.base import (
    ROWS,
    Base,
    Exhausted,
    chunks,
    gone,
    live_rows,
    marks,
    next_modseq,
    recount,
    reserve,
    use,
)
from gateway.store.sqlite.shard import Shard

_INSERT = "INSERT INTO message VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,NULL)"


_UNDECIDED = Deferred(Condition.BUG)  # stands for an outcome until it is there


class _Job:
    """Placements of one caller that wait for a shard."""

    __slots__ = ("error", "is_done", "outcomes", "placements")

    def __init__(self, placements: list[Placement]) -> None:
        self.placements = placements
        self.outcomes: list[MessageRow | Deferred | Refused] = []
        self.is_done = False
        self.error: Deferred | None = None


def _insert(
    db: sqlite3.Connection,
    account: str,
    mailbox: int,
    message: NewMessage,
    uid: int,
    modseq: int,
    now: float,
    used: int | None = None,
) -> MessageRow:
    name = message.file_name(uid)
    db.execute(
        _INSERT,
        (
            account, mailbox, uid, modseq, message.flags, message.keywords, message.info, message.size, message.crlf,
            message.internaldate, now, message.ukey, name, message.recipient,
        ),
    )  # fmt: skip
    return MessageRow(
        uid, modseq, message.flags, message.keywords, message.size, message.crlf, message.internaldate, now,
        message.ukey, name, message.recipient, message.info, used,
    )  # fmt: skip


def _place_in_mailbox(
    db: sqlite3.Connection, account: str, mailbox: int, wanted: Sequence[tuple[NewMessage, Limits]], now: float
) -> list[MessageRow | Deferred | Refused]:
    row = db.execute(
        "SELECT m.uidnext, m.uid_reserved, m.highestmodseq, m.modseq_reserved, a.used_bytes, a.used_messages "
        "FROM mailbox m JOIN account a USING (account) WHERE m.account=? AND m.id=?",
        (account, mailbox),
    ).fetchone()
    if row is None:
        return [gone(account, mailbox)] * len(wanted)
    uid, uid_reserved, modseq, modseq_reserved, used, count = row
    modseq += 1
    if uid + len(wanted) > uid_reserved or modseq >= modseq_reserved:
        raise Exhausted(account, mailbox, len(wanted))
    outcomes: list[MessageRow | Deferred | Refused] = []
    octets = unseen = deleted = placed = 0
    for message, limits in wanted:
        size = message.size
        if limits.are_over(used + octets + size, count + placed + 1, octets + size):
            outcomes.append(limits.refusal(octets + size))
            continue
        octets += size
        outcomes.append(_insert(db, account, mailbox, message, uid, modseq, now, used + octets))
        uid += 1
        placed += 1
        unseen += "S" not in message.flags
        deleted += "T" in message.flags
    if placed:
        db.execute(
            "UPDATE mailbox SET uidnext=?, highestmodseq=?, messages=messages+?, unseen=unseen+?, octets=octets+?, "
            "deleted=deleted+? WHERE account=? AND id=?",
            (uid, modseq, placed, unseen, octets, deleted, account, mailbox),
        )
        use(db, account, octets, placed)
    return outcomes


class Placing(Base):
    """Part of SqliteRepository."""

    _waiting: dict[Shard, deque[_Job]]

    def place(self, placements: Sequence[Placement]) -> list[MessageRow | Deferred | Refused]:
        outcomes: list[MessageRow | Deferred | Refused | None] = [None] * len(placements)
        by_shard: dict[Shard, list[int]] = {}
        for number, placement in enumerate(placements):
            by_shard.setdefault(self._shard(placement.account), []).append(number)
        for shard, numbers in by_shard.items():
            for start in range(0, len(numbers), ROWS):
                part = numbers[start : start + ROWS]
                try:
                    answers = self._submit(shard, [placements[number] for number in part])
                except Deferred as error:
                    answers = [error] * len(part)
                for number, answer in zip(part, answers, strict=True):
                    outcomes[number] = answer
        return [outcome for outcome in outcomes if outcome is not None]

    def _submit(self, shard: Shard, placements: list[Placement]) -> list[MessageRow | Deferred | Refused]:
        job = _Job(placements)
        waiting = self._waiting[shard]
        waiting.append(job)
        with shard.lock:
            if not job.is_done:
                # whoever gets the lock does the work of all who wait, in one transaction
                jobs: list[_Job] = []
                rows = 0
                while waiting and (not jobs or rows + len(waiting[0].placements) <= ROWS):
                    jobs.append(waiting.popleft())
                    rows += len(jobs[-1].placements)
                if job not in jobs:
                    waiting.remove(job)
                    jobs.append(job)
                self._place_jobs(shard, jobs)
        if job.error is not None:
            raise job.error
        return job.outcomes

    @staticmethod
    def _place_jobs(shard: Shard, jobs: list[_Job]) -> None:
        groups: dict[tuple[str, int], list[tuple[_Job, int]]] = {}
        for job in jobs:
            for number, placement in enumerate(job.placements):
                groups.setdefault((placement.account, placement.mailbox), []).append((job, number))
        now = time.time()
        try:
            while True:
                results: dict[tuple[str, int], list[MessageRow | Deferred | Refused]] = {}
                try:
                    with shard.locked_transaction() as db:
                        for key, members in groups.items():
                            wanted = [(j.placements[n].message, j.placements[n].limits) for j, n in members]
                            results[key] = _place_in_mailbox(db, *key, wanted, now)
                    break
                except Exhausted as short:
                    with shard.locked_transaction(full=True) as db:
                        reserve(db, short.account, short.mailbox, short.uids)
        except Deferred as error:
            for job in jobs:
                job.error, job.is_done = error, True
            return
        except BaseException:
            for job in jobs:
                job.error, job.is_done = Deferred(Condition.BUG, "placing failed"), True
            raise
        for job in jobs:
            job.outcomes = [_UNDECIDED] * len(job.placements)
        for key, members in groups.items():
            for (job, number), outcome in zip(members, results[key], strict=True):
                job.outcomes[number] = outcome
        for job in jobs:
            job.is_done = True

    def add(self, account: str, mailbox: int, messages: Sequence[NewMessage], limits: Limits) -> list[MessageRow]:
        now = time.time()
        while True:
            try:
                with self._shard(account).transaction() as db:
                    rows: list[MessageRow] = []
                    for outcome in _place_in_mailbox(db, account, mailbox, [(m, limits) for m in messages], now):
                        if not isinstance(outcome, MessageRow):
                            raise outcome
                        rows.append(outcome)
                return rows
            except Exhausted as short:
                self._reserve(account, mailbox, short.uids)

    def adopt(self, account: str, mailbox: int, messages: Sequence[NewMessage]) -> list[MessageRow]:
        adopted: list[MessageRow] = []
        for start in range(0, len(messages), ROWS):
            part = messages[start : start + ROWS]
            while True:
                try:
                    with self._shard(account).transaction() as db:
                        rows = self._adopt(db, account, mailbox, part)
                    adopted += rows
                    break
                except Exhausted as short:
                    self._reserve(account, mailbox, short.uids)
        return adopted

    @staticmethod
    def _adopt(db: sqlite3.Connection, account: str, mailbox: int, part: Sequence[NewMessage]) -> list[MessageRow]:
        row = db.execute(
            "SELECT uidnext, uid_reserved, lost_from FROM mailbox WHERE account=? AND id=?",
            (account, mailbox),
        ).fetchone()
        if row is None:
            raise gone(account, mailbox)
        by_ukey: dict[str, NewMessage] = {}
        for message in part:
            by_ukey.setdefault(message.ukey, message)
        for (ukey,) in db.execute(
            f"SELECT ukey FROM message WHERE account=? AND mailbox=? AND ukey IN ({marks(by_ukey)})",
            (account, mailbox, *by_ukey),
        ).fetchall():
            del by_ukey[ukey]
        fresh = list(by_ukey.values())
        if not fresh:
            return []
        uid, reserved, lost_from = row
        # a row that a power cut took comes back under the UID in its file's name; so does every row
        # of an index that is rebuilt
        kept: dict[int, NewMessage] = {}
        new = []
        for message in fresh:
            is_free = (
                lost_from
                and lost_from <= message.uid < uid
                and message.uid not in kept
                and not db.execute(
                    "SELECT 1 FROM message WHERE account=? AND mailbox=? AND uid=?", (account, mailbox, message.uid)
                ).fetchone()
            )
            if is_free:
                kept[message.uid] = message
            else:
                new.append(message)
        if uid + len(new) > reserved:
            raise Exhausted(account, mailbox, len(new))
        modseq = next_modseq(db, account, mailbox)
        now = time.time()
        rows = [_insert(db, account, mailbox, message, number, modseq, now) for number, message in sorted(kept.items())]
        for message in new:
            rows.append(_insert(db, account, mailbox, message, uid, modseq, now))
            uid += 1
        db.execute("UPDATE mailbox SET uidnext=? WHERE account=? AND id=?", (uid, account, mailbox))
        add_to_counts(db, account, mailbox, rows)
        use(db, account, sum(r.size for r in rows), len(rows))
        return rows

    def copy(
        self, account: str, mailbox: int, uids: Collection[int], target: int, ukeys: Mapping[int, str], limits: Limits
    ) -> list[tuple[MessageRow, MessageRow]]:
        return self._transfer(account, mailbox, uids, target, ukeys, limits)

    def move(
        self, account: str, mailbox: int, uids: Collection[int], target: int, ukeys: Mapping[int, str]
    ) -> list[tuple[MessageRow, MessageRow]]:
        return self._transfer(account, mailbox, uids, target, ukeys, None)

    def _transfer(
        self,
        account: str,
        mailbox: int,
        uids: Collection[int],
        target: int,
        ukeys: Mapping[int, str],
        limits: Limits | None,
    ) -> list[tuple[MessageRow, MessageRow]]:
        """Copy, or move when there are no limits."""
        wanted = [uid for uid in uids if uid in ukeys]
        now = time.time()
        while True:
            try:
                with self._shard(account).transaction() as db:
                    pairs: list[tuple[MessageRow, MessageRow]] = []
                    sources = [r for part in chunks(wanted) for r in live_rows(db, account, mailbox, part)]
                    messages = [copy_of(row, ukeys[row.uid]) for row in sources]
                    if limits is None:
                        remove(db, account, mailbox, sources, now)
                        use(db, account, -sum(r.size for r in sources), -len(sources))
                    placed = _place_in_mailbox(
                        db, account, target, [(message, limits or Limits()) for message in messages], now
                    )
                    for source, outcome in zip(sources, placed, strict=True):
                        if not isinstance(outcome, MessageRow):
                            raise outcome
                        pairs.append((source, outcome))
                return pairs
            except Exhausted as short:
                self._reserve(account, short.mailbox, short.uids)


def add_to_counts(
    db: sqlite3.Connection, account: str, mailbox: int, rows: Sequence[MessageRow], sign: int = 1
) -> None:
    """Count rows in (1) or out (-1)."""
    recount(
        db,
        account,
        mailbox,
        sign * len(rows),
        sign * sum("S" not in r.flags for r in rows),
        sign * sum(r.size for r in rows),
        sign * sum("T" in r.flags for r in rows),
    )


def remove(db: sqlite3.Connection, account: str, mailbox: int, rows: Sequence[MessageRow], now: float) -> None:
    """Make tombstones of rows; their files are leftovers until `files_gone`."""
    if not rows:
        return
    modseq = next_modseq(db, account, mailbox)
    for part in chunks([r.uid for r in rows]):
        db.execute(
            "UPDATE message SET modseq=?, expunged_at=?, keywords='', rcpt='' "
            f"WHERE account=? AND mailbox=? AND uid IN ({marks(part)})",
            (modseq, now, account, mailbox, *part),
        )
    add_to_counts(db, account, mailbox, rows, -1)
