"""The repository in memory: what tests compare SQLite with, and a store for tests that need no disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from directory.model import Condition, Deferred, Refused
from gateway.store.acl import read_acl
from gateway.store.errors import MailboxExists
from gateway.store.flags import changed, foreign_change
from gateway.store.memory_held import HeldAccount, HeldMailbox
from gateway.store.memory_readers import MemoryReaders
from gateway.store.objectid import copy_of
from gateway.store.repository import (
    INBOX,
    INBOX_ID,
    OWN_SECONDS,
    AccountRow,
    Counts,
    Limits,
    MailboxRow,
    MessageRow,
    Mode,
    NewAccount,
    NewMessage,
    Outline,
    Placement,
    first_uidvalidity,
)


class MemoryRepository(MemoryReaders):
    """Implements `gateway.store.repository.Repository`; quota use and counts are summed when asked."""

    def __init__(self) -> None:
        self._accounts: dict[str, HeldAccount] = {}
        self._owners: dict[tuple[str, str], float] = {}
        self._maildrop_locks: dict[str, tuple[str, float]] = {}
        self._lock = threading.RLock()

    def _box(self, account: str, mailbox: int) -> HeldMailbox:
        found = self._accounts.get(account)
        if found is None or mailbox not in found.mailboxes:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"mailbox {mailbox} of {account} is gone")
        return found.mailboxes[mailbox]

    def _seen(self, account: str, mailbox: int) -> HeldMailbox:
        """The mailbox as readers see it: one that is gone is empty."""
        found = self._accounts.get(account)
        return (found.mailboxes.get(mailbox) if found else None) or HeldMailbox(mailbox, "", 0)

    def account(self, account: str) -> AccountRow | None:
        found = self._accounts.get(account)
        return AccountRow(account, found.path, *found.used()) if found else None

    def accounts(self, after: str = "", limit: int = 1_000) -> list[AccountRow]:
        found = sorted(account for account in self._accounts if account > after)[:limit]
        return [row for account in found if (row := self.account(account)) is not None]

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
        if account not in self._accounts:
            start = inbox_uidvalidity or int(now)
            first = first_uidvalidity(start, now, is_lost=inbox_uidnext > 0 and not any(next_mailbox))
            made = HeldAccount(account, path, max(first, next_mailbox[1]))
            made.mailbox_next = max(made.mailbox_next, next_mailbox[0])
            made.mailboxes[INBOX_ID] = HeldMailbox(INBOX_ID, INBOX, start)
            made.mailboxes[INBOX_ID].begin_at(inbox_uidnext)
            self._accounts[account] = made
        created = self.account(account)
        assert created is not None
        return created

    def next_mailbox(self, account: str) -> tuple[int, int]:
        found = self._accounts.get(account)
        return (found.mailbox_next, found.uidvalidity_next) if found else (0, 0)

    def create_accounts(
        self, wanted: Sequence[NewAccount], now: float
    ) -> list[tuple[AccountRow, MailboxRow] | Deferred]:
        made: list[tuple[AccountRow, MailboxRow] | Deferred] = []
        for new in wanted:
            row = self.create_account(new.account, new.path, now, inbox_uidvalidity=new.inbox_uidvalidity)
            self.own(new.account, new.addresses, now)
            made.append((row, self._accounts[new.account].mailboxes[INBOX_ID].row()))
        return made

    def alone(self, account: str) -> AbstractContextManager[None]:
        return nullcontext()  # there are no others

    def delete_account(self, account: str) -> None:
        self._accounts.pop(account, None)

    def rebind_account(self, old: str, new: str) -> None:
        if old not in self._accounts or new in self._accounts:
            raise ValueError(f"cannot give the store of {old} to {new}")
        self._accounts[new] = self._accounts.pop(old)

    def owners(self, address: str, since: float) -> list[str]:
        return sorted(who for (known, who), seen in self._owners.items() if known == address and seen >= since)

    def own(self, account: str, addresses: Collection[str], now: float) -> None:
        for address in addresses:
            if (address, account) not in self._owners or now - self._owners[address, account] >= OWN_SECONDS:
                self._owners[address, account] = now

    def disown(self, account: str, addresses: Collection[str]) -> None:
        for address in addresses:
            self._owners.pop((address, account), None)

    def mailbox(self, account: str, name: str) -> MailboxRow | None:
        return next((row for row in self.mailboxes(account) if row.name == name), None)

    def mailbox_by_id(self, account: str, mailbox: int) -> MailboxRow | None:
        return next((row for row in self.mailboxes(account) if row.id == mailbox), None)

    def mailboxes(self, account: str) -> list[MailboxRow]:
        found = self._accounts.get(account)
        return sorted((m.row() for m in found.mailboxes.values()), key=lambda row: row.name) if found else []

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
        if self.mailbox(account, name) is not None:
            raise MailboxExists(name)
        if account not in self._accounts:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"mailbox {mailbox} of {account} is gone")
        home = self._accounts[account]
        number = mailbox if mailbox and mailbox not in home.mailboxes else home.mailbox_next
        made = HeldMailbox(number, name, uidvalidity or home.uidvalidity_next, special_use, acl, metadata)
        made.begin_at(uidnext)
        home.mailboxes[number] = made
        home.mailbox_next = max(home.mailbox_next, number + 1)
        home.uidvalidity_next = max(home.uidvalidity_next, made.uidvalidity + 1)
        return made.row()

    def delete_mailbox(self, account: str, mailbox: int) -> None:
        if mailbox == INBOX_ID:
            raise ValueError("INBOX cannot be deleted")
        self._accounts[account].mailboxes.pop(mailbox, None)

    def rename_mailbox(self, account: str, mailbox: int, name: str) -> list[tuple[str, MailboxRow]]:
        if mailbox == INBOX_ID:
            raise ValueError("INBOX cannot be renamed")
        old = self._box(account, mailbox).name
        home = self._accounts[account].mailboxes.values()
        moving = sorted((m for m in home if m.name == old or m.name.startswith(old + "/")), key=lambda m: m.name)
        staying = {m.name for m in home} - {m.name for m in moving}
        for box in moving:
            if name + box.name[len(old) :] in staying:
                raise MailboxExists(name + box.name[len(old) :])
        done = []
        for box in moving:
            before, box.name = box.name, name + box.name[len(old) :]
            done.append((before, box.row()))
        return done

    def set_special_use(self, account: str, mailbox: int, special_use: str) -> None:
        self._seen(account, mailbox).special_use = special_use

    def annotate(self, account: str, mailbox: int, change: Callable[[MailboxRow], MailboxRow]) -> MailboxRow:
        with self._lock:
            box = self._box(account, mailbox)
            row = change(box.row())
            box.acl, box.metadata = row.acl, row.metadata
            return box.row()

    def granted(self, identifiers: Collection[str], limit: int) -> list[tuple[str, int]]:
        with self._lock:
            found = [
                (account, box.id)
                for account, home in self._accounts.items()
                for box in home.mailboxes.values()
                if not set(identifiers).isdisjoint(read_acl(box.acl))
            ]
        return sorted(found)[:limit]

    def files(self, account: str, mailbox: int) -> list[tuple[int, str, str, str, bool]]:
        with self._lock:
            box = self._seen(account, mailbox)
            live = [(r.uid, r.ukey, r.name, r.info, False) for r in box.live.values()]
            return sorted([*live, *((r.uid, r.ukey, r.name, r.info, True) for r in self.leftovers(account, mailbox))])

    def files_changed(self, account: str, mailbox: int, after_modseq: int) -> list[tuple[int, str, str, str, bool]]:
        with self._lock:
            box = self._seen(account, mailbox)
            rows = [(row, False) for row in box.live.values()] + [(row, True) for row, _ in box.dead.values()]
            return [(r.uid, r.ukey, r.name, r.info, gone) for r, gone in rows if r.modseq > after_modseq]

    def settle(self, account: str, mailbox: int) -> None:
        self._seen(account, mailbox).lost_from = 0

    def place(self, placements: Sequence[Placement]) -> list[MessageRow | Deferred | Refused]:
        outcomes: list[MessageRow | Deferred | Refused] = []
        for p in placements:
            try:
                outcomes += self.add(p.account, p.mailbox, [p.message], p.limits)
            except (Deferred, Refused) as error:
                outcomes.append(error)
        return outcomes

    def add(self, account: str, mailbox: int, messages: Sequence[NewMessage], limits: Limits) -> list[MessageRow]:
        with self._lock:
            if not messages:
                return []
            box = self._box(account, mailbox)
            used, count = self._accounts[account].used()
            added = sum(m.size for m in messages)
            if limits.are_over(used + added, count + len(messages), added):
                raise limits.refusal(added)
            box.modseq += 1
            now = time.time()
            return [box.insert(message, box.uidnext, now) for message in messages]

    def adopt(self, account: str, mailbox: int, messages: Sequence[NewMessage]) -> list[MessageRow]:
        with self._lock:
            box = self._box(account, mailbox)
            known = box.ukeys()
            fresh = list({m.ukey: m for m in reversed(messages) if m.ukey not in known}.values())[::-1]
            if not fresh:
                return []
            box.modseq += 1
            now = time.time()
            kept: dict[int, NewMessage] = {}
            new = []
            for m in fresh:
                is_free = box.lost_from and box.lost_from <= m.uid < box.uidnext and m.uid not in kept
                if is_free and m.uid not in box.live and m.uid not in box.dead:
                    kept[m.uid] = m
                else:
                    new.append(m)
            rows = [box.insert(m, uid, now) for uid, m in sorted(kept.items())]
            return rows + [box.insert(m, box.uidnext, now) for m in new]

    def copy(
        self, account: str, mailbox: int, uids: Collection[int], target: int, ukeys: Mapping[int, str], limits: Limits
    ) -> list[tuple[MessageRow, MessageRow]]:
        with self._lock:
            box = self._seen(account, mailbox)
            sources = [box.live[uid] for uid in sorted(set(uids)) if uid in box.live and uid in ukeys]
            return list(zip(sources, self.add(account, target, _copies(sources, ukeys), limits), strict=True))

    def move(
        self, account: str, mailbox: int, uids: Collection[int], target: int, ukeys: Mapping[int, str]
    ) -> list[tuple[MessageRow, MessageRow]]:
        with self._lock:
            box = self._seen(account, mailbox)
            sources = [box.live[uid] for uid in sorted(set(uids)) if uid in box.live and uid in ukeys]
            if not sources:
                return []
            self._box(account, target)
            box.remove([source.uid for source in sources], time.time())
            return list(zip(sources, self.add(account, target, _copies(sources, ukeys), Limits()), strict=True))

    def messages(self, account: str, mailbox: int, after_modseq: int = 0) -> list[MessageRow]:
        with self._lock:
            rows = self._seen(account, mailbox).live.values()
            return sorted((row for row in rows if row.modseq > after_modseq), key=lambda row: row.uid)

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
        rows = [row for row in self._rows_for(account, mailbox, reader, after_modseq) if row.uid > after_uid]
        return [(r.uid, r.modseq, r.flags, r.keywords, r.crlf, r.internaldate) for r in rows[:limit]]

    def keywords(self, account: str) -> set[str]:
        with self._lock:
            home = self._accounts.get(account)
            boxes = home.mailboxes.values() if home else ()
            return {word for box in boxes for row in box.live.values() for word in row.keywords.split()}

    def message(self, account: str, mailbox: int, uid: int) -> MessageRow | None:
        return self._seen(account, mailbox).live.get(uid)

    def messages_of(self, account: str, mailbox: int, uids: Collection[int]) -> list[MessageRow]:
        with self._lock:
            live = self._seen(account, mailbox).live
            return [live[uid] for uid in sorted(set(uids)) if uid in live]

    def recount(self, account: str, *, fix: bool = False) -> list[tuple[int, str, int, int]]:
        return []  # it is summed when asked

    def sizes(self, account: str, mailbox: int) -> tuple[int, int]:
        with self._lock:
            rows = list(self._box(account, mailbox).live.values())
        return sum(row.crlf for row in rows), sum(row.size for row in rows if "T" in row.flags)

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
        failed: list[int] = []

        def new(row: MessageRow) -> MessageRow:
            if unchanged_since is not None and row.modseq > unchanged_since:
                failed.append(row.uid)
                return row
            flags, words = changed(mode, row.flags, row.keywords, letters, keywords, within)
            return replace(row, flags=flags, keywords=words)

        if reader:
            return self._change_for(account, mailbox, uids, reader, new), failed
        return self._change(account, mailbox, uids, new), failed

    def take_info(self, account: str, mailbox: int, found: Mapping[int, tuple[str, str]]) -> list[MessageRow]:
        def new(row: MessageRow) -> MessageRow:
            name, info = found[row.uid]
            flags, words = foreign_change(row.info, info, row.flags, row.keywords)
            return replace(row, flags=flags, keywords=words, name=name, info=info)

        return self._change(account, mailbox, found, new)

    def _change(
        self, account: str, mailbox: int, uids: Collection[int], new: Callable[[MessageRow], MessageRow]
    ) -> list[MessageRow]:
        with self._lock:
            box = self._seen(account, mailbox)
            done = []
            for uid in sorted(set(uids)):
                if uid not in box.live:
                    continue
                old = box.live[uid]
                row = new(old)
                if (row.flags, row.keywords) != (old.flags, old.keywords):
                    row = replace(row, modseq=box.modseq + 1)
                    done.append(row)
                box.live[uid] = row
            box.modseq += bool(done)
            return done

    def expunge(self, account: str, mailbox: int, uids: Collection[int]) -> list[MessageRow]:
        with self._lock:
            return self._seen(account, mailbox).remove(uids, time.time())

    def expunged(self, account: str, mailbox: int, after_modseq: int) -> list[tuple[int, int]]:
        dead = self._seen(account, mailbox).dead
        return sorted((uid, row.modseq) for uid, (row, _) in dead.items() if row.modseq > after_modseq)

    def tombstone_floor(self, account: str, mailbox: int) -> int:
        return self._seen(account, mailbox).floor

    def saved_before(self, account: str, mailbox: int, before: float, limit: int) -> list[int]:
        with self._lock:
            return sorted(row.uid for row in self._seen(account, mailbox).live.values() if row.savedate < before)[
                :limit
            ]

    def prune(self, account: str, mailbox: int, before: float, keep: int) -> int:
        with self._lock:
            box = self._seen(account, mailbox)
            modseqs = sorted((row.modseq for row, _ in box.dead.values()), reverse=True)
            limit = modseqs[keep] if len(modseqs) > keep else 0
            old = [row for row, at in box.dead.values() if not row.name and (at < before or row.modseq <= limit)]
            for row in old:
                del box.dead[row.uid]
                for key in [key for key in box.readers if key[1] == row.uid]:
                    del box.readers[key]
                box.floor = max(box.floor, row.modseq)
            return len(old)

    def leftovers(self, account: str, mailbox: int) -> list[MessageRow]:
        return sorted((r for r, _ in self._seen(account, mailbox).dead.values() if r.name), key=lambda r: r.uid)

    def files_gone(self, account: str, mailbox: int, uids: Collection[int]) -> None:
        dead = self._seen(account, mailbox).dead
        for uid in uids:
            if uid in dead:
                row, at = dead[uid]
                dead[uid] = (replace(row, name="", ukey=f"#{uid}"), at)

    def counts(self, account: str, mailbox: int) -> Counts:
        rows = self.messages(account, mailbox)
        return Counts(
            len(rows),
            sum("S" not in r.flags for r in rows),
            sum(r.size for r in rows),
            sum("T" in r.flags for r in rows),
        )

    def parsed(
        self, account: str, mailbox: int, uids: Collection[int], version: int = 1, *, waits: bool = True
    ) -> dict[int, bytes]:
        known = self._seen(account, mailbox).parsed
        return {uid: known[uid, version] for uid in uids if (uid, version) in known}

    def put_parsed(self, account: str, mailbox: int, blobs: Mapping[int, bytes], version: int = 1) -> None:
        self._seen(account, mailbox).parsed.update({(uid, version): blob for uid, blob in blobs.items()})

    def lock_maildrop(self, account: str, owner: str, now: float, until: float) -> bool:
        with self._lock:
            held = self._maildrop_locks.get(account)
            if held is not None and held[0] != owner and held[1] > now:
                return False
            self._maildrop_locks[account] = (owner, until)
            return True

    def unlock_maildrop(self, account: str, owner: str) -> None:
        with self._lock:
            if self._maildrop_locks.get(account, ("", 0.0))[0] == owner:
                del self._maildrop_locks[account]

    def close(self) -> None:
        self._accounts.clear()


def _copies(sources: list[MessageRow], ukeys: Mapping[int, str]) -> list[NewMessage]:
    return [copy_of(row, ukeys[row.uid]) for row in sources]
