"""Looking at the files of a mailbox: what other programs, delivery-only hosts and crashes left there.

A look takes a listing first and the rows behind it, since every change of ours is in the index before its
file gets or loses its name. It

* adopts files that have no row: those in new/ get a UID in their name and go to cur/, those in cur/ keep
  their name; flags come from `.gatepost-mailbox`, else from the letters in the name;
* takes flags over that another program wrote into a name, as a change against the letters seen last;
* finishes what a crash cut off: a message with a row whose file stands in tmp/ or new/, an expunged message
  whose file is still there;
* expunges a message that another program removed, but only when two looks a minute apart miss it and its
  name does not open: a listing under renames is incomplete and proves nothing.

Deliveries of ours change cur/ too; where they alone did, the look reads their rows only (`gateway.store.agreed`).
"""

from __future__ import annotations

import os
import time
from io import FileIO
from itertools import takewhile

from directory.model import Condition, Deferred, MailboxHolder
from gateway.files.durable import rename_unique, sync_folder
from gateway.store import keeping, markers
from gateway.store.agreed import Agreed, agreed_on
from gateway.store.errors import NoSuchMailbox
from gateway.store.finding import Finder
from gateway.store.flags import from_info
from gateway.store.layout import checked_name, number_in, split_file, unique_part
from gateway.store.objectid import email_id_in
from gateway.store.opening import Look, Opening, trouble
from gateway.store.rebuilding import restore_folders
from gateway.store.repository import INBOX, INBOX_ID, AccountRow, MailboxRow, MessageRow, NewMessage

MISSING_SECONDS = 60.0  # between the two looks that prove a removal
UNFINISHED_SECONDS = 60.0  # a delivery that takes longer between row and name has died
_SETTLED = 1.0  # a folder changed more recently than this may change again within its clock's step
_MAX_REMEMBERED = 50_000
_READ = 262_144
DRAFT = "D"  # one that was written on is expunged with each change: these are not kept


class Adopting(Opening):
    """Part of Stores."""

    def open_mailbox(self, holder: MailboxHolder, name: str) -> MailboxRow:
        """The mailbox with everything that stands in its folder. Raises NoSuchMailbox, Deferred."""
        maildir = self.open(holder).path
        name = checked_name(name)
        if name != INBOX:
            self.furnish(holder, maildir)
        row = self.repository.mailbox(holder.id, name)
        if row is None and self.find_folders(holder.id, maildir):
            row = self.repository.mailbox(holder.id, name)
        if row is None:
            raise NoSuchMailbox(name)
        return self.look(holder.id, maildir, row)

    def _restored(self, row: AccountRow) -> None:
        # files from before the index was lost count against the quota from the first delivery on
        for mailbox in self.repository.mailboxes(row.account):
            self.look(row.account, row.path, mailbox)

    def find_folders(self, account: str, maildir: str) -> list[MailboxRow]:
        """Give rows to folders that other programs made or renamed. Raises Deferred."""
        with trouble(maildir):
            return restore_folders(self.repository, account, maildir)

    def look(self, account: str, maildir: str, row: MailboxRow) -> MailboxRow:
        """Look at a mailbox unless nothing has changed since the last time; its row afterwards. Raises Deferred."""
        folder = self._folder(maildir, row)
        key = (account, row.id)
        last = self._looks.get(key)
        started = time.time()
        with trouble(folder):
            try:
                new, cur = _changed_at(os.path.join(folder, "new")), _changed_at(os.path.join(folder, "cur"))
            except FileNotFoundError:
                return self._without_folder(account, maildir, row)
            if last is not None and (last.new, last.cur) == (new, cur) and not last.missing:
                return row
            missing = dict(last.missing) if last is not None else {}
            agreed = self._look(account, folder, row, missing, last.agreed if last is not None else None)
        if started - max(new, cur) / 1e9 < _SETTLED:
            new = cur = -1
        if len(self._looks) >= _MAX_REMEMBERED:
            self._looks.clear()
        self._looks[key] = Look(new, cur, missing, agreed)
        return self.repository.mailbox_by_id(account, row.id) or row

    def _without_folder(self, account: str, maildir: str, row: MailboxRow) -> MailboxRow:
        """A mailbox whose folder is not there: renamed, cut off by a crash at CREATE, or removed by another program.

        Raises NoSuchMailbox when it was removed, Deferred while that is not proven; OSError.
        """
        if markers.read(os.path.join(maildir, markers.ACCOUNT)) is None:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"{maildir} is not there")
        self.find_folders(account, maildir)
        current = self.repository.mailbox_by_id(account, row.id)
        if current is None:
            raise NoSuchMailbox(row.name)
        if current.name != row.name:
            return self.look(account, maildir, current)
        if row.id == INBOX_ID or not self.repository.counts(account, row.id).messages:
            self._make_folder(maildir, row)
            return row
        last = self._looks.setdefault((account, row.id), Look())
        since = last.missing.setdefault(0, time.time())
        if time.time() - since < MISSING_SECONDS:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"{self._folder(maildir, row)} is not there")
        self.repository.delete_mailbox(account, row.id)
        self._looks.pop((account, row.id), None)
        raise NoSuchMailbox(row.name)

    def _look(
        self, account: str, folder: str, row: MailboxRow, missing: dict[int, float], agreed: Agreed | None
    ) -> Agreed | None:
        """Look at the files; what the next look may build on."""
        now = time.monotonic()
        cur, new = ([f for f in os.listdir(os.path.join(folder, p)) if f[0] != "."] for p in ("cur", "new"))
        if agreed is not None and not (new or missing) and agreed.may_hold(row, now):
            messages = self.repository.counts(account, row.id).messages
            changed = self.repository.files_changed(account, row.id, agreed.modseq)
            if now_agreed := agreed.after(row, cur, messages, changed):
                agreed, overlooked = now_agreed
                self._account_for(account, folder, row, [message[:4] for message in overlooked], missing)
                return agreed
        files = {unique_part(file): ("new", file) for file in new}
        files.update((unique_part(file), ("cur", file)) for file in cur)
        known: set[str] = set()
        renamed: dict[int, tuple[str, str]] = {}
        gone: list[int] = []
        absent: list[tuple[int, str, str, str]] = []
        is_settled = not new and len(files) == len(cur)
        rows = self.repository.files(account, row.id)
        for uid, ukey, name, info, is_expunged in rows:
            known.add(ukey)
            place, file = files.get(ukey, ("", ""))
            if is_expunged:
                if place:
                    self._remove_expunged(account, row, os.path.join(folder, place, file), info)
                gone.append(uid)
            elif not place:
                absent.append((uid, ukey, name, info))
            elif place == "new":
                rename_unique(os.path.join(folder, place, file), os.path.join(folder, "cur", f"{name}:2,{info}"))
            elif file != f"{name}:2,{info}":
                is_settled = False
                if (found := split_file(file)) != (name, info):
                    renamed[uid] = found
        if gone:
            sync_folder(os.path.join(folder, "cur"))
            self.repository.files_gone(account, row.id, gone)
        if renamed:
            self.changed(account, row.id, self.repository.take_info(account, row.id, renamed))
        fresh = [(place, file) for ukey, (place, file) in files.items() if ukey not in known]
        if fresh:
            self._adopt(account, folder, row, fresh)
        elif not absent:
            self.repository.settle(account, row.id)
        self._account_for(account, folder, row, absent, missing)
        if not is_settled or gone or fresh or absent:
            return None
        later = [files[ukey][1] for _, ukey, *_ in takewhile(lambda message: message[0] >= row.uidnext, rows[::-1])]
        return agreed_on(row, cur, later, now)

    def _remove_expunged(self, account: str, mailbox: MailboxRow, path: str, flags: str) -> None:
        """Take the file of an expunged message away, or keep it beside the mailboxes. Raises OSError, Deferred."""
        try:
            if self._settings.keep_expunged and DRAFT not in flags:
                keeping.keep(self._maildir(account), mailbox.name, path, flags)
            else:
                os.unlink(path)
        except FileNotFoundError:
            pass

    def _adopt(self, account: str, folder: str, row: MailboxRow, fresh: list[tuple[str, str]]) -> None:
        """Rows for files, in the order of their old UIDs and dates."""
        are_old = any(place == "cur" for place, _ in fresh)
        noted = markers.read_flags(folder) if are_old else {}
        wanted: list[tuple[int, float, NewMessage]] = []
        where: dict[str, str] = {}
        for place, file in fresh:
            path = os.path.join(folder, place, file)
            name, info = split_file(file)
            try:
                facts = os.stat(path)
                crlf = _crlf_size(path, name, facts.st_size)
            except FileNotFoundError:
                continue
            ukey = unique_part(file)
            flags, keywords = noted.get(ukey) or from_info(info)
            where[ukey] = path
            message = NewMessage(
                ukey,
                facts.st_size,
                crlf,
                facts.st_mtime,
                flags=flags,
                keywords=keywords,
                name=name if place == "cur" else "",
                info=info if place == "cur" else "",
                uid=number_in(name, "U") or 0,
                email=email_id_in(name),
            )
            wanted.append((message.uid or 1 << 32, facts.st_mtime, message))
        wanted.sort(key=lambda item: (item[0], item[1], item[2].ukey))
        adopted = self.repository.adopt(account, row.id, [message for _, _, message in wanted])
        if are_old:
            uids = {made.ukey: made.uid for made in adopted}
            seen = markers.read_seen(folder).items()
            self.repository.restore_seen(
                account, row.id, [(uids[ukey], reader, is_seen) for (ukey, reader), is_seen in seen if ukey in uids]
            )
        absent = []
        for made in adopted:
            path = where[made.ukey]
            target = os.path.join(folder, "cur", f"{made.name}:2,{made.info}")
            try:
                if path != target:
                    rename_unique(path, target)
                else:
                    os.lstat(target)
            except FileNotFoundError:
                absent.append(made)
        there = {unique_part(file) for file in os.listdir(os.path.join(folder, "cur"))} if absent else set()
        if vanished := [made.uid for made in absent if made.ukey not in there]:
            # expunged by us between the listing and the rows
            self.repository.expunge(account, row.id, vanished)
            self.repository.files_gone(account, row.id, vanished)
        self.changed(account, row.id, adopted)

    def _account_for(
        self,
        account: str,
        folder: str,
        row: MailboxRow,
        absent: list[tuple[int, str, str, str]],
        missing: dict[int, float],
    ) -> None:
        """Messages that a listing does not show: still on their way, cut off by a crash, removed, or overlooked."""
        now = time.time()
        removed = []
        seen_missing: dict[int, float] = {}
        for uid, ukey, name, info in absent:
            target = os.path.join(folder, "cur", f"{name}:2,{info}")
            temporary = os.path.join(folder, "tmp", ukey)
            try:
                if now - os.lstat(temporary).st_ctime > UNFINISHED_SECONDS:
                    rename_unique(temporary, target)
                    sync_folder(os.path.join(folder, "cur"))
                continue
            except FileNotFoundError:
                pass
            if os.path.lexists(target):
                continue
            since = missing.get(uid, now)
            if now - since >= MISSING_SECONDS:
                removed.append(uid)
            else:
                seen_missing[uid] = since
        missing.clear()
        missing.update(seen_missing)
        if removed and markers.read(os.path.join(folder, markers.MAILBOX)) is not None:
            # the mark proves that this is the folder and not the mount point of a volume that is away
            rows = self.repository.expunge(account, row.id, removed)
            self.repository.files_gone(account, row.id, [message.uid for message in rows])
            if rows:
                changed = self.repository.mailbox_by_id(account, row.id)
                self.changed(account, row.id, changed.highestmodseq if changed else 0)

    def open_file(self, account: str, mailbox: MailboxRow, message: MessageRow) -> FileIO:
        """The file of a message, open for reading. Raises Deferred; FileNotFoundError when it is gone."""
        folder = self._folder(self._maildir(account), mailbox)
        files: list[FileIO] = []
        with trouble(folder):
            if Finder(folder).do(message, lambda path: files.append(FileIO(path, "rb"))):
                return files[0]
        raise FileNotFoundError(message.name)

    def read(self, account: str, mailbox: MailboxRow, message: MessageRow) -> bytes:
        """The octets of a message with LF line ends. Raises Deferred; FileNotFoundError when it is gone."""
        content = self._read_at_once(account, mailbox, message)
        if content is None:
            with self.open_file(account, mailbox, message) as file, trouble(message.name):
                content = file.readall()
        return content.replace(b"\r\n", b"\n") if content.find(b"\r") >= 0 else content

    def _read_at_once(self, account: str, mailbox: MailboxRow, message: MessageRow) -> bytes | None:
        """The file under its name in the index, in three system calls; None when it has another name or size."""
        path = Finder(self._folder(self._maildir(account), mailbox)).expected(message)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                content = os.read(fd, message.size + 1)
            finally:
                os.close(fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"{message.name}: {error}") from error
        return content if len(content) == message.size else None


def _changed_at(folder: str) -> int:
    """When a folder was changed last, in ns; opened, since NFS answers stat from a cache up to 30 s old."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return os.fstat(fd).st_mtime_ns
    finally:
        os.close(fd)


def _crlf_size(path: str, name: str, size: int) -> int:
    """Octets on the wire: from a name that tells the true size, else counted."""
    told = number_in(name, "W")
    if told is not None and told > size and number_in(name, "S") == size:
        return told
    count = 0
    with open(path, "rb", buffering=0) as file:
        held = b""
        while piece := file.read(_READ):
            data = held + piece
            held = b"\r" if data.endswith(b"\r") else b""
            data = data[: len(data) - len(held)].replace(b"\r\n", b"\n")
            count += len(data) + data.count(b"\n")
    return count + len(held)
