"""A store that is built beside its place, of links to another store's files, and nobody sees until it is whole.

It may be cut off and built again: what stands there already is kept, what does not belong there any more goes. Only
names are removed, the files have others where they come from. Raises OSError; Unreadable for a compressed file that is
damaged.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Sequence

from gateway.files.durable import sync_folder, write_synced
from gateway.store.foreign.packing import unpacked
from gateway.store.foreign.reading import Mailbox, Message
from gateway.store.layout import PLACES, folder_of

#: where a file cannot be linked: on another file system, another's (fs.protected_hardlinks), too many links
_COPIED = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS}


class Staging:
    """The store in the making at `path`."""

    def __init__(self, path: str) -> None:
        self.path = path
        #: files that were copied, since they could not be linked
        self.copied = 0

    def begin(self) -> None:
        """What an attempt that was cut off left half done is removed, and its notes: they are written anew."""
        inner = [entry.path for entry in os.scandir(self.path) if entry.is_dir() and entry.name not in PLACES]
        for folder in (self.path, *inner):
            shutil.rmtree(os.path.join(folder, "tmp"), ignore_errors=True)
            for entry in list(os.scandir(folder)):
                if entry.is_file(follow_symlinks=False):
                    os.unlink(entry.path)

    def folder(self, mailbox: Mailbox) -> str:
        return os.path.join(self.path, folder_of(mailbox.name))

    def put(self, mailboxes: Sequence[Mailbox]) -> int:
        """Make the folders and files of all mailboxes; how many names were not there before, or should not have been."""
        wanted = {folder_of(mailbox.name) for mailbox in mailboxes}
        changes = 0
        for entry in os.listdir(self.path):
            if entry not in wanted and entry not in PLACES:
                shutil.rmtree(os.path.join(self.path, entry))
                changes += 1
        return changes + sum(self._put(mailbox) for mailbox in mailboxes)

    def _put(self, mailbox: Mailbox) -> int:
        folder = self.folder(mailbox)
        for place in PLACES:
            os.makedirs(os.path.join(folder, place), 0o700, exist_ok=True)
        if folder_of(mailbox.name):
            open(os.path.join(folder, "maildirfolder"), "ab").close()
        cur = os.path.join(folder, "cur")
        there = set(os.listdir(cur))
        wanted = {message.file: message for message in mailbox.messages}
        for file in there - wanted.keys():
            os.unlink(os.path.join(cur, file))
        missing = wanted.keys() - there
        for file in missing:
            self._place(wanted[file], folder, file)
        return len(there - wanted.keys()) + len(missing)

    def _place(self, message: Message, folder: str, file: str) -> None:
        target = os.path.join(folder, "cur", file)
        try:
            if not message.is_packed:
                try:
                    os.link(message.source, target, follow_symlinks=False)
                    return
                except OSError as error:
                    if error.errno not in _COPIED:
                        raise
            temporary = os.path.join(folder, "tmp", message.ukey)
            write_synced(temporary, unpacked(message.source), os.stat(message.source).st_mtime)
            os.rename(temporary, target)
            self.copied += 1
        except FileNotFoundError:
            pass  # renamed just now: the next look finds it

    def sync(self, mailboxes: Iterable[Mailbox]) -> None:
        """All names on disk."""
        for mailbox in mailboxes:
            folder = self.folder(mailbox)
            for place in PLACES:
                sync_folder(os.path.join(folder, place))
            sync_folder(folder)
        sync_folder(self.path)
        sync_folder(os.path.dirname(self.path))
