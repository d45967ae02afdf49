"""Expunged messages come back, as far as they are kept (`store.keep_expunged`)."""

from __future__ import annotations

import os

from directory.model import MailboxHolder
from gateway.store import keeping
from gateway.store.errors import InvalidMailboxName, MailboxExists, NoSuchMailbox
from gateway.store.keeping import Kept
from gateway.store.opening import trouble
from gateway.store.repository import INBOX, MessageRow
from gateway.store.upkeep import Upkeep


class Undeleting(Upkeep):
    """Part of Stores."""

    def expunged_messages(self, holder: MailboxHolder) -> list[Kept]:
        """What can come back, the newest first. Raises Deferred."""
        maildir = self.open(holder).path
        with trouble(maildir):
            return sorted(keeping.kept(maildir), key=lambda message: (-message.expunged_at, message.id))

    def undelete(self, holder: MailboxHolder, message: Kept, into: str = "") -> tuple[str, MessageRow] | None:
        """Put a message back to the end of its mailbox, or of `into`: that and its new row; None when it is gone.

        A mailbox that is gone is made anew. Flags and date come back, keywords do not. A crash may leave the message in
        both places. Raises Deferred, Refused(MAILBOX_FULL), InvalidMailboxName.
        """
        name = into or message.mailbox
        for attempt in (name, INBOX):
            try:
                date = os.stat(message.path).st_mtime
                row = self.append(holder, self._there(holder, attempt), message.path, message.flags, "", date)
                os.unlink(message.path)
            except FileNotFoundError:
                return None
            except (NoSuchMailbox, InvalidMailboxName):
                if into or attempt == INBOX:
                    raise
                continue
            return attempt, row
        return None

    def _there(self, holder: MailboxHolder, name: str) -> str:
        """A mailbox that exists. Raises InvalidMailboxName, Deferred."""
        if self.repository.mailbox(holder.id, name) is None:
            try:
                return self.create_mailbox(holder, name).name
            except MailboxExists:
                pass
        return name
