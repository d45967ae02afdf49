"""Mailboxes as a person arranges them: made, renamed, removed, subscribed to.

The row comes first and the folder with `.gatepost-mailbox` behind it at CREATE; at RENAME the folder comes
first, since its marker tells which row it is; at DELETE the folder gets a name that is no mailbox, then the
rows go, then the files. Whatever a crash leaves is put right by the next look at the account.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace

from directory.model import Condition, Deferred, MailboxHolder
from gateway.files.durable import sync_folder
from gateway.store import markers
from gateway.store.changing import Changing
from gateway.store.errors import InvalidMailboxName, MailboxExists, NoSuchMailbox
from gateway.store.layout import SEPARATOR, checked_name, folder_of, split_file, unique_part
from gateway.store.opening import trouble
from gateway.store.repository import INBOX, INBOX_ID, MailboxRow

MAX_MAILBOXES = 5_000
_REMOVED = "gatepost-removed"  # no leading dot: not a folder of Maildir++


class Folders(Changing):
    """Part of Stores."""

    def mailboxes(self, holder: MailboxHolder) -> list[MailboxRow]:
        """All mailboxes by name, with `subscribed`; other programs' folders too. Raises Deferred."""
        maildir = self.open(holder).path
        self.furnish(holder, maildir)
        self.find_folders(holder.id, maildir)
        with trouble(maildir):
            subscribed = set(markers.read_subscriptions(maildir))
        return [
            replace(row, subscribed=True) if row.name in subscribed else row
            for row in self.repository.mailboxes(holder.id)
        ]

    def subscriptions(self, holder: MailboxHolder) -> list[str]:
        """Names subscribed to, whether the mailboxes exist or not (RFC 9051 6.3.7). Raises Deferred."""
        maildir = self.open(holder).path
        self.furnish(holder, maildir)
        with trouble(maildir):
            return markers.read_subscriptions(maildir)

    def subscribe(self, holder: MailboxHolder, name: str, on: bool) -> None:
        """Add a name to the subscriptions, or take it off. Raises InvalidMailboxName, Deferred."""
        name = checked_name(name, may_be_shared=True)
        names = set(self.subscriptions(holder))
        if (name in names) == on:
            return
        if on and len(names) >= markers.MAX_SUBSCRIPTIONS:
            raise InvalidMailboxName("too many subscriptions")
        maildir = self.open(holder).path
        with trouble(maildir):
            markers.write_subscriptions(maildir, names ^ {name})

    def create_mailbox(
        self, holder: MailboxHolder, name: str, special_use: str = "", *, below_inbox: bool = False
    ) -> MailboxRow:
        """Make a mailbox and those above it, on disk on return (RFC 9051 6.3.4, RFC 6154 3).

        It begins with the rights of the nearest mailbox above it; where there is none with nobody's but its
        owner's, or with those of INBOX (`below_inbox`).

        Raises MailboxExists, InvalidMailboxName, Deferred.
        """
        name = checked_name(name)
        maildir = self.open(holder).path
        self.furnish(holder, maildir)
        self.find_folders(holder.id, maildir)
        known = {row.name: row for row in self.repository.mailboxes(holder.id)}
        if name in known:
            raise MailboxExists(name)
        levels = name.split(SEPARATOR)
        above = [SEPARATOR.join(levels[:count]) for count in range(1, len(levels))]
        missing = [parent for parent in above if parent not in known]
        if len(known) + len(missing) >= MAX_MAILBOXES:
            raise InvalidMailboxName("too many mailboxes")
        heir_of = next((known[parent] for parent in reversed(above) if parent in known), None)
        acl = heir_of.acl if heir_of is not None else known[INBOX].acl if below_inbox and INBOX in known else ""
        for parent in missing:
            try:
                made = self._make(holder.id, maildir, parent, "", acl)
                self.changed(holder.id, made.id, made.highestmodseq)
            except MailboxExists:
                continue
        made = self._make(holder.id, maildir, name, special_use, acl)
        self.changed(holder.id, made.id, made.highestmodseq)
        return made

    def _existing(self, holder: MailboxHolder, name: str) -> MailboxRow:
        row = self.repository.mailbox(holder.id, checked_name(name))
        if row is None:
            raise NoSuchMailbox(name)
        return row

    def delete_mailbox(self, holder: MailboxHolder, name: str) -> None:
        """Remove a mailbox and its messages; those below it stay (RFC 9051 6.3.5).

        Raises NoSuchMailbox, InvalidMailboxName for INBOX, Deferred.
        """
        maildir = self.open(holder).path
        self.find_folders(holder.id, maildir)
        row = self._existing(holder, name)
        if row.id == INBOX_ID:
            raise InvalidMailboxName("INBOX cannot be deleted")
        flags = {message.ukey: message.flags for message in self.repository.messages(holder.id, row.id)}
        removed = os.path.join(maildir, f"{_REMOVED}-{row.id}-{self._unique()}")
        with trouble(maildir):
            try:
                os.rename(self._folder(maildir, row), removed)
            except FileNotFoundError:
                pass  # it had none: a crash or another program was faster
            sync_folder(maildir)
        self.repository.delete_mailbox(holder.id, row.id)
        self._looks.pop((holder.id, row.id), None)
        self._clear(holder.id, row, removed, flags)
        self.changed(holder.id, row.id, row.highestmodseq + 1)

    def rename_mailbox(self, holder: MailboxHolder, name: str, new: str) -> None:
        """Rename a mailbox and those below it; INBOX gives its messages to a new one (RFC 9051 6.3.6).

        Raises NoSuchMailbox, MailboxExists, InvalidMailboxName, Deferred.
        """
        maildir = self.open(holder).path
        self.find_folders(holder.id, maildir)
        row = self._existing(holder, name)
        new = checked_name(new)
        if new == row.name or self.repository.mailbox(holder.id, new) is not None:
            raise MailboxExists(new)
        if row.id == INBOX_ID:
            self.create_mailbox(holder, new)
            inbox = self.open_mailbox(holder, INBOX)
            self.move(holder, inbox, [m.uid for m in self.repository.messages(holder.id, inbox.id)], new)
            return
        if new.startswith(row.name + SEPARATOR):
            raise InvalidMailboxName("a mailbox cannot be moved below itself")
        moving = [
            r for r in self.repository.mailboxes(holder.id) if (r.name + SEPARATOR).startswith(row.name + SEPARATOR)
        ]
        names = {r.name: checked_name(new + r.name[len(row.name) :]) for r in moving}
        taken = {r.name for r in self.repository.mailboxes(holder.id)}
        if clash := taken & set(names.values()) - set(names):
            raise MailboxExists(min(clash))
        levels = new.split(SEPARATOR)
        for count in range(1, len(levels)):
            parent = SEPARATOR.join(levels[:count])
            if parent not in taken:
                self._make(holder.id, maildir, parent, "")
        self._rename_folders(maildir, names)
        for old, after in self.repository.rename_mailbox(holder.id, row.id, new):
            self._note_name(maildir, after)
            self.changed(holder.id, after.id, after.highestmodseq)
            if old in (subscribed := set(self.subscriptions(holder))):
                with trouble(maildir):
                    markers.write_subscriptions(maildir, subscribed - {old} | {after.name})

    def _rename_folders(self, maildir: str, names: dict[str, str]) -> None:
        """All or none, as far as no crash comes between."""
        done: list[tuple[str, str]] = []
        try:
            for old, new in names.items():
                source, target = (os.path.join(maildir, folder_of(name)) for name in (old, new))
                os.rename(source, target)
                done.append((source, target))
            sync_folder(maildir)
        except OSError as error:
            for source, target in reversed(done):
                os.rename(target, source)
            raise Deferred(Condition.STORE_UNAVAILABLE, f"{maildir}: {error}") from error

    def _note_name(self, maildir: str, row: MailboxRow) -> None:
        """The marker's name is for people who read it; the folder's name is what counts."""
        try:
            markers.change_facts(self._folder(maildir, row), row)
        except OSError:
            return

    def set_special_use(self, holder: MailboxHolder, name: str, special_use: str) -> None:
        """Change what a mailbox is for (RFC 6154). Raises NoSuchMailbox, Deferred."""
        maildir = self.open(holder).path
        row = self._existing(holder, name)
        self.repository.set_special_use(holder.id, row.id, special_use)
        with trouble(maildir):
            markers.change_facts(self._folder(maildir, row), replace(row, special_use=special_use))

    def _clear(self, account: str, row: MailboxRow, folder: str, flags: Mapping[str, str]) -> None:
        """Remove the folder of a mailbox that is gone; its messages are kept where that is configured. What stays is
        removed by the sweep."""
        if self._settings.keep_expunged:
            try:
                for place in ("cur", "new"):
                    for file in os.listdir(os.path.join(folder, place)):
                        known = flags.get(unique_part(file), split_file(file)[1])
                        self._remove_expunged(account, row, os.path.join(folder, place, file), known)
            except FileNotFoundError:
                pass
            except (OSError, Deferred):
                return
        shutil.rmtree(folder, ignore_errors=True)

    def sweep_removed(self, maildir: str, account: str) -> None:
        """Finish removals that a crash cut off. Raises OSError, Deferred."""
        for entry in os.listdir(maildir):
            if entry.startswith(f"{_REMOVED}-"):
                path = os.path.join(maildir, entry)
                if time.time() - os.stat(path).st_ctime < 60:
                    continue  # somebody is at it
                number = entry.split("-")[2]
                row = self.repository.mailbox_by_id(account, int(number)) if number.isdigit() else None
                if row is not None and not os.path.isdir(self._folder(maildir, row)):
                    self.repository.delete_mailbox(account, row.id)
                self._clear(account, _was(path, row), path, {})


def _was(folder: str, row: MailboxRow | None) -> MailboxRow:
    """The mailbox that a removed folder was, by its mark where the row is gone. Raises OSError, Deferred."""
    facts = markers.read_mailbox(folder) or {}
    try:
        name = checked_name(str(facts.get("name") or INBOX))
    except InvalidMailboxName:
        name = INBOX
    return row or MailboxRow(0, name, 0, 0, 0)
