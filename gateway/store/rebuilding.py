"""From the files back to the index: what a Maildir tells of an account whose rows are missing.

UIDVALIDITY, mailbox ids, special use, rights and annotations stand in `.gatepost-mailbox`, UIDs in the file names (`,U=`). All of
it may be repeated, and done by several processes at once: a row that exists stays as it is.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import replace
from typing import Any

from gateway.store import markers
from gateway.store.errors import MailboxExists
from gateway.store.layout import folder_of, name_of, number_in, split_file
from gateway.store.repository import INBOX_ID, AccountRow, MailboxRow, Repository

UID_GAP = 10_000  # the highest UIDs may have been expunged after the last note of UIDNEXT
MAX_UID = 2**32 - 1
MAX_FOLDERS = 10_000


def restore_account(
    repository: Repository, account: str, maildir: str, gap: int = UID_GAP, next_mailbox: tuple[int, int] = (0, 0)
) -> AccountRow:
    """The row of an account, its INBOX and every folder that stands there. New UIDs begin `gap` above the highest that
    is known, numbers of new mailboxes at `next_mailbox` where that is known. Raises OSError, Deferred."""
    facts = markers.read_mailbox(maildir)
    row = repository.create_account(
        account,
        maildir,
        time.time(),
        inbox_uidvalidity=_number(facts, "uidvalidity"),
        inbox_uidnext=_uidnext(facts, maildir, gap),
        next_mailbox=next_mailbox,
    )
    acl, metadata = _text(facts, "acl"), _text(facts, "metadata")
    if acl or metadata:
        repository.annotate(
            account,
            INBOX_ID,
            lambda known: known if known.acl or known.metadata else replace(known, acl=acl, metadata=metadata),
        )
    if facts is None:
        inbox = repository.mailbox_by_id(account, INBOX_ID)
        if inbox is not None:
            markers.write_mailbox(maildir, inbox, ())
    restore_folders(repository, account, maildir, gap)
    return row


def restore_folders(repository: Repository, account: str, maildir: str, gap: int = UID_GAP) -> list[MailboxRow]:
    """Rows for folders that have none, other programs' ones too; a folder that was renamed keeps its row.

    Returns the new and the renamed rows. Raises OSError, Deferred.
    """
    found = []
    known = {row.name: row for row in repository.mailboxes(account)}
    folders = {
        name: entry
        for entry in sorted(os.listdir(maildir))[:MAX_FOLDERS]
        if entry.startswith(".") and (name := name_of(entry)) is not None and name not in known
        and os.path.isdir(os.path.join(maildir, entry, "cur"))
    }  # fmt: skip
    if not folders:
        return []
    by_id = {row.id: row for row in known.values()}
    for name, entry in folders.items():
        folder = os.path.join(maildir, entry)
        facts = markers.read_mailbox(folder)
        before = by_id.get(_number(facts, "id"))
        if facts is not None and before is not None and before.uidvalidity == _number(facts, "uidvalidity"):
            if os.path.isdir(os.path.join(maildir, folder_of(before.name))):
                facts = None  # a copy of a folder that is still there is a new mailbox
            else:
                with contextlib.suppress(MailboxExists):
                    found += [row for _, row in repository.rename_mailbox(account, before.id, name)]
                continue
        for part in ("tmp", "new"):
            os.makedirs(os.path.join(folder, part), 0o700, exist_ok=True)
        try:
            row = repository.create_mailbox(
                account,
                name,
                str(facts.get("special_use", "")) if facts else "",
                mailbox=_number(facts, "id"),
                uidvalidity=_number(facts, "uidvalidity"),
                uidnext=_uidnext(facts, folder, gap),
                acl=_text(facts, "acl"),
                metadata=_text(facts, "metadata"),
            )
        except MailboxExists:
            continue
        if facts is None:
            markers.write_mailbox(folder, row, ())
        found.append(row)
    return found


def _number(facts: dict[str, Any] | None, key: str) -> int:
    """A positive number of a marker; 0 when there is none."""
    value = facts.get(key) if facts else 0
    return value if isinstance(value, int) and 0 < value <= MAX_UID else 0


def _text(facts: dict[str, Any] | None, key: str) -> str:
    """A text of a marker; "" when there is none."""
    value = facts.get(key) if facts else ""
    return value if isinstance(value, str) else ""


def _uidnext(facts: dict[str, Any] | None, folder: str, gap: int) -> int:
    """Above every UID that the marker and the file names tell of; 0 when the mailbox is new to us."""
    if facts is None:
        return 0
    highest = _number(facts, "uidnext") - 1
    for place in ("cur", "new"):
        for file in os.listdir(os.path.join(folder, place)):
            uid = number_in(split_file(file)[0], "U")
            if uid is not None and highest < uid <= MAX_UID:
                highest = uid
    return min(highest + gap, MAX_UID)
