"""Executes what an IMAP session asks in order to read: names and figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway.imap.ports import Figures, ListMailboxes, Status

if TYPE_CHECKING:
    from gateway.service.imap_executor import ImapExecutor


async def _list(executor: ImapExecutor, _: ListMailboxes) -> tuple[str, ...]:
    holder, stores = executor.holder(), executor.host.stores

    def names() -> tuple[str, ...]:
        stores.open(holder)
        return tuple(row.name for row in stores.repository.mailboxes(holder.id))

    return await executor.in_pool(names)


async def _status(executor: ImapExecutor, request: Status) -> Figures | None:
    holder, stores = executor.holder(), executor.host.stores

    def figures() -> Figures | None:
        stores.open(holder)
        row = stores.repository.mailbox(holder.id, request.name)
        if row is None:
            return None
        counts = stores.repository.counts(holder.id, row.id)
        return Figures(counts.messages, counts.unseen, row.uidnext, row.uidvalidity)

    return await executor.in_pool(figures)


REQUESTS: dict[type, Callable[..., object]] = {ListMailboxes: _list, Status: _status}
