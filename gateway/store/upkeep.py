"""What nobody waits for: adoption of files that came without notice, flags noted beside the messages, tidying.

One process a host does it, account by account, every few minutes. Everything may be repeated or cut off.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Collection, Sequence

from directory.model import MailboxHolder
from gateway.files.durable import rename_unique, sync_folder, write_synced
from gateway.observe import maillog
from gateway.store import keeping, markers
from gateway.store.annotating import Annotating
from gateway.store.delivering import pieces_of
from gateway.store.layout import unique_part
from gateway.store.opening import Noted, trouble
from gateway.store.repository import MailboxRow, MessageRow

TMP_SECONDS = 36 * 3_600.0  # qmail's maildir(5): a file in tmp/ is dead after 36 hours
TOMBSTONE_SECONDS = 90 * 86_400.0
TOMBSTONES = 50_000  # for each mailbox; clients that come later compare all UIDs
UNNOTED = 500  # new messages that need no note; far below `rebuilding.UID_GAP`
EXPIRED = 10_000  # messages of a mailbox that are expunged in one round
_MAX_NOTED = 500_000


class Upkeep(Annotating):
    """Part of Stores."""

    def find_store(self, holder: MailboxHolder) -> None:
        """Take in what a host without an index delivered for a holder. Raises Deferred.

        Its store may be one that it made and the index does not know yet, or one beside the store that is
        kept: a rename, another volume or a decision about an address changes the path that follows from the
        directory, never the one in the index.
        """
        row = self.repository.account(holder.id)
        path, _ = self._computed_path(holder)
        if row is not None and row.path == path:
            return
        with trouble(path):
            marker = markers.read(os.path.join(path, markers.ACCOUNT))
            if marker is None or marker.get("id") != holder.id:
                return
            if row is None:
                self.open(holder)
                return
            for place in ("cur", "new"):
                for name in os.listdir(os.path.join(path, place)):
                    if not name.startswith("."):
                        _fetch(os.path.join(path, place, name), os.path.join(row.path, "new", unique_part(name)))

    def tend(self, account: str, maildir: str) -> None:
        """Look after one account. Raises Deferred."""
        self.find_folders(account, maildir)
        with trouble(maildir):
            self.sweep_removed(maildir, account)
            keeping.purge(maildir, time.time() - self._settings.keep_expunged)
        for row in self.repository.mailboxes(account):
            current = self._expire(account, maildir, self.look(account, maildir, row))
            folder = self._folder(maildir, current)
            with trouble(folder):
                self._note(account, folder, current)
                _clear_tmp(os.path.join(folder, "tmp"), time.time() - TMP_SECONDS)
            if current.highestmodseq != self._pruned.get((account, row.id)):
                self.repository.prune(account, row.id, time.time() - TOMBSTONE_SECONDS, TOMBSTONES)
                self._pruned[account, row.id] = current.highestmodseq
        if len(self._noted) > _MAX_NOTED:
            self._noted.clear()
            self._pruned.clear()

    def _expire(self, account: str, maildir: str, row: MailboxRow) -> MailboxRow:
        """Expunge what has been in a mailbox for longer than is configured for its use; the row afterwards. Raises Deferred."""
        after = next((s for use, s in self._settings.expire.items() if f"\\{use.capitalize()}" == row.special_use), 0.0)
        uids = self.repository.saved_before(account, row.id, time.time() - after, EXPIRED) if after else []
        if not uids:
            return row
        maillog.expired(account=account, mailbox=row.name, messages=len(uids))
        self._expunge(account, maildir, row, uids, keeps=True)
        return self.repository.mailbox_by_id(account, row.id) or row

    def remove_store(self, account: str, addresses: Collection[str]) -> None:
        """Remove the files of an account that nobody has any more, then all that is known of it. Raises Deferred.

        May be cut off and repeated: while there are files, the index names them and the marker tells whose they
        are. `addresses` were the account's.
        """
        row = self.repository.account(account)
        if row is not None:
            with trouble(row.path):
                self._check_mounted(row.path)
                if os.path.isdir(row.path):
                    _remove_but(row.path, markers.ACCOUNT)
                    shutil.rmtree(row.path)
                with contextlib.suppress(OSError):
                    os.rmdir(os.path.dirname(row.path))  # the account's folder, where nothing else is in it
            self.repository.delete_account(account)
        self.repository.disown(account, addresses)
        self._known.pop(account, None)

    def _note(self, account: str, folder: str, row: MailboxRow) -> None:
        """Write flags and numbers that changed beside the messages, so that they outlive the index."""
        key = (account, row.id)
        noted = self._noted.get(key)
        if noted is None:
            facts = markers.read_mailbox(folder) or {}
            numbers = facts.get("highestmodseq"), facts.get("uidnext")
            modseq, uidnext = (n if isinstance(n, int) and facts.get("id") == row.id else 0 for n in numbers)
            noted = Noted(modseq, uidnext, modseq)
        if row.highestmodseq > noted.looked:
            since = noted.modseq
            if not since or self._is_bloated(account, folder, row):
                seen = self.repository.seen_since(account, row.id, 0)
                markers.write_mailbox(folder, row, self.repository.messages(account, row.id), seen)
            else:
                seen = self.repository.seen_since(account, row.id, since)
                changed = self.repository.messages(account, row.id, since)
                if not seen and _is_only_mail(changed, noted.uidnext, row.uidnext):
                    self._noted[key] = noted._replace(looked=row.highestmodseq)
                    return
                markers.append_mailbox(folder, row, changed, seen)
            self.keep_notes(account, folder, row)
            noted = Noted(row.highestmodseq, row.uidnext, row.highestmodseq)
        self._noted[key] = noted

    def _is_bloated(self, account: str, folder: str, row: MailboxRow) -> bool:
        lines = self.repository.counts(account, row.id).messages
        if not markers.is_bloated(folder, lines):
            return False
        return markers.is_bloated(folder, lines + len(self.repository.seen_since(account, row.id, 0)))


def _is_only_mail(changed: Sequence[MessageRow], noted: int, uidnext: int) -> bool:
    """New messages without flags are all that came since UIDNEXT was `noted`, and they are few: their names tell
    their UIDs, and a lost index begins far above them."""
    return len(changed) == uidnext - noted <= UNNOTED and not any(
        message.flags or message.keywords or message.uid < noted for message in changed
    )


def _remove_but(folder: str, kept: str) -> None:
    """Remove what is in a folder, except the file `kept`."""
    with os.scandir(folder) as found:
        entries = [entry for entry in found if entry.name != kept]
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)


def _fetch(source: str, target: str) -> None:
    """Move a file, across volumes too."""
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        temporary = target.replace("/new/", "/tmp/")
        write_synced(temporary, pieces_of(source), os.stat(source).st_mtime)
        rename_unique(temporary, target)
        sync_folder(os.path.dirname(target))
        os.unlink(source)


def _clear_tmp(folder: str, before: float) -> None:
    """Remove what a dead delivery left; what has a row was put in place by the look."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        try:
            if os.lstat(path).st_ctime < before:
                os.unlink(path)
        except (FileNotFoundError, IsADirectoryError):
            continue
