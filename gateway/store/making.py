"""New stores: their folders and markers on disk, then their rows.

Everything is created first and put on disk together at the end, that of several stores too, since each time costs
a file system about the same. What a crash leaves is completed like a store whose index was lost: a marker
that is empty counts as none.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from directory.model import Condition, Deferred
from gateway.files.commit import Commit
from gateway.files.durable import make_new_folder, sync_folder, write_new
from gateway.store import markers
from gateway.store.layout import PLACES
from gateway.store.repository import INBOX, INBOX_ID, AccountRow, MailboxRow, NewAccount, Repository

#: stores that are made together: three open files each
AT_ONCE = 64
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Site:
    """Where a store shall be: the Maildir `path` below the top of its volume, for an account with its addresses."""

    top: str
    path: str
    account: str
    addresses: tuple[str, ...]


@dataclass(slots=True)
class _Begun:
    """What was created for a store and is not on disk yet."""

    number: int
    inbox: MailboxRow
    files: list[int]
    folder: int
    above: list[str]

    def close(self) -> None:
        for fd in (*self.files, self.folder):
            os.close(fd)


def make_stores(
    repository: Repository, commit: Commit, sites: Sequence[Site]
) -> list[tuple[AccountRow, MailboxRow] | Deferred | None]:
    """For each new store, at most `AT_ONCE` on one volume, the row of its account and of its INBOX as it begins.

    All is on disk on return. None where something stands already, Deferred where it could not be made.
    """
    made: list[tuple[AccountRow, MailboxRow] | Deferred | None] = [None] * len(sites)
    begun: list[_Begun] = []
    now = time.time()
    try:
        for number, site in enumerate(sites):
            try:
                begun.append(_begin(number, site, int(now)))
            except FileExistsError:
                continue
            except OSError as error:
                made[number] = _trouble(site.path, error)
        try:
            commit.together([fd for each in begun for fd in each.files], [each.folder for each in begun])
            for folder in dict.fromkeys(path for each in begun for path in each.above):
                sync_folder(folder)
        except OSError as error:
            for each in begun:
                made[each.number] = _trouble(sites[each.number].path, error)
            return made
    finally:
        for each in begun:
            each.close()
    wanted = [_new_account(sites[each.number], each.inbox) for each in begun]
    for each, rows in zip(begun, repository.create_accounts(wanted, now), strict=True):
        made[each.number] = rows if isinstance(rows, Deferred) else _settled(sites[each.number].path, each.inbox, *rows)
    return made


def _new_account(site: Site, inbox: MailboxRow) -> NewAccount:
    return NewAccount(site.account, site.path, inbox.uidvalidity, site.addresses)


def _trouble(path: str, error: OSError) -> Deferred:
    return Deferred(Condition.STORE_UNAVAILABLE, f"{path}: {error}")


def _begin(number: int, site: Site, now: int) -> _Begun:
    """Folders and markers of one store. Raises FileExistsError when its Maildir is there, OSError."""
    above = make_new_folder(site.top, site.path)
    inbox = MailboxRow(INBOX_ID, INBOX, now, 1, 1)
    begun = _Begun(number, inbox, [], os.open(site.path, _FOLDER), above)
    with contextlib.ExitStack() as undo:
        undo.callback(begun.close)
        for place in PLACES:
            os.mkdir(place, 0o700, dir_fd=begun.folder)
        for name, content in (
            (markers.ACCOUNT, markers.account_content(site.account, site.addresses, now)),
            (markers.MAILBOX, markers.mailbox_content(inbox)),
        ):
            begun.files.append(write_new(name, content, begun.folder))
        undo.pop_all()
    return begun


def _settled(
    path: str, inbox: MailboxRow, row: AccountRow, known: MailboxRow
) -> tuple[AccountRow, MailboxRow] | Deferred:
    """The row that another process made in between counts, for the marker too."""
    if known.uidvalidity == inbox.uidvalidity:
        return row, inbox
    try:
        markers.write_mailbox(path, known, ())
    except OSError as error:
        return _trouble(path, error)
    return row, replace(inbox, uidvalidity=known.uidvalidity)
