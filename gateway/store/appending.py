"""APPEND: messages into one mailbox, all of them or none.

All files in tmp/ on disk, one transaction, all renamed into cur/, that folder on disk. What a crash cuts off behind the
transaction is finished by the next look.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from directory.model import Condition, Deferred, MailboxHolder
from gateway.files.durable import sync_file, write_synced
from gateway.store.delivering import Delivering, LfPieces
from gateway.store.errors import NoSuchMailbox
from gateway.store.flags import letters, words
from gateway.store.layout import checked_name
from gateway.store.opening import trouble
from gateway.store.repository import Limits, MessageRow, NewMessage


@dataclass(frozen=True, slots=True)
class NewContent:
    """A message to be put into a mailbox: octets or the path of a spooled file, with CRLF or LF line ends."""

    source: Iterable[bytes] | Path
    flags: str = ""
    keywords: str = ""
    #: seconds since 1970; None = now
    internaldate: float | None = None


def _later(_: int) -> None:
    """In place of a sync that comes behind the last file."""


class Appending(Delivering):
    """Part of Stores."""

    def append(
        self,
        holder: MailboxHolder,
        mailbox: str,
        source: Iterable[bytes] | Path,
        flags: str = "",
        keywords: str = "",
        internaldate: float | None = None,
        limits: Limits | None = None,
    ) -> MessageRow:
        """As `append_all`, of one message."""
        (placed,) = self.append_all(holder, mailbox, [NewContent(source, flags, keywords, internaldate)], limits)
        return placed

    def append_all(
        self, holder: MailboxHolder, mailbox: str, contents: Sequence[NewContent], limits: Limits | None = None
    ) -> list[MessageRow]:
        """Put messages into a mailbox (RFC 9051 6.3.12), all or none, durable on return.

        Raises NoSuchMailbox, Deferred, Refused.
        """
        name = checked_name(mailbox)
        maildir = self.open(holder).path
        row = self.repository.mailbox(holder.id, name)
        if row is None:
            raise NoSuchMailbox(name)
        folder = self._folder(maildir, row)
        commit = self.commit_of(maildir)
        temporary = os.path.join(folder, "tmp", "")
        now = time.time()
        written: list[NewMessage] = []
        try:
            with trouble(folder):
                for content in contents:
                    ukey = self._unique()
                    date = now if content.internaldate is None else content.internaldate
                    pieces = LfPieces(content.source)
                    # of several files the first sync puts most of the others on disk, where all are written before
                    write_synced(temporary + ukey, pieces, date, sync=_later if len(contents) > 1 else commit.file)
                    flags, keywords = letters(content.flags), words(content.keywords)
                    written.append(NewMessage(ukey, pieces.size, pieces.crlf, date, "", flags, keywords))
                for message in written if len(contents) > 1 else ():
                    sync_file(temporary + message.ukey, commit.file)
            placed = self.repository.add(holder.id, row.id, written, limits or self.limits(holder))
        except BaseException:
            self._drop(folder, [message.ukey for message in written])
            raise
        cur = os.path.join(folder, "cur")
        try:
            for each in placed:
                self._give_name(
                    holder.id, row.id, each.uid, temporary + each.ukey, os.path.join(cur, f"{each.name}:2,")
                )
        except OSError as error:
            self._take_back(holder.id, row.id, folder, placed)
            raise Deferred(Condition.STORE_UNAVAILABLE, f"{folder}: {error}") from error
        with trouble(folder):
            commit.folders([cur])
        self.added(holder, sum(each.size for each in placed))
        self.changed(holder.id, row.id, placed)
        return placed

    def _take_back(self, account: str, mailbox: int, folder: str, placed: Sequence[MessageRow]) -> None:
        """One file did not get its name: no row without file, and none of the others stays."""
        try:
            for each in placed:
                for path in (f"tmp/{each.ukey}", f"cur/{each.name}:2,"):
                    try:
                        os.unlink(os.path.join(folder, path))
                    except FileNotFoundError:
                        continue
            self.repository.expunge(account, mailbox, [each.uid for each in placed])
            self.repository.files_gone(account, mailbox, [each.uid for each in placed])
        except (OSError, Deferred):
            pass  # the sweep finds both

    @staticmethod
    def _drop(folder: str, ukeys: Iterable[str]) -> None:
        """Remove files that got no row."""
        for ukey in ukeys:
            try:
                os.unlink(os.path.join(folder, "tmp", ukey))
            except OSError:
                continue  # the sweep clears tmp/
