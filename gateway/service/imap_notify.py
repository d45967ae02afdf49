"""Executes what NOTIFY asks: mailboxes that a session is told of although it has not selected them (RFC 5465).

A hint names account and mailbox; what is told is read from the index. A session remembers of each mailbox that it
watches what it was told last, at most `MAX_WATCHED` of them, and which were hinted at since.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from directory.model import MailboxHolder
from gateway.imap.notifying import EXPUNGED, FLAGS, MAX_WATCHED, NAMES, NEW, News, TellNews, WatchMailboxes
from gateway.imap.ports import Failure
from gateway.imap.sources import MAX_SEARCHED, FindMailboxes
from gateway.imap.status_items import Figures
from gateway.service.imap_reading import figures_of
from gateway.service.imap_shared import SharedStores, prefix_of
from gateway.store.repository import INBOX, MailboxRow

if TYPE_CHECKING:
    from gateway.service.imap_executor import ImapExecutor

MAX_PENDING = 5_000  # mailboxes hinted at since the session could be told
Key = tuple[str, int]  # account, mailbox id


@dataclass(slots=True)
class Watched:
    """What one session watches."""

    request: WatchMailboxes
    subscribed: frozenset[str]
    #: what was told last: name, events, figures
    known: dict[Key, tuple[str, frozenset[str], Figures]] = field(default_factory=dict)
    accounts: set[str] = field(default_factory=set)
    pending: set[Key] = field(default_factory=set)

    def events_of(self, name: str, *, is_own: bool) -> frozenset[str]:
        """What is told of a mailbox, by the first filter that it matches."""
        for group in self.request.groups:
            if group.covers(name, is_own=is_own, subscribed=self.subscribed):
                return group.events
        return frozenset()


def _shown(own: MailboxHolder, holder: MailboxHolder, name: str) -> str:
    if holder.id == own.id:
        return name
    return prefix_of(holder) if name == INBOX else f"{prefix_of(holder)}/{name}"


def _rows(
    executor: ImapExecutor, own: MailboxHolder, shared: SharedStores
) -> list[tuple[str, MailboxHolder, MailboxRow]]:
    """Every mailbox that the session may read, by its name there. Raises Deferred."""
    stores = executor.host.stores
    found = [(row.name, own, row) for row in stores.mailboxes(own)]
    for store in shared.all():
        found += [(name, store.spot.holder, row) for name, row, rights in store.mailboxes(stores) if "r" in rights]
    return found


async def _watch(executor: ImapExecutor, request: WatchMailboxes) -> dict[str, Figures] | Failure:
    executor.stop_watching()
    if not request.groups and not request.selected:
        return {}
    own, shared = executor.holder(), executor.shared()

    def read() -> Watched | Failure:
        watched = Watched(request, frozenset(executor.host.stores.subscriptions(own)), accounts={own.id})
        for name, holder, row in _rows(executor, own, shared):
            events = watched.events_of(name, is_own=holder.id == own.id)
            if not events:
                continue
            if len(watched.known) == MAX_WATCHED:
                return Failure("LIMIT", f"at most {MAX_WATCHED} mailboxes are watched; name fewer")
            watched.known[holder.id, row.id] = name, events, figures_of(executor, holder, row)
            watched.accounts.add(holder.id)
        return watched

    watched = await executor.in_pool(read)
    if isinstance(watched, Failure):
        return watched
    executor.watch_accounts(watched)
    # what changed while it was read was hinted at to nobody
    watched.pending.update(watched.known)
    if not request.wants_figures:
        return {}
    return {name: figures for name, events, figures in watched.known.values() if events & {NEW, EXPUNGED, FLAGS}}


async def _find(executor: ImapExecutor, request: FindMailboxes) -> list[str] | Failure:
    own, shared = executor.holder(), executor.shared()

    def find() -> list[str]:
        subscribed = frozenset(executor.host.stores.subscriptions(own))
        return [
            name
            for name, holder, _ in _rows(executor, own, shared)
            if any(wanted.covers(name, is_own=holder.id == own.id, subscribed=subscribed) for wanted in request.wanted)
        ]

    found = await executor.in_pool(find)
    if len(found) > MAX_SEARCHED:
        return Failure("LIMIT", f"at most {MAX_SEARCHED} mailboxes are searched at once; name fewer")
    return found


async def _tell(executor: ImapExecutor, _: TellNews) -> list[News] | None:
    watched = executor.notifying
    if watched is None or not watched.pending:
        return []
    if len(watched.pending) >= MAX_PENDING:
        executor.stop_watching()
        return None
    own, shared = executor.holder(), executor.shared()
    keys, watched.pending = watched.pending, set()
    selected = None
    if executor.session.selected is not None and executor.mailbox is not None:
        selected = (executor.owner, executor.mailbox.id)

    def read() -> list[News]:
        told: list[News] = []
        for key in sorted(keys):
            news = _news_of(executor, watched, own, shared, key, is_selected=key == selected)
            told += [news] if news is not None else []
        return told

    try:
        return await executor.in_pool(read)
    except BaseException:
        watched.pending |= keys  # told with the next change
        raise


def _news_of(
    executor: ImapExecutor, watched: Watched, own: MailboxHolder, shared: SharedStores, key: Key, *, is_selected: bool
) -> News | None:
    holder = executor.host.directory.by_id(key[0])
    row = executor.host.stores.repository.mailbox_by_id(*key) if isinstance(holder, MailboxHolder) else None
    before = watched.known.get(key)
    if row is None or not isinstance(holder, MailboxHolder) or "r" not in shared.rights(holder, row):
        watched.known.pop(key, None)
        return News(before[0], None, is_named=True) if before is not None and NAMES in before[1] else None
    name = _shown(own, holder, row.name)
    events = watched.events_of(name, is_own=holder.id == own.id)
    if not events or (before is None and len(watched.known) >= MAX_WATCHED):
        watched.known.pop(key, None)
        return None
    now = figures_of(executor, holder, row)
    watched.known[key] = name, events, now
    if before is None or before[0] != name:
        if NAMES in events:
            return News(name, now, is_named=True, old_name=before[0] if before is not None else "")
        if before is None:
            return News(name, now) if NEW in events and now.messages else None
    return News(name, now) if not is_selected and _is_told(events, before[2], now) else None


def _is_told(events: frozenset[str], before: Figures, now: Figures) -> bool:
    """True when what has changed is one of the events."""
    came = now.uidnext - before.uidnext
    if NEW in events and came:
        return True
    if EXPUNGED in events and now.messages != before.messages + came:
        return True
    return FLAGS in events and now.highestmodseq != before.highestmodseq


REQUESTS: dict[type, Callable[..., object]] = {WatchMailboxes: _watch, TellNews: _tell, FindMailboxes: _find}
