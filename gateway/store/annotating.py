"""Rights and annotations of a mailbox: changed in the index, then noted in `.gatepost-mailbox`, the truth.

Whoever writes that file reads the index again afterwards and writes once more when somebody came between, so
that its last line always tells what was answered.
"""

from __future__ import annotations

from collections.abc import Callable

from directory.model import Condition, Deferred, MailboxHolder
from gateway.store import markers
from gateway.store.folders import Folders
from gateway.store.opening import trouble
from gateway.store.repository import MailboxRow

TRIES = 16  # changes of one mailbox at the same moment


class Annotating(Folders):
    """Part of Stores."""

    def annotate(self, holder: MailboxHolder, name: str, change: Callable[[MailboxRow], MailboxRow]) -> MailboxRow:
        """Give a mailbox the `acl` and `metadata` of what `change` makes of its row, on disk on return.

        What `change` raises leaves everything as it was. Raises NoSuchMailbox, InvalidMailboxName, Deferred.
        """
        maildir = self.open(holder).path
        row = self._existing(holder, name)
        after = self.repository.annotate(holder.id, row.id, change)
        if (after.acl, after.metadata) != (row.acl, row.metadata):
            folder = self._folder(maildir, after)
            with trouble(folder):
                markers.change_facts(folder, after)
                self.keep_notes(holder.id, folder, after)
        return after

    def keep_notes(self, account: str, folder: str, written: MailboxRow) -> None:
        """`written` was noted in `folder`: note what is true when it is no more. Raises OSError, Deferred."""
        for _ in range(TRIES):
            row = self.repository.mailbox_by_id(account, written.id)
            if row is None or (row.acl, row.metadata) == (written.acl, written.metadata):
                return
            markers.change_facts(folder, row)
            written = row
        raise Deferred(Condition.STORE_UNAVAILABLE, f"{folder}: too many changes of its rights at once")
