"""Index and files of one account compared, put right, and the index made anew from the files.

Files are listed before rows are read, since every change of ours is in the index before its file gets or loses its
name; what is found is looked at once more by name, because a listing under renames is incomplete. All of it may be
done beside the running service, and repeated.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

from gateway.files.durable import rename_unique
from gateway.store import markers
from gateway.store.errors import NoSuchMailbox
from gateway.store.layout import name_of, unique_part
from gateway.store.opening import trouble
from gateway.store.rebuilding import MAX_FOLDERS, restore_account
from gateway.store.repository import MailboxRow
from gateway.store.undeleting import Undeleting

MAX_NAMED = 5  # files named in a finding; the rest is counted


@dataclass(frozen=True, slots=True)
class Finding:
    """What is not as it should be. `mailbox` is "" for the account as a whole."""

    mailbox: str
    kind: str
    detail: str


class Caring(Undeleting):
    """Part of Stores."""

    def check(self, account: str) -> list[Finding]:
        """What does not fit together; nothing is changed. Raises Deferred."""
        maildir = self._maildir(account)
        found: list[Finding] = []
        with trouble(maildir):
            marker = markers.read(os.path.join(maildir, markers.ACCOUNT))
            if marker is None or marker.get("id") != account:
                said = "none, or it is damaged" if marker is None else f"it names {marker.get('id')}"
                found.append(Finding("", "owner", f"{markers.ACCOUNT}: {said}"))
            rows = self.repository.mailboxes(account)
            known = {row.name for row in rows}
            for entry in sorted(os.listdir(maildir))[:MAX_FOLDERS]:
                name = name_of(entry)
                if name is not None and name not in known and os.path.isdir(os.path.join(maildir, entry, "cur")):
                    found.append(Finding(name, "folder", "a folder without a row in the index"))
            for row in rows:
                found += self._check_mailbox(account, self._folder(maildir, row), row)
        for mailbox, what, kept, counted in self.repository.recount(account):
            name = next((row.name for row in rows if row.id == mailbox), "")
            found.append(Finding(name, "count", f"{what}: {kept} in the index, {counted} by its rows"))
        return found

    def _check_mailbox(self, account: str, folder: str, row: MailboxRow) -> list[Finding]:
        """Raises OSError, Deferred."""
        found: list[Finding] = []
        try:
            listed = {
                unique_part(file): file for place in ("new", "cur") for file in os.listdir(os.path.join(folder, place))
            }
        except FileNotFoundError:
            return [Finding(row.name, "folder", f"{folder} is not there, or has no new or cur")]
        facts = markers.read_mailbox(folder)
        if facts is None:
            found.append(Finding(row.name, "marker", f"{markers.MAILBOX}: none, or it is damaged"))
        elif (facts.get("id"), facts.get("uidvalidity")) != (row.id, row.uidvalidity):
            found.append(Finding(row.name, "marker", f"{markers.MAILBOX}: it tells of another mailbox"))
        missing: list[str] = []
        left: list[str] = []
        for _, ukey, name, info, is_expunged in self.repository.files(account, row.id):
            file = listed.pop(ukey, None)
            if is_expunged and file is not None:
                left.append(file)
            elif not is_expunged and file is None:
                places = (os.path.join(folder, "cur", f"{name}:2,{info}"), os.path.join(folder, "tmp", ukey))
                if not any(map(os.path.lexists, places)):
                    missing.append(name)
        orphans = [file for file in listed.values() if not file.startswith(".")]
        for kind, text, files in (
            ("orphan", "files without a row in the index", orphans),
            ("missing", "rows in the index without a file", missing),
            ("expunged", "files of expunged messages", left),
        ):
            if files:
                found.append(Finding(row.name, kind, f"{len(files)} {text}: {_some(files)}"))
        return found

    def repair(self, account: str) -> None:
        """Put right what `check` tells of: files without a row are adopted, folders get one, marks that are missing are
        written, what is used is counted anew. A row without a file goes when two looks of the service, a minute apart,
        miss it; a mark that tells of another is left alone. Raises Deferred.
        """
        maildir = self._maildir(account)
        with trouble(maildir):
            if markers.read(os.path.join(maildir, markers.ACCOUNT)) is None:
                markers.write_account(maildir, account, ())
        self.find_folders(account, maildir)
        for row in self.repository.mailboxes(account):
            folder = self._folder(maildir, row)
            with trouble(folder):
                if os.path.isdir(folder) and markers.read_mailbox(folder) is None:
                    self._write_all(account, folder, row)
            self._looks.pop((account, row.id), None)
            try:
                self.look(account, maildir, row)
            except NoSuchMailbox:
                continue
        self.repository.recount(account, fix=True)

    def rebuild(self, account: str) -> None:
        """Make the index of an account anew from its files: UIDs and UIDVALIDITY stay, MODSEQs begin above all before.

        It is one change: who reads sees what was before until it is done, and who wants to write waits. Flags, rights and
        annotations are noted beside the messages first. What only the index knows is lost: when a message came into its
        mailbox, and to which address. Raises Deferred, and then nothing is forgotten.
        """
        maildir = self._maildir(account)
        with self.repository.alone(account):
            with trouble(maildir):
                marker = markers.read(os.path.join(maildir, markers.ACCOUNT))
                if marker is None or marker.get("id") != account:
                    markers.write_account(maildir, account, ())
                self.find_folders(account, maildir)
                for row in self.repository.mailboxes(account):
                    folder = self._folder(maildir, row)
                    if os.path.isdir(folder):
                        self._put_in_place(account, folder, row)
                        self._write_all(account, folder, row)
                following = self.repository.next_mailbox(account)
                self.repository.delete_account(account)
                self._known.pop(account, None)
                restored = restore_account(self.repository, account, maildir, next_mailbox=following)
            for row in self.repository.mailboxes(account):
                self._looks.pop((account, row.id), None)
                self._noted.pop((account, row.id), None)
            self._restored(restored)
        rows = self.repository.mailboxes(account)
        self.changed_all([(account, row.id, row.highestmodseq) for row in rows])

    def _put_in_place(self, account: str, folder: str, row: MailboxRow) -> None:
        """Finish what others have begun with files: what has a row gets its name, what is expunged goes. Raises OSError."""
        waiting = set(os.listdir(os.path.join(folder, "tmp")))
        present = {unique_part(file): file for file in os.listdir(os.path.join(folder, "cur"))}
        for _, ukey, name, info, is_expunged in self.repository.files(account, row.id):
            if is_expunged and ukey in present:
                self._remove_expunged(account, row, os.path.join(folder, "cur", present[ukey]), info)
            elif not is_expunged and ukey in waiting:
                with contextlib.suppress(FileNotFoundError):  # they were faster
                    rename_unique(os.path.join(folder, "tmp", ukey), os.path.join(folder, "cur", f"{name}:2,{info}"))

    def _write_all(self, account: str, folder: str, row: MailboxRow) -> None:
        """All that the index knows, beside the messages. Raises OSError, Deferred."""
        messages, seen = self.repository.messages(account, row.id), self.repository.seen_since(account, row.id, 0)
        markers.write_mailbox(folder, self.repository.mailbox_by_id(account, row.id) or row, messages, seen)
        self.keep_notes(account, folder, row)


def _some(files: list[str]) -> str:
    more = f" and {len(files) - MAX_NAMED} more" if len(files) > MAX_NAMED else ""
    return ", ".join(files[:MAX_NAMED]) + more
