"""Executes what an IMAP session asks about mailboxes without opening them: names, figures, quota."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from directory.model import MailboxHolder
from gateway.imap.listing import Listed, ListMailboxes
from gateway.imap.quota import Quota, QuotaOf, QuotaOfRoot
from gateway.imap.status_items import Figures, Status
from gateway.service.imap_shared import Spot, mailbox_at
from gateway.store.errors import InvalidMailboxName, NoSuchMailbox
from gateway.store.objectid import mailbox_id
from gateway.store.repository import INBOX, MailboxRow
from gateway.store.stores import Stores

if TYPE_CHECKING:
    from gateway.service.imap_executor import ImapExecutor


async def _list(executor: ImapExecutor, _: ListMailboxes) -> tuple[Listed, ...]:
    holder, stores, shared = executor.holder(), executor.host.stores, executor.shared()

    def names() -> tuple[Listed, ...]:
        subscribed = set(stores.subscriptions(holder))
        found = [Listed(row.name, row.special_use, row.name in subscribed) for row in stores.mailboxes(holder)]
        for store in shared.all():
            for name, _, rights in store.mailboxes(stores):
                # no special use: that is what the session's own mailboxes are for
                found.append(Listed(name, subscribed=name in subscribed, rights=rights))
        known = {listed.name for listed in found}
        found += [Listed(name, subscribed=True, exists=False, selectable=False) for name in sorted(subscribed - known)]
        return tuple(found)

    return await executor.in_pool(names)


def _figures(executor: ImapExecutor, spot: Spot | None, append_limit: int, *, sizes: bool) -> Figures | None:
    if spot is None:
        return None
    stores = executor.host.stores
    try:
        row = stores.open_mailbox(spot.holder, spot.mailbox)
    except (NoSuchMailbox, InvalidMailboxName):
        return None
    if "r" not in executor.rights(spot, row):
        return None
    return figures_of(executor, spot.holder, row, append_limit, sizes=sizes)


def figures_of(
    executor: ImapExecutor, holder: MailboxHolder, row: MailboxRow, append_limit: int = 0, *, sizes: bool = False
) -> Figures:
    """The figures of a mailbox as the index has them. Raises Deferred."""
    repository, account = executor.host.stores.repository, holder.id
    counts = repository.counts(account, row.id)
    reader = executor.reader(holder)
    unseen = repository.unseen(account, row.id, reader) if reader else counts.unseen
    size, deleted_size = repository.sizes(account, row.id) if sizes else (0, 0)
    return Figures(
        counts.messages, unseen, counts.deleted, row.uidnext, row.uidvalidity, row.highestmodseq, size,
        deleted_size, mailbox_id(account, row), append_limit,
    )  # fmt: skip


async def _status(executor: ImapExecutor, request: Status) -> dict[str, Figures]:
    spots = {name: executor.spot(name) for name in request.names}

    limit = executor.host.settings.imap.max_append

    def figures() -> dict[str, Figures]:
        found = {name: _figures(executor, spot, limit, sizes=request.sizes) for name, spot in spots.items()}
        return {name: each for name, each in found.items() if each is not None}

    return await executor.in_pool(figures)


def _quota(stores: Stores, spot: Spot) -> Quota:
    stores.open(spot.holder)
    row = stores.repository.account(spot.holder.id)
    octets, messages = (row.used_bytes, row.used_messages) if row is not None else (0, 0)
    limits = stores.limits(spot.holder, note=False)
    return Quota(spot.prefix, octets, limits.bytes, messages, limits.messages)


async def _quota_of(executor: ImapExecutor, request: QuotaOf) -> Quota | None:
    stores, spot = executor.host.stores, executor.spot(request.mailbox)
    if spot is None:
        return None

    def quota() -> Quota | None:
        row = mailbox_at(stores, spot)
        return None if row is None or "r" not in executor.rights(spot, row) else _quota(stores, spot)

    return await executor.in_pool(quota)


async def _quota_of_root(executor: ImapExecutor, request: QuotaOfRoot) -> Quota | None:
    """The root of one's own store is "", that of another the name of its INBOX."""
    stores, spot = executor.host.stores, executor.spot(request.root or INBOX)
    if spot is None or spot.prefix != request.root or not spot.may("r"):
        return None
    return await executor.in_pool(lambda: _quota(stores, spot))


REQUESTS: dict[type, Callable[..., object]] = {
    ListMailboxes: _list,
    Status: _status,
    QuotaOf: _quota_of,
    QuotaOfRoot: _quota_of_root,
}
