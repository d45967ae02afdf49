"""Executes what an IMAP session asks about mailboxes without opening them: names, figures, quota."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from directory.model import MailboxHolder
from gateway.imap.listing import Listed, ListMailboxes
from gateway.imap.quota import Quota, QuotaOf, QuotaOfRoot
from gateway.imap.status_items import Figures, Status
from gateway.store.errors import InvalidMailboxName, NoSuchMailbox
from gateway.store.stores import Stores

if TYPE_CHECKING:
    from gateway.service.imap_executor import ImapExecutor

OWN_ROOT = ""


async def _list(executor: ImapExecutor, _: ListMailboxes) -> tuple[Listed, ...]:
    holder, stores = executor.holder(), executor.host.stores

    def names() -> tuple[Listed, ...]:
        rows = stores.mailboxes(holder)
        found = [Listed(row.name, row.special_use, row.subscribed) for row in rows]
        known = {row.name for row in rows}
        missing = [name for name in stores.subscriptions(holder) if name not in known]
        found += [Listed(name, subscribed=True, exists=False, selectable=False) for name in missing]
        return tuple(found)

    return await executor.in_pool(names)


def _figures(stores: Stores, holder: MailboxHolder, name: str, *, sizes: bool) -> Figures | None:
    try:
        row = stores.open_mailbox(holder, name)
    except (NoSuchMailbox, InvalidMailboxName):
        return None
    repository = stores.repository
    counts = repository.counts(holder.id, row.id)
    size, deleted_size = repository.sizes(holder.id, row.id) if sizes else (0, 0)
    return Figures(
        counts.messages, counts.unseen, counts.deleted, row.uidnext, row.uidvalidity, row.highestmodseq, size,
        deleted_size,
    )  # fmt: skip


async def _status(executor: ImapExecutor, request: Status) -> dict[str, Figures]:
    holder, stores = executor.holder(), executor.host.stores

    def figures() -> dict[str, Figures]:
        found = {name: _figures(stores, holder, name, sizes=request.sizes) for name in request.names}
        return {name: each for name, each in found.items() if each is not None}

    return await executor.in_pool(figures)


def _quota(stores: Stores, holder: MailboxHolder) -> Quota:
    stores.open(holder)
    row = stores.repository.account(holder.id)
    octets, messages = (row.used_bytes, row.used_messages) if row is not None else (0, 0)
    return Quota(OWN_ROOT, octets, holder.quota or 0, messages, holder.quota_messages or 0)


async def _quota_of(executor: ImapExecutor, request: QuotaOf) -> Quota | None:
    holder, stores = executor.holder(), executor.host.stores

    def quota() -> Quota | None:
        stores.open(holder)
        if stores.repository.mailbox(holder.id, request.mailbox) is None:
            return None
        return _quota(stores, holder)

    return await executor.in_pool(quota)


async def _quota_of_root(executor: ImapExecutor, request: QuotaOfRoot) -> Quota | None:
    if request.root != OWN_ROOT:
        return None
    holder, stores = executor.holder(), executor.host.stores
    return await executor.in_pool(lambda: _quota(stores, holder))


REQUESTS: dict[type, Callable[..., object]] = {
    ListMailboxes: _list,
    Status: _status,
    QuotaOf: _quota_of,
    QuotaOfRoot: _quota_of_root,
}
