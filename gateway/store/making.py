"""A new store: its folders and markers on disk, then its rows.

All names and both markers are written first and put on disk together at the end, since each time costs
a file system about the same. What a crash leaves is completed like a store whose index was lost.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import replace

from gateway.files.durable import make_new_folder, sync_folder
from gateway.store import markers
from gateway.store.layout import PLACES
from gateway.store.repository import INBOX, INBOX_ID, AccountRow, MailboxRow, Repository


def make_store(
    repository: Repository, top: str, maildir: str, account: str, addresses: Iterable[str]
) -> tuple[AccountRow, MailboxRow] | None:
    """The rows of an account's new store at `maildir` below `top` and of its INBOX as it begins, without messages.

    None where something stands already.

    Raises OSError, Deferred.
    """
    try:
        changed = make_new_folder(top, maildir)
    except FileExistsError:
        return None
    for place in PLACES:
        os.mkdir(os.path.join(maildir, place), 0o700)
    now = time.time()
    inbox = MailboxRow(INBOX_ID, INBOX, int(now), 1, 1)
    markers.write_account(maildir, account, addresses, sync=False)
    markers.write_mailbox(maildir, inbox, (), sync=False)
    for folder in (maildir, *changed):
        sync_folder(folder)
    row = repository.create_account(account, maildir, now, inbox_uidvalidity=inbox.uidvalidity)
    known = repository.mailbox_by_id(account, INBOX_ID)
    if known is not None and known.uidvalidity != inbox.uidvalidity:
        markers.write_mailbox(maildir, known, ())  # another process came between, its row counts
        inbox = replace(inbox, uidvalidity=known.uidvalidity)
    return row, inbox
