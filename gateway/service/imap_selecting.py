"""Opens mailboxes for IMAP sessions and keeps their contents, one for each mailbox and process."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from weakref import WeakValueDictionary

from directory.model import Refused
from gateway.imap.flags import flags_text
from gateway.imap.ports import Expunged, Failure, Opened, OpenMailbox, Refresh, Watch
from gateway.imap.rights import CHANGING
from gateway.imap.sources import VisitMailbox
from gateway.imap.view import Columns, Contents, Row, View
from gateway.service.imap_shared import Spot
from gateway.store.errors import InvalidMailboxName, NoSuchMailbox
from gateway.store.objectid import mailbox_id
from gateway.store.repository import MailboxRow, MessageRow, Outline, Repository

if TYPE_CHECKING:
    from gateway.service.imap_executor import ImapExecutor

LOOK_SECONDS = 5.0  # between two looks at the files of a mailbox for sessions that ask again and again
PART = 10_000  # rows read at once
MAX_KEPT = 256  # mailboxes kept in memory after the last session has left them
MAX_KEPT_MESSAGES = 500_000  # in these together, 30 octets each
MAX_NAMED = 4096  # names under which they were opened, remembered
Wake: TypeAlias = Callable[[], None]
Heard: TypeAlias = Callable[[str, int], None]
#: account, mailbox id, and the account whose own \Seen the contents show, "" where all have the same
Key: TypeAlias = tuple[str, int, str]


class OpenMailboxes:
    """The contents of all mailboxes that sessions of this process have open, and of some they had."""

    def __init__(self) -> None:
        self._open: WeakValueDictionary[Key, Contents] = WeakValueDictionary()
        self._kept: OrderedDict[Key, Contents] = OrderedDict()
        self._counted: dict[Key, int] = {}  # messages of each that is kept, when it was last opened
        self._messages = 0
        self._named: dict[tuple[str, str, str], Key] = {}
        self._readers: dict[tuple[str, int], set[str]] = {}
        self._listeners: dict[str, set[Heard]] = {}
        self._watchers: dict[Key, set[Wake]] = {}
        #: contents that are being brought up to date because of a hint
        self.readings: dict[Contents, asyncio.Task[bool]] = {}

    def hint(self, account: str, mailbox: int, modseq: int) -> None:
        """A mailbox has changed, somewhere: its sessions look before they answer next, those in IDLE at once.

        Mailbox 0: any of them may have changed.
        """
        if not mailbox:
            self._hint_all()
            return
        readers = self._readers.get((account, mailbox))
        for reader in ("", *readers) if readers else ("",):
            contents = self._open.get((account, mailbox, reader))
            if contents is None:
                self._forget(account, mailbox, reader)
            elif modseq > contents.hinted:
                contents.hinted = modseq
                for wake in tuple(self._watchers.get(contents.key, ())):
                    wake()

        for heard in tuple(self._listeners.get(account, ())):
            heard(account, mailbox)

    def _hint_all(self) -> None:
        for contents in tuple(self._open.values()):
            contents.hinted = max(contents.hinted, contents.modseq + 1)
            for wake in tuple(self._watchers.get(contents.key, ())):
                wake()
        for account, listeners in tuple(self._listeners.items()):
            for heard in tuple(listeners):
                heard(account, 0)

    def listen(self, account: str, heard: Heard) -> None:
        """Call `heard(account, mailbox id)` at each hint of a change in a store, behind those who watch the mailbox; with
        mailbox 0 when any of them may have changed."""
        self._listeners.setdefault(account, set()).add(heard)

    def unlisten(self, account: str, heard: Heard) -> None:
        """Call `heard` no more."""
        listeners = self._listeners.get(account)
        if listeners is not None:
            listeners.discard(heard)
            if not listeners:
                del self._listeners[account]

    def _forget(self, account: str, mailbox: int, reader: str) -> None:
        """Nobody has these contents any more."""
        readers = self._readers.get((account, mailbox))
        if readers is not None and reader:
            readers.discard(reader)
            if not readers:
                del self._readers[account, mailbox]

    def watch(self, contents: Contents, wake: Wake) -> None:
        """Call `wake` whenever a mailbox has changed."""
        self._watchers.setdefault(contents.key, set()).add(wake)

    def unwatch(self, contents: Contents, wake: Wake) -> None:
        """Call `wake` no more."""
        watchers = self._watchers.get(contents.key)
        if watchers is not None:
            watchers.discard(wake)
            if not watchers:
                del self._watchers[contents.key]

    def contents(self, key: Key, uidvalidity: int) -> Contents:
        """The contents under this key, empty when they were not known. Those used last are kept."""
        contents = self._open.get(key)
        if contents is None or contents.superseded or contents.uidvalidity != uidvalidity:
            contents = self._open[key] = Contents(key, uidvalidity)
        if key[2]:
            self._readers.setdefault(key[:2], set()).add(key[2])
        self._kept[key] = contents
        self._kept.move_to_end(key)
        return contents

    def name(self, account: str, name: str, contents: Contents) -> None:
        """Remember under which name these contents were opened."""
        if len(self._named) >= MAX_NAMED:
            self._named.clear()
        self._named[account, name, contents.key[2]] = contents.key

    def modseq_of(self, account: str, name: str, reader: str) -> int:
        """Up to where the contents last opened under this name are known; 0 when nothing is."""
        key = self._named.get((account, name, reader))
        contents = self._open.get(key) if key is not None else None
        return 0 if contents is None or contents.superseded else contents.modseq

    def trim(self, opened: Contents) -> None:
        """`opened` has been brought up to date: count it, and let go of what was not used for long."""
        if opened.key in self._kept:
            self._messages += len(opened) - self._counted.get(opened.key, 0)
            self._counted[opened.key] = len(opened)
        while self._kept and (len(self._kept) > MAX_KEPT or self._messages > MAX_KEPT_MESSAGES):
            key, _ = self._kept.popitem(last=False)
            self._messages -= self._counted.pop(key, 0)


@dataclass(frozen=True, slots=True)
class Delta:
    """What was read from the index: everything that changed after `since`, or the whole mailbox."""

    since: int
    mailbox: MailboxRow
    rows: Sequence[Outline] = ()
    gone: Sequence[int] = ()
    whole: Columns | None = None


def _read(repository: Repository, key: Key, since: int) -> Delta | None:
    """What changed in a mailbox, None when it is gone. The MODSEQ is read first, so later changes come again."""
    row = repository.mailbox_by_id(key[0], key[1])
    return _read_behind(repository, key, since, row) if row is not None else None


def _read_behind(repository: Repository, key: Key, since: int, row: MailboxRow) -> Delta:
    """The same where the mailbox's row was read just before."""
    account, mailbox, reader = key
    if row.highestmodseq == since:
        return Delta(since, row)
    if not since or since < repository.tombstone_floor(account, mailbox):
        return Delta(since, row, whole=_whole(repository, key))
    rows = repository.outline(account, mailbox, after_modseq=since, reader=reader)
    return Delta(since, row, rows, [uid for uid, _ in repository.expunged(account, mailbox, since)])


def _whole(repository: Repository, key: Key) -> Columns:
    account, mailbox, reader = key
    columns = Columns()
    last = 0
    while part := repository.outline(account, mailbox, after_uid=last, limit=PART, reader=reader):
        uids, modseqs, letters, keywords, sizes, dates = zip(*part, strict=True)
        columns.extend(uids, modseqs, map(flags_text, letters, keywords), sizes, dates)
        last = uids[-1]
        if len(part) < PART:
            break
    return columns


def _apply(contents: Contents, delta: Delta) -> bool:
    """Take over what was read. False when it is to be read again: it was the beginning and something was there already,
    or the mailbox has changed while its parts were read."""
    uidnext, modseq = delta.mailbox.uidnext, delta.mailbox.highestmodseq
    if delta.whole is None:
        rows = [Row(uid, at, flags_text(f, k), size, date) for uid, at, f, k, size, date in delta.rows]
        # these are of one moment, maybe a later one than the mailbox's own row, and what is gone was read last: all
        # changes up to the greatest MODSEQ are here, and no session is told of one before those below it
        contents.apply(rows, delta.gone, uidnext=uidnext, modseq=max([modseq, *(row.modseq for row in rows)]))
        return True
    if contents.modseq and not delta.since:
        return contents.modseq >= modseq
    if not contents.modseq:
        contents.fill(delta.whole, uidnext=uidnext, modseq=modseq)
    else:  # the tombstones do not reach back so far
        whole = delta.whole
        gone = sorted(set(contents.columns.uids).difference(whole.uids))
        contents.apply(
            map(Row, whole.uids, whole.modseqs, whole.flags, whole.sizes, whole.dates),
            gone,
            uidnext=uidnext,
            modseq=modseq,
        )
    return max(delta.whole.modseqs, default=0) <= modseq


def rows_of(rows: Iterable[MessageRow]) -> Iterator[Row]:
    """Rows of the index as sessions see them."""
    return (Row(row.uid, row.modseq, flags_text(row.flags, row.keywords), row.crlf, row.internaldate) for row in rows)


async def catch_up(executor: ImapExecutor, contents: Contents) -> bool:
    """Bring contents up to date with the index. False when they are no more to be used. Raises Deferred."""
    repository = executor.host.stores.repository
    while True:
        hinted = contents.hinted
        delta = await executor.in_pool(partial(_read, repository, contents.key, contents.modseq))
        if delta is None:
            return False
        if _apply(contents, delta):
            if contents.hinted == hinted:
                contents.hinted = min(hinted, contents.modseq)  # followed, whatever it was
            return not contents.superseded


async def follow_hint(executor: ImapExecutor, contents: Contents) -> bool:
    """As `catch_up`, once for all sessions that were told of the same change. Raises Deferred."""
    readings = executor.host.open_mailboxes.readings
    reading = readings.get(contents)
    if reading is not None:
        await asyncio.wait((reading,))
        if contents.hinted <= contents.modseq:
            return not contents.superseded
    task = asyncio.ensure_future(catch_up(executor, contents))
    readings[contents] = task
    try:
        return await task
    finally:
        if readings.get(contents) is task:
            del readings[contents]


async def _open_mailbox(executor: ImapExecutor, request: OpenMailbox) -> Opened | Failure | None:
    found = await _found(executor, request.name)
    if not isinstance(found, _Found):
        return found
    spot, row, contents, rights = found
    holder = spot.holder
    executor.mailbox, executor.owner = row, holder.id
    executor.follow_selected()
    read_only, name = request.read_only or CHANGING.isdisjoint(rights), spot.shown(row.name)
    over_soft = executor.host.stores.is_over_soft(holder)
    return Opened(name, read_only, View(contents), over_soft, mailbox_id(holder.id, row), rights)


async def _visit(executor: ImapExecutor, request: VisitMailbox) -> View | None:
    found = await _found(executor, request.name)
    return View(found.contents, is_visited=True) if isinstance(found, _Found) else None


class _Found(NamedTuple):
    spot: Spot
    row: MailboxRow
    contents: Contents
    rights: str


async def _found(executor: ImapExecutor, name: str) -> _Found | Failure | None:
    """A mailbox that may be read, with its contents up to date. Raises Deferred."""
    stores, mailboxes, spot = executor.host.stores, executor.host.open_mailboxes, executor.spot(name)
    if spot is None:
        return None
    holder = spot.holder
    reader = executor.reader(holder)
    since = mailboxes.modseq_of(holder.id, spot.mailbox, reader)

    def read() -> tuple[MailboxRow, Delta | None]:
        row = stores.open_mailbox(holder, spot.mailbox)
        # what is probably wanted is read along, so that a login and SELECT need the pool once
        if row.highestmodseq == since:
            return row, None
        return row, _read_behind(stores.repository, (holder.id, row.id, reader), since, row)

    try:
        row, delta = await executor.in_pool(read)
    except (NoSuchMailbox, InvalidMailboxName):
        return None
    rights = executor.rights(spot, row)
    if "r" not in rights:
        return Failure("NOPERM", "this mailbox may not be read") if "l" in rights else None
    contents = mailboxes.contents((holder.id, row.id, reader), row.uidvalidity)
    mailboxes.name(holder.id, spot.mailbox, contents)
    if contents.modseq < row.highestmodseq:
        fits = delta is not None and delta.since == contents.modseq and _apply(contents, delta)
        if not fits and not await catch_up(executor, contents):
            return None
        mailboxes.trim(contents)
    return _Found(spot, row, contents, rights)


async def _refresh(executor: ImapExecutor, request: Refresh) -> bool:
    contents, mailbox = executor.selected()
    try:
        holder, stores = executor.selected_holder(), executor.host.stores
    except Refused:
        return False

    def adopt() -> MailboxRow | None:
        row = stores.repository.mailbox_by_id(holder.id, mailbox.id)
        try:
            return stores.open_mailbox(holder, row.name) if row is not None else None
        except NoSuchMailbox:
            return None

    now = asyncio.get_running_loop().time()
    if request.files and now - contents.looked >= LOOK_SECONDS:
        contents.looked = now
        row = await executor.in_pool(adopt)
        if row is None or row.id != mailbox.id:
            return False
        executor.mailbox = row
        if row.highestmodseq <= contents.modseq:
            return not contents.superseded
    if request.files:
        return await catch_up(executor, contents)
    return await follow_hint(executor, contents)


async def _expunged(executor: ImapExecutor, request: Expunged) -> list[int] | None:
    contents, mailbox = executor.selected()
    repository, account = executor.host.stores.repository, contents.key[0]

    def read() -> list[int] | None:
        if request.since < repository.tombstone_floor(account, mailbox.id):
            return None
        return [uid for uid, _ in repository.expunged(account, mailbox.id, request.since)]

    return await executor.in_pool(read)


def _watch(executor: ImapExecutor, request: Watch) -> None:
    executor.unwatch()
    if request.on:
        contents, _ = executor.selected()
        executor.host.open_mailboxes.watch(contents, executor.wake)
        executor.watched = contents


REQUESTS: dict[type, Callable[..., object]] = {
    OpenMailbox: _open_mailbox,
    VisitMailbox: _visit,
    Refresh: _refresh,
    Expunged: _expunged,
    Watch: _watch,
}
