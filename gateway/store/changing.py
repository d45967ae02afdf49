"""COPY, MOVE and EXPUNGE: what happens to files and rows, in an order that a crash cannot make lossy.

Copy and move: links in the target's tmp/, that folder on disk, one transaction, the links renamed into cur/,
cur/ on disk; a move then unlinks the sources. A crash leaves links without rows, which the sweep removes, or
rows whose links stand in tmp/, which the next look puts in place. Expunge: the transaction, the files
unlinked, the folder on disk, then the rows forget their names. A file whose row is a tombstone is unlinked
by the next look.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterator

from directory.model import Deferred, MailboxHolder, Refused
from gateway.files.durable import write_synced
from gateway.store.appending import Appending
from gateway.store.delivering import pieces_of
from gateway.store.errors import NoSuchMailbox
from gateway.store.finding import Finder
from gateway.store.layout import checked_name
from gateway.store.objectid import copy_of
from gateway.store.opening import trouble
from gateway.store.repository import Limits, MailboxRow, MessageRow

BATCH = 1_000  # messages a transaction takes: a move touches two rows of each

Pairs = list[tuple[MessageRow, MessageRow]]


class Changing(Appending):
    """Part of Stores."""

    def expunge(self, holder: MailboxHolder, mailbox: MailboxRow, uids: Collection[int]) -> list[MessageRow]:
        """Remove messages for good: the rows that were removed, by UID. Raises Deferred."""
        return self._expunge(holder.id, self.open(holder).path, mailbox, uids, keeps=True)

    def _expunge(
        self, account: str, maildir: str, mailbox: MailboxRow, uids: Collection[int], *, keeps: bool
    ) -> list[MessageRow]:
        """As `expunge`; `keeps`: the files are kept where that is configured."""
        folder = self._folder(maildir, mailbox)
        removed = []
        for batch in _batches(uids):
            rows = self.repository.expunge(account, mailbox.id, batch)
            self._unlink(account, mailbox, folder, rows, keeps=keeps)
            removed += rows
        self._changed_now(account, mailbox.id, bool(removed))
        return removed

    def copy(
        self,
        holder: MailboxHolder,
        mailbox: MailboxRow,
        uids: Collection[int],
        target: str,
        *,
        into: MailboxHolder | None = None,
        limits: Limits | None = None,
    ) -> Pairs:
        """Copy messages to the end of a mailbox: (source, copy) by UID of the source, all or none.

        `into` is the account that holds the target, when it is another. UIDs that are gone are left out.
        Raises NoSuchMailbox, Deferred, Refused(MAILBOX_FULL).
        """
        receiver = into or holder
        row = self._target(receiver, target)
        bound = limits or self.limits(receiver)
        done: Pairs = []
        try:
            for batch in _batches(uids):
                done += self._batch(holder, mailbox, receiver, row, batch, bound, is_move=False)
        except (Deferred, Refused):
            self._expunge(receiver.id, self.open(receiver).path, row, [new.uid for _, new in done], keeps=False)
            raise
        self.added(receiver, sum(new.size for _, new in done))
        self._placed(holder, mailbox, receiver, row, done)
        return done

    def move(
        self,
        holder: MailboxHolder,
        mailbox: MailboxRow,
        uids: Collection[int],
        target: str,
        *,
        into: MailboxHolder | None = None,
    ) -> Pairs:
        """Move messages to the end of a mailbox: (source, new row) by UID of the source (RFC 6851).

        Each message is in exactly one of the two at every moment. Within an account quota does not matter.
        Raises NoSuchMailbox, Deferred, Refused(MAILBOX_FULL); what was moved before stays moved.
        """
        receiver = into or holder
        row = self._target(receiver, target)
        bound = Limits() if receiver.id == holder.id else self.limits(receiver)
        done: Pairs = []
        try:
            for batch in _batches(uids):
                done += self._batch(holder, mailbox, receiver, row, batch, bound, is_move=True)
        finally:
            if receiver.id != holder.id:
                self.added(receiver, sum(new.size for _, new in done))
            self._placed(holder, mailbox, receiver, row, done)
            self._changed_now(holder.id, mailbox.id, bool(done))
        return done

    def _placed(
        self, holder: MailboxHolder, mailbox: MailboxRow, receiver: MailboxHolder, target: MailboxRow, done: Pairs
    ) -> None:
        """Messages are in their place: within a store those who had seen them have seen them there."""
        modseq = 0
        if done and receiver.id == holder.id:
            pairs = [(source.uid, new.uid) for source, new in done]
            modseq = self.repository.copy_seen(holder.id, mailbox.id, target.id, pairs)
        self.changed(receiver.id, target.id, max(modseq, *[new.modseq for _, new in done]) if done else 0)

    def _target(self, holder: MailboxHolder, name: str) -> MailboxRow:
        name = checked_name(name)
        self.open(holder)
        row = self.repository.mailbox(holder.id, name)
        if row is None:
            raise NoSuchMailbox(name)
        return row

    def _batch(
        self,
        holder: MailboxHolder,
        mailbox: MailboxRow,
        receiver: MailboxHolder,
        target: MailboxRow,
        uids: list[int],
        limits: Limits,
        *,
        is_move: bool,
    ) -> Pairs:
        source_folder = self._folder(self.open(holder).path, mailbox)
        folder = self._folder(self.open(receiver).path, target)
        finder = Finder(source_folder)
        commit = self.commit_of(folder)
        ukeys: dict[int, str] = {}
        sources = self.repository.messages_of(holder.id, mailbox.id, uids)
        try:
            with trouble(folder):
                for message in sources:
                    ukey = self._unique()
                    if finder.do(message, _linked(os.path.join(folder, "tmp", ukey), commit.file)):
                        ukeys[message.uid] = ukey
                if not ukeys:
                    return []
                commit.folders([os.path.join(folder, "tmp")])
            if receiver.id != holder.id:
                pairs = self._add_elsewhere(receiver, target, [m for m in sources if m.uid in ukeys], ukeys, limits)
            elif is_move:
                pairs = self.repository.move(holder.id, mailbox.id, list(ukeys), target.id, ukeys)
            else:
                pairs = self.repository.copy(holder.id, mailbox.id, list(ukeys), target.id, ukeys, limits)
        except BaseException:
            self._drop(folder, ukeys.values())
            raise
        placed = {new.ukey for _, new in pairs}
        self._drop(folder, [ukey for ukey in ukeys.values() if ukey not in placed])
        with trouble(folder):
            cur = os.path.join(folder, "cur")
            for _, new in pairs:
                temporary = os.path.join(folder, "tmp", new.ukey)
                self._give_name(
                    receiver.id, target.id, new.uid, temporary, os.path.join(cur, f"{new.name}:2,{new.info}")
                )
            commit.folders([cur])
        if is_move:
            if receiver.id != holder.id:
                self.repository.expunge(holder.id, mailbox.id, [source.uid for source, _ in pairs])
            self._unlink(holder.id, mailbox, source_folder, [source for source, _ in pairs])
        return pairs

    def _add_elsewhere(
        self,
        receiver: MailboxHolder,
        target: MailboxRow,
        sources: list[MessageRow],
        ukeys: dict[int, str],
        limits: Limits,
    ) -> Pairs:
        """Rows of another account for links that stand in its tmp/."""
        copies = [copy_of(row, ukeys[row.uid]) for row in sources]
        return list(zip(sources, self.repository.add(receiver.id, target.id, copies, limits), strict=True))

    def _unlink(
        self, account: str, mailbox: MailboxRow, folder: str, rows: list[MessageRow], *, keeps: bool = False
    ) -> None:
        """Remove the files of tombstones, or keep them beside the mailboxes; what does not succeed now is left to the next look."""
        if not rows:
            return
        finder = Finder(folder)
        are_kept = keeps and bool(self._settings.keep_expunged)
        try:
            for message in rows:
                finder.do(message, self._keeping(account, mailbox, message) if are_kept else os.unlink)
            self.commit_of(folder).folders([os.path.join(folder, "cur")])
        except (OSError, Deferred):
            return
        self.repository.files_gone(account, mailbox.id, [message.uid for message in rows])

    def _keeping(self, account: str, mailbox: MailboxRow, message: MessageRow) -> Callable[[str], None]:
        """Takes the file of an expunged message away. Raises FileNotFoundError where it is not."""

        def act(path: str) -> None:
            os.lstat(path)
            self._remove_expunged(account, mailbox, path, message.flags)

        return act

    def _changed_now(self, account: str, mailbox: int, is_changed: bool) -> None:
        row = self.repository.mailbox_by_id(account, mailbox) if is_changed else None
        if row is not None:
            self.changed(account, mailbox, row.highestmodseq)


def _batches(uids: Collection[int]) -> Iterator[list[int]]:
    ordered = sorted(set(uids))
    for start in range(0, len(ordered), BATCH):
        yield ordered[start : start + BATCH]


def _linked(target: str, sync: Callable[[int], None]) -> Callable[[str], None]:
    """Give a file a second name; on another volume, or where it has too many, a second copy."""

    def act(source: str) -> None:
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EMLINK):
                raise
            write_synced(target, pieces_of(source), os.stat(source).st_mtime, sync=sync)

    return act
