"""From a mailbox holder to its store: volumes, paths, accounts, who owned an address before."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

from directory.model import Condition, Deferred, MailboxHolder
from gateway.files.commit import Commit
from gateway.files.durable import above, make_folders, sync_folder
from gateway.files.names import host_id, unique_name
from gateway.store import markers
from gateway.store.agreed import Agreed, agreed_on
from gateway.store.domain_use import DomainRoom, NoQuota
from gateway.store.errors import MailboxExists
from gateway.store.layout import PLACES, folder_of, path_variables
from gateway.store.limits import NeverOver, OverSoft, is_over, limits_of, note_use
from gateway.store.making import AT_ONCE, Site, make_stores
from gateway.store.rebuilding import restore_account, restore_folders
from gateway.store.repository import INBOX, OWN_SECONDS, AccountRow, Limits, MailboxRow, MessageRow, Repository
from gateway.store.settings import StoreSettings, Volume


@dataclass(slots=True)
class Look:
    """What is remembered of the last look at a mailbox's files.

    When new/ and cur/ had changed, what was missing, and what was agreed upon where nothing was to be done.
    """

    new: int = -1
    cur: int = -1
    missing: dict[int, float] = field(default_factory=dict)
    agreed: Agreed | None = None


#: (account, mailbox id, MODSEQ of the change)
Change: TypeAlias = tuple[str, int, int]


class _Order:
    """Holders without a store whom one caller waits for, and what became of them."""

    __slots__ = ("holders", "is_done", "restored", "rows")

    def __init__(self, holders: list[MailboxHolder]) -> None:
        self.holders = holders
        self.rows: dict[str, AccountRow | Deferred] = {}
        self.restored: list[AccountRow] = []
        self.is_done = False


class Noted(NamedTuple):
    """What was noted of a mailbox beside its messages: changes up to `modseq`, UIDs below `uidnext`; what came up to
    `looked`, a MODSEQ too, needs no note yet."""

    modseq: int
    uidnext: int
    looked: int


REBIND_SECONDS = 90 * 86_400.0
_MAX_KNOWN = 100_000


@contextmanager
def trouble(what: str) -> Iterator[None]:
    """Every OSError (disk full, read only, I/O error, stale handle) is trouble of the store."""
    try:
        yield
    except OSError as error:
        raise Deferred(Condition.STORE_UNAVAILABLE, f"{what}: {error}") from error


class Opening:
    """Part of Stores. `repository` is None on hosts that only deliver."""

    def __init__(
        self,
        settings: StoreSettings,
        repository: Repository | None,
        worker: int = 0,
        *,
        on_change: Callable[[Sequence[Change]], None] | None = None,
        is_alive: Callable[[str], bool] = lambda _: True,
        is_down: Callable[[str], bool] = lambda _: False,
        over_soft: OverSoft | None = None,
        domain_room: DomainRoom | None = None,
    ) -> None:
        """`on_change` is told of committed changes, in any thread, those of one delivery together;
        `is_alive(id)` says whether the directory still has an entry, raising Deferred when it cannot say;
        `is_down(volume)` whether files of a volume hang at the moment; `over_soft` keeps since when soft quotas are exceeded,
        `domain_room` what the domains hold."""
        self._settings = settings
        self._index = repository
        self._worker = worker
        self._host = host_id()
        self._unindexed: dict[str, str] = {}
        self._known: dict[str, tuple[AccountRow, tuple[str, ...], float]] = {}
        self._commits = {name: Commit(v.path, v.durability) for name, v in settings.volumes.items()}
        self._tops = [(os.path.normpath(v.path) + os.sep, self._commits[name]) for name, v in settings.volumes.items()]
        self._fallback_commit = Commit("/", "fsync")
        self._on_change = on_change
        self._is_alive = is_alive
        self._is_down = is_down
        self._over_soft = over_soft or NeverOver()
        self._domain_room = domain_room or NoQuota()
        self._furnished: set[str] = set()
        self._noted: dict[tuple[str, int], Noted] = {}
        self._pruned: dict[tuple[str, int], int] = {}
        self._looks: dict[tuple[str, int], Look] = {}
        self._lock = threading.Lock()
        self._orders: deque[_Order] = deque()

    @property
    def settings(self) -> StoreSettings:
        return self._settings

    @property
    def has_index(self) -> bool:
        """False on a host that only delivers."""
        return self._index is not None

    def close(self) -> None:
        """Close index and volumes."""
        for commit in self._commits.values():
            commit.close()
        if self._index is not None:
            self._index.close()

    @property
    def repository(self) -> Repository:
        """The index. Raises Deferred on a host that only delivers."""
        if self._index is None:
            raise Deferred(Condition.STORE_UNAVAILABLE, "this host only delivers, it has no index")
        return self._index

    def volume_name(self, holder: MailboxHolder) -> str:
        """The volume on which a holder's store lies, by the directory; no file is touched."""
        return holder.store or self._settings.default_volume or next(iter(self._settings.volumes), "")

    def check_up(self, holder: MailboxHolder) -> None:
        """Raises Deferred while the volume of a holder does not answer."""
        if self._is_down(self.volume_name(holder)):
            raise Deferred(Condition.STORE_UNAVAILABLE, f"volume {self.volume_name(holder)} does not answer")

    def check_takes_mail(self, holder: MailboxHolder) -> None:
        """Raises what a delivery would answer for now: the volume does not answer, the address changed hands."""
        self.check_up(holder)
        if self.has_index and holder.id not in self._known and self.repository.account(holder.id) is None:
            self._check_rebind(holder)

    def _volume(self, holder: MailboxHolder) -> Volume:
        name = self.volume_name(holder)
        volume = self._settings.volumes.get(name)
        if volume is None:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"{holder.dn}: volume {name!r} is not configured")
        return volume

    def commit_of(self, path: str) -> Commit:
        """How files below `path` are put on disk; ask before the first write. Raises Deferred."""
        for top, commit in self._tops:
            if path.startswith(top):
                with trouble(top):
                    commit.begin()
                return commit
        return self._fallback_commit

    def _check_mounted(self, path: str) -> None:
        """Raises Deferred while the volume of a path is not there: then a file that is not found proves nothing."""
        for top, _ in self._tops:
            if path.startswith(top):
                markers.check_volume(top)

    def _computed_path(self, holder: MailboxHolder) -> tuple[str, Volume]:
        volume = self._volume(holder)
        relative = holder.maildir or volume.path_template.format(**path_variables(holder.id, holder.primary or ""))
        top = os.path.normpath(volume.path)
        path = os.path.normpath(os.path.join(top, relative))
        if not path.startswith(top + os.sep) or "\0" in path:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"{holder.dn}: the path leaves the volume")
        return path, volume

    def open(self, holder: MailboxHolder) -> AccountRow:
        """The account's row; the store is made when there is none. Raises Deferred.

        The row is remembered: ask the repository for what is used now.
        """
        row = self._opened(holder)
        if row is None:
            made = self._make_all([holder])[holder.id]
            if isinstance(made, Deferred):
                raise made
            row = made
        return row

    def open_all(self, holders: Iterable[MailboxHolder]) -> dict[str, AccountRow | Deferred]:
        """As `open` for many, by id: the row or why not. Stores that are missing are made together."""
        found: dict[str, AccountRow | Deferred] = {}
        missing: list[MailboxHolder] = []
        for holder in holders:
            try:
                row = self._opened(holder)
            except Deferred as error:
                found[holder.id] = error
                continue
            if row is None:
                missing.append(holder)
            else:
                found[holder.id] = row
        return found | self._make_all(missing) if missing else found

    def _opened(self, holder: MailboxHolder) -> AccountRow | None:
        """The account's row, None when it has no store yet. Raises Deferred."""
        known = self._known.get(holder.id)
        now = time.monotonic()
        if known is not None and known[1] == holder.addresses and now - known[2] < OWN_SECONDS:
            return known[0]
        row = self.repository.account(holder.id)
        if row is not None:
            self.repository.own(holder.id, holder.addresses, time.time())
            self._remember(holder, row)
        return row

    def _remember(self, holder: MailboxHolder, row: AccountRow) -> None:
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[holder.id] = (row, holder.addresses, time.monotonic())

    def _make_all(self, holders: list[MailboxHolder]) -> dict[str, AccountRow | Deferred]:
        """The rows of stores that were missing, or why they could not be made.

        Whoever gets the lock makes those of all who wait.
        """
        order = _Order(holders)
        self._orders.append(order)
        with self._lock:
            if not order.is_done:
                orders: list[_Order] = []
                count = 0
                while self._orders and (not orders or count + len(self._orders[0].holders) <= AT_ONCE):
                    orders.append(self._orders.popleft())
                    count += len(orders[-1].holders)
                if order not in orders:
                    self._orders.remove(order)
                    orders.append(order)
                self._do(orders)
        for row in order.restored:
            try:
                self._restored(row)
            except Deferred as error:
                order.rows[row.account] = error
        return order.rows

    def _do(self, orders: list[_Order]) -> None:
        """Make what is ordered, in portions. Call under the lock."""
        holders = {holder.id: holder for order in orders for holder in order.holders}
        rows: dict[str, AccountRow | Deferred] = {}
        restored: list[AccountRow] = []
        try:
            by_volume: dict[Volume, list[tuple[MailboxHolder, Site]]] = {}
            for holder in holders.values():
                try:
                    known = self._known.get(holder.id)  # another order was faster
                    if known is not None:
                        rows[holder.id] = known[0]
                        continue
                    path, volume = self._computed_path(holder)
                    if volume not in by_volume:
                        markers.check_volume(volume.path)
                    self._check_rebind(holder)
                    site = Site(os.path.normpath(volume.path), path, holder.id, holder.addresses)
                    by_volume.setdefault(volume, []).append((holder, site))
                except Deferred as error:
                    rows[holder.id] = error
            for some in by_volume.values():
                for start in range(0, len(some), AT_ONCE):
                    self._make_some(some[start : start + AT_ONCE], rows, restored)
        finally:
            for order in orders:
                order.rows = {each.id: rows.get(each.id) or Deferred(Condition.BUG) for each in order.holders}
                order.restored = [row for row in restored if row.account in order.rows]
                order.is_done = True

    def _make_some(
        self,
        wanted: Sequence[tuple[MailboxHolder, Site]],
        rows: dict[str, AccountRow | Deferred],
        restored: list[AccountRow],
    ) -> None:
        """Stores on one volume."""
        try:
            commit = self.commit_of(wanted[0][1].path)
        except Deferred as error:
            rows.update(dict.fromkeys((holder.id for holder, _ in wanted), error))
            return
        made = make_stores(self.repository, commit, [site for _, site in wanted])
        for (holder, site), each in zip(wanted, made, strict=True):
            if isinstance(each, Deferred):
                rows[holder.id] = each
                continue
            try:
                if each is None:
                    row = self._complete(holder, site)
                    restored.append(row)
                else:
                    row, inbox = each
                    self._looks[holder.id, inbox.id] = Look(agreed=agreed_on(inbox, (), (), time.monotonic()))
            except Deferred as error:
                rows[holder.id] = error
                continue
            rows[holder.id] = row
            self._remember(holder, row)

    def _complete(self, holder: MailboxHolder, site: Site) -> AccountRow:
        """The row of a store of which something stands already: another process is making it just now, one died
        over it, or the index was lost. Raises Deferred."""
        with trouble(site.path):
            is_ours = self._check_owner(holder, site.path)
            make_folders(site.top, *(os.path.join(site.path, name) for name in PLACES))
            if not is_ours:
                markers.write_account(site.path, holder.id, holder.addresses)
            for folder in above(site.top, site.path):  # whoever made them may not have come to it yet
                sync_folder(folder)
            row = restore_account(self.repository, holder.id, site.path)
        self.repository.own(holder.id, holder.addresses, time.time())
        return row

    def _restored(self, row: AccountRow) -> None:
        """The rows of a store were made of its files."""

    def open_without_index(self, holder: MailboxHolder) -> str:
        """The Maildir of a holder where there is no index; made when there is none. Raises Deferred.

        Where the store is kept somewhere else, the host with the index fetches the mail from here.
        """
        path, volume = self._computed_path(holder)
        if self._unindexed.get(holder.id) == path:
            return path
        markers.check_volume(volume.path)
        with self._lock, trouble(path):
            if not self._check_owner(holder, path):
                make_folders(os.path.normpath(volume.path), *(os.path.join(path, name) for name in PLACES))
                markers.write_account(path, holder.id, holder.addresses)
        if len(self._unindexed) >= _MAX_KNOWN:
            self._unindexed.clear()
        self._unindexed[holder.id] = path
        return path

    @staticmethod
    def _check_owner(holder: MailboxHolder, path: str) -> bool:
        """True when the files at `path` are this holder's, False when nobody's. Raises Deferred for another's."""
        marker = markers.read(os.path.join(path, markers.ACCOUNT))
        if marker is None:
            return False
        if marker.get("id") != holder.id:
            raise Deferred(Condition.ACCOUNT_REBIND, f"{holder.dn}: {path} is the store of {marker.get('id')}")
        return True

    def _check_rebind(self, holder: MailboxHolder) -> None:
        since = time.time() - REBIND_SECONDS
        for address in holder.addresses:
            for other in self.repository.owners(address, since):
                if other != holder.id and not self._is_alive(other):
                    raise Deferred(
                        Condition.ACCOUNT_REBIND, f"{holder.dn}: {address} was owned by {other}, which has vanished"
                    )

    def rebind(self, old: str, new: MailboxHolder, mode: str = "same-addresses") -> None:
        """Decide what a new id that owns a vanished id's addresses gets.

        `same-addresses` gives it the old store, `fresh` a new one; the old files stay. Raises ValueError, Deferred.
        """
        if mode == "same-addresses":
            row = self.repository.account(old)
            self.repository.rebind_account(old, new.id)
            if row is not None:
                with trouble(row.path):
                    markers.write_account(row.path, new.id, new.addresses)
        elif mode != "fresh":
            raise ValueError(f"unknown mode {mode!r}")
        self.repository.disown(old, new.addresses)
        self._known.pop(old, None)
        self._known.pop(new.id, None)

    def furnish(self, holder: MailboxHolder, maildir: str) -> None:
        """The mailboxes that everybody has, made when somebody first looks, not when mail arrives.

        Where there is no room for them now, they are made later: a full disk stops no login.
        """
        if holder.id in self._furnished:
            return
        try:
            if not os.path.exists(os.path.join(maildir, markers.SUBSCRIPTIONS)):
                self._make_usual(holder.id, maildir)
        except (OSError, Deferred):
            return
        if len(self._furnished) >= _MAX_KNOWN:
            self._furnished.clear()
        self._furnished.add(holder.id)

    def _make_usual(self, account: str, maildir: str) -> None:
        restore_folders(self.repository, account, maildir)
        rows = self.repository.mailboxes(account)
        known = {row.name: row for row in rows}
        taken = {row.special_use for row in rows}
        for name, kind in self._settings.mailboxes.items():
            special_use = "" if kind == "none" else "\\" + kind.capitalize()
            use = "" if special_use in taken else special_use
            row = known.get(name)
            if row is None:
                with contextlib.suppress(MailboxExists):
                    self._make(account, maildir, name, use)
            elif use and not row.special_use:
                self.repository.set_special_use(account, row.id, use)
                markers.change_facts(self._folder(maildir, row), replace(row, special_use=use))
        markers.write_subscriptions(maildir, [INBOX, *known, *self._settings.mailboxes])

    def _make(self, account: str, maildir: str, name: str, special_use: str, acl: str = "") -> MailboxRow:
        row = self.repository.create_mailbox(account, name, special_use, acl=acl)
        with trouble(maildir):
            self._make_folder(maildir, row)
        return row

    def _make_folder(self, maildir: str, row: MailboxRow) -> str:
        """The folder of a mailbox with its marker, on disk on return. Raises OSError."""
        folder = self._folder(maildir, row)
        if folder != maildir:
            os.makedirs(folder, 0o700, exist_ok=True)
            open(os.path.join(folder, "maildirfolder"), "ab").close()
        for name in PLACES:
            os.makedirs(os.path.join(folder, name), 0o700, exist_ok=True)
        if markers.read(os.path.join(folder, markers.MAILBOX)) is None:
            markers.write_mailbox(folder, row, ())
        sync_folder(maildir)
        return folder

    @staticmethod
    def _folder(maildir: str, row: MailboxRow) -> str:
        name = folder_of(row.name)
        return os.path.join(maildir, name) if name else maildir

    def _maildir(self, account: str) -> str:
        known = self._known.get(account)
        if known is not None:
            return known[0].path
        row = self.repository.account(account)
        if row is None:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"{account} has no store")
        return row.path

    def _unique(self) -> str:
        return unique_name(self._host, self._worker)

    def changed(self, account: str, mailbox: int, rows: list[MessageRow] | int) -> None:
        """Tell others that a mailbox has changed: the changed rows, or the MODSEQ of the change."""
        modseq = rows if isinstance(rows, int) else max((row.modseq for row in rows), default=0)
        self.changed_all([(account, mailbox, modseq)] if modseq else ())

    def changed_all(self, changes: Sequence[Change]) -> None:
        """The same of several mailboxes."""
        if changes and self._on_change is not None:
            self._on_change(changes)

    def limits(self, holder: MailboxHolder, *, note: bool = True) -> Limits:
        """What the store of a holder may hold at this moment. `note=False` writes nothing and waits for nothing."""
        found = limits_of(holder, self._over_soft, self.repository.account, time.time(), note=note)
        room = self._domain_room.room(holder)
        return found if room is None else replace(found, room=room)

    def room_of_domain(self, holder: MailboxHolder) -> int | None:
        """Octets that the domain of a holder may still take in; None = no limit known. Waits for nothing."""
        return self._domain_room.room(holder)

    def is_over_soft(self, holder: MailboxHolder) -> bool:
        """True when a holder was over the soft quota at the last addition and is still. Waits for nothing."""
        return is_over(holder, self._over_soft, self.repository.account)

    def added(self, holder: MailboxHolder, octets: int, used: int | None = None) -> None:
        """Something was added to the store of a holder: the grace of the soft quota may begin. `used`: what it
        holds now, where that is known."""
        if self._index is not None:
            self._domain_room.added(holder, octets)
            note_use(holder, self._over_soft, self._index.account, time.time(), used)
