"""Stores of other servers become stores here: UIDs, flags, keywords, dates, subscriptions and POP3 unique-ids stay.

The files there are not touched. A Maildir is built beside the account's place of links to them (copies where links
are impossible) until two looks agree; then it gets its marks and, by one rename, its place. What a crash cuts off is
done by the next call; what stood in the account's store before has its links in the new one first. A store that has its
place tells its own story, so that whoever opens it, before its rows are made here, makes them of the files.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec

from directory.model import Condition, Deferred, MailboxHolder
from gateway.files.durable import make_folders, rename_unique, sync_folder
from gateway.store import markers, uidls
from gateway.store.foreign.reading import ForeignStore, Mailbox, Message
from gateway.store.foreign.records import Unreadable
from gateway.store.foreign.staging import Staging
from gateway.store.importing import Importing
from gateway.store.layout import PLACES, unique_part
from gateway.store.objectid import email_id_in
from gateway.store.opening import trouble
from gateway.store.rebuilding import restore_account
from gateway.store.repository import INBOX, INBOX_ID, AccountRow, MailboxRow, MessageRow

ADOPTED = "gatepost-adopted"
LOOKS = 8  # at a store in which somebody still works
_TRIES = 5
#: names that mail programs give to mailboxes with a use (RFC 6154), the commonest first
_USUAL = {
    "drafts": ("Drafts", "Draft"),
    "sent": ("Sent", "Sent Items", "Sent Messages", "Sent Mail"),
    "trash": ("Trash", "Deleted Items", "Deleted Messages", "Deleted"),
    "junk": ("Junk", "Spam", "Junk E-mail", "Junk Email", "Bulk Mail"),
    "archive": ("Archive", "Archives"),
}


class StoreInUse(ValueError):
    """The account has messages already, and nobody said what shall become of them."""


@dataclass(slots=True)
class Adoption:
    """What became of it. `messages` by mailbox; `was_done`: by an earlier call."""

    path: str
    messages: dict[str, int] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    oddities: list[str] = field(default_factory=list)
    copied: int = 0
    was_done: bool = False


class TakingOver(Importing):
    """Part of Stores."""

    def survey(self, foreign: ForeignStore) -> Adoption:
        """What a store holds; nothing is changed. Raises Unreadable, Deferred."""
        with trouble(foreign.root):
            mailboxes = foreign.mailboxes(int(time.time()))
        return _told("", mailboxes, foreign)

    def take_over(self, holder: MailboxHolder, foreign: ForeignStore, *, merge: bool = False) -> Adoption:
        """Make a foreign store the one of `holder`, durable on return; done already is success.

        What the account has received here is kept: its messages get UIDs behind the others, with `merge` only.
        Raises Unreadable, StoreInUse, Deferred.
        """
        path = self._place_of(holder)
        source = os.path.realpath(foreign.root)
        if os.path.commonpath([source, os.path.realpath(path)]) in (source, os.path.realpath(path)):
            raise Unreadable(f"{foreign.root} is where the store of {holder.dn} has its place: move it aside first")
        staging = Staging(f"{path}.adopting")
        with trouble(path):
            facts = markers.read(os.path.join(path, ADOPTED))
            if facts is not None and facts.get("source") == source and facts.get("is_done"):
                return Adoption(path, facts.get("messages", {}), was_done=True)
            self._make_above(path)
            with alone(staging.path):
                staging.begin()
                if facts is None or facts.get("source") != source:
                    told = self._build(holder, path, foreign, staging, merge=merge)
                    self._give_place(holder, path, staging)
                else:
                    told = Adoption(path, facts.get("messages", {}))
                self._make_rows(holder, path)
                markers.replace(os.path.join(path, ADOPTED), _adopted(source, foreign.kind, told.messages, done=True))
        return told

    def _place_of(self, holder: MailboxHolder) -> str:
        row = self.repository.account(holder.id)
        if row is not None:
            self._check_mounted(row.path)
            return row.path
        path, volume = self._computed_path(holder)
        markers.check_volume(volume.path)
        self._check_rebind(holder)
        with trouble(path):
            self._check_owner(holder, path)
        return path

    def _make_above(self, path: str) -> None:
        above = os.path.dirname(path)
        top = next((top.rstrip(os.sep) for top, _ in self._tops if above.startswith(top)), os.path.dirname(above))
        make_folders(top, above)

    def mirror_of(self, holder: MailboxHolder) -> str:
        """A folder beside the place of the store for a copy of what is taken over; "" when that has been done. Raises
        Deferred."""
        path = self._place_of(holder)
        mirror = f"{path}.migrating"
        with trouble(mirror):
            facts = markers.read(os.path.join(path, ADOPTED))
            if facts is not None and facts.get("source") == os.path.realpath(mirror) and facts.get("is_done"):
                return ""
            self._make_above(path)
            os.makedirs(mirror, 0o700, exist_ok=True)
        return mirror

    def drop_mirror(self, holder: MailboxHolder) -> None:
        """Remove the copy; what was taken over stays. Raises Deferred."""
        mirror = f"{self._place_of(holder)}.migrating"
        with trouble(mirror):
            shutil.rmtree(mirror, ignore_errors=True)

    def unique_ids(self, holder: MailboxHolder, inbox: MailboxRow) -> dict[int, str]:
        """POP3 unique-ids that another server gave, by UID. Raises Deferred."""
        path = self.open(holder).path
        with trouble(path):
            return uidls.read(path, inbox.uidvalidity)

    # the new store beside its place

    def _build(
        self, holder: MailboxHolder, path: str, foreign: ForeignStore, staging: Staging, *, merge: bool
    ) -> Adoption:
        """The whole store, without a row. Raises Unreadable, StoreInUse, OSError, Deferred."""
        now = int(time.time())
        own = self._own(holder, path)
        if not merge and any(self.repository.counts(holder.id, row.id).messages for row in own.values()):
            raise StoreInUse(holder.dn)
        for _ in range(LOOKS):
            mailboxes = foreign.mailboxes(now)
            subscribed = set(foreign.subscriptions(mailboxes)) | {INBOX}
            self._merge(holder, own, mailboxes)
            subscribed |= self._add_usual(mailboxes, own, now)
            if not staging.put(mailboxes):
                break
        else:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"{foreign.root} changes all the time: stop its server first")
        staging.sync(mailboxes)
        uses = self._uses(mailboxes, own)
        numbers = _numbers(mailboxes, own)
        for mailbox in mailboxes:
            was = own.get(mailbox.name)
            row = MailboxRow(
                numbers[mailbox.name], mailbox.name, mailbox.uidvalidity, mailbox.uidnext, 1,
                uses.get(mailbox.name, ""), was.acl if was else "", was.metadata if was else "",
            )  # fmt: skip
            seen = self.repository.seen_since(holder.id, was.id, 0) if was is not None else ()
            markers.write_mailbox(staging.folder(mailbox), row, map(_row, mailbox.messages), seen)
        inbox = mailboxes[0]
        uidls.write(staging.path, inbox.uidvalidity, {m.uid: m.uidl for m in inbox.messages if m.uidl})
        markers.write_subscriptions(staging.path, subscribed | set(markers.read_subscriptions(path)))
        told = _told(path, mailboxes, foreign)
        told.copied = staging.copied
        source = os.path.realpath(foreign.root)
        markers.replace(os.path.join(staging.path, ADOPTED), _adopted(source, foreign.kind, told.messages, done=False))
        markers.write_account(staging.path, holder.id, holder.addresses)
        return told

    def _own(self, holder: MailboxHolder, path: str) -> dict[str, MailboxRow]:
        """Mailboxes that the account has here, by name, with all that stands in their folders."""
        if self.repository.account(holder.id) is None:
            if not os.path.exists(os.path.join(path, markers.ACCOUNT)):
                return {}
            self.open(holder)
        self.find_folders(holder.id, path)
        for row in self.repository.mailboxes(holder.id):
            self._looks.pop((holder.id, row.id), None)
            self.look(holder.id, path, row)
        return {row.name: row for row in self.repository.mailboxes(holder.id)}

    def _merge(self, holder: MailboxHolder, own: dict[str, MailboxRow], mailboxes: list[Mailbox]) -> None:
        """Messages that the account has here come behind those of a mailbox of the same name."""
        known = {mailbox.name: mailbox for mailbox in mailboxes}
        for name, row in own.items():
            mailbox = known.get(name)
            if mailbox is None:
                mailbox = Mailbox(name, row.uidvalidity, row.uidnext)
                mailboxes.append(mailbox)
            taken = {message.uid for message in mailbox.messages}
            there = {message.ukey for message in mailbox.messages}
            for message in self.repository.messages(holder.id, row.id):
                if message.ukey in there:
                    continue
                uid = message.uid
                if uid in taken or mailbox.uidvalidity != row.uidvalidity:
                    uid, mailbox.uidnext = mailbox.uidnext, mailbox.uidnext + 1
                try:
                    source = self.path_of(holder.id, row, message)
                except FileNotFoundError:
                    continue
                email = f",E={known_as}" if (known_as := email_id_in(message.name)) else ""
                mailbox.messages.append(
                    Message(
                        source, uid, message.ukey, message.size, message.crlf, message.flags, message.keywords,
                        name=f"{message.ukey},S={message.size},W={message.crlf},U={uid}{email}:2,{message.flags}",
                    )
                )  # fmt: skip

    def _add_usual(self, mailboxes: list[Mailbox], own: dict[str, MailboxRow], now: int) -> set[str]:
        """Mailboxes that everybody has here and that are missing; their names, which are subscribed to."""
        uses = set(self._uses(mailboxes, own).values())
        names = {mailbox.name for mailbox in mailboxes}
        added = {
            name
            for name, kind in self._settings.mailboxes.items()
            if name not in names and (kind == "none" or f"\\{kind.capitalize()}" not in uses)
        }
        mailboxes += [Mailbox(name, now, 1) for name in sorted(added)]
        return added

    def _uses(self, mailboxes: list[Mailbox], own: dict[str, MailboxRow]) -> dict[str, str]:
        """Special use by name: that which a mailbox has here already, else by what it is called."""
        uses = {name: row.special_use for name, row in own.items() if row.special_use}
        names = {mailbox.name for mailbox in mailboxes}
        configured: dict[str, str] = {kind: name for name, kind in self._settings.mailboxes.items()}
        for kind, usual in _USUAL.items():
            use = f"\\{kind.capitalize()}"
            name = next((n for n in (configured.get(kind, usual[0]), *usual) if n in names and n not in uses), None)
            if use not in uses.values() and name is not None:
                uses[name] = use
        return uses

    # the new store at its place

    def _give_place(self, holder: MailboxHolder, path: str, staging: Staging) -> None:
        """The old rows go, then the old store makes way, then the new one gets its place."""
        if os.path.lexists(path):
            self._forget(holder.id)
            os.rename(path, f"{path}.before-{time.time_ns()}")
        os.rename(staging.path, path)
        sync_folder(os.path.dirname(path))

    def _make_rows(self, holder: MailboxHolder, path: str) -> None:
        """Rows for the new store, and whatever came into the old one at the last moment."""
        for _ in range(_TRIES):
            row = restore_account(self.repository, holder.id, path, gap=1)
            if self._is_indexed(row):
                break
            self._forget(holder.id)  # somebody opened the account while the old store was still there
        else:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"{path}: somebody makes rows of another store for it")
        self._known.pop(holder.id, None)
        self.repository.own(holder.id, holder.addresses, time.time())
        parent, name = os.path.split(path)
        for entry in sorted(os.listdir(parent)):
            if entry.startswith(f"{name}.before-"):
                self._empty(os.path.join(parent, entry), path)
        for mailbox in self.repository.mailboxes(holder.id):
            self._looks.pop((holder.id, mailbox.id), None)
            self._noted.pop((holder.id, mailbox.id), None)
        self._restored(row)
        for mailbox in self.repository.mailboxes(holder.id):
            self.changed(holder.id, mailbox.id, mailbox.highestmodseq)

    def _is_indexed(self, row: AccountRow) -> bool:
        for mailbox in self.repository.mailboxes(row.account):
            facts = markers.read_mailbox(self._folder(row.path, mailbox)) or {}
            if (facts.get("id"), facts.get("uidvalidity")) != (mailbox.id, mailbox.uidvalidity):
                return False
        return True

    @staticmethod
    def _empty(before: str, path: str) -> None:
        """What the store that made way holds and the new one has not goes there, then it is removed."""
        for entry in ["", *(entry for entry in os.listdir(before) if entry.startswith("."))]:
            old, new = os.path.join(before, entry), os.path.join(path, entry)
            places = [place for place in PLACES[1:] if os.path.isdir(os.path.join(old, place))]
            if not places:
                continue  # no mailbox, or removed already by a call that was cut off
            if not os.path.isdir(os.path.join(new, "cur")):
                new = path
            there = {unique_part(file) for place in PLACES[1:] for file in os.listdir(os.path.join(new, place))}
            for place in places:
                for file in os.listdir(os.path.join(old, place)):
                    ukey = unique_part(file)
                    if ukey not in there and not file.startswith("."):
                        rename_unique(os.path.join(old, place, file), os.path.join(new, "new", ukey))
            sync_folder(os.path.join(new, "new"))
        for entry in os.listdir(before):
            if not entry.startswith(".") and entry not in PLACES and not os.path.lexists(os.path.join(path, entry)):
                os.rename(os.path.join(before, entry), os.path.join(path, entry))
        sync_folder(path)
        shutil.rmtree(before)


@contextmanager
def alone(path: str) -> Iterator[str]:
    """The folder in which a store is built, by nobody else meanwhile. Raises Deferred when somebody does, OSError."""
    os.makedirs(path, 0o700, exist_ok=True)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"{path}: somebody else is at it") from None
        yield path
    finally:
        os.close(fd)
        with contextlib.suppress(OSError):
            os.rmdir(path)  # where nothing was begun


def _adopted(source: str, kind: str, messages: dict[str, int], *, done: bool) -> bytes:
    facts = {"version": 1, "source": source, "kind": kind, "messages": messages, "is_done": done}
    return msgspec.json.encode(facts) + b"\n"


def _told(path: str, mailboxes: list[Mailbox], foreign: ForeignStore) -> Adoption:
    counts = {mailbox.name: len(mailbox.messages) for mailbox in mailboxes}
    renamed = {mailbox.was: mailbox.name for mailbox in mailboxes if mailbox.was}
    return Adoption(path, counts, renamed, list(foreign.oddities))


def _numbers(mailboxes: list[Mailbox], own: dict[str, MailboxRow]) -> dict[str, int]:
    """Ids: those that mailboxes have here stay, the others get higher ones."""
    numbers = {row.name: row.id for row in own.values()}
    numbers[INBOX] = INBOX_ID
    highest = max(numbers.values())
    for mailbox in mailboxes:
        if mailbox.name not in numbers:
            highest += 1
            numbers[mailbox.name] = highest
    return numbers


def _row(message: Message) -> MessageRow:
    """As much of a row as its note needs."""
    return MessageRow(
        message.uid,
        1,
        message.flags,
        message.keywords,
        message.size,
        message.crlf,
        0.0,
        0.0,
        message.ukey,
        message.file,
    )
