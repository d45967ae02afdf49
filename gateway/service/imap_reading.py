"""Executes what an IMAP session asks in order to read: names, figures, bodies."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway.imap.ports import Body, Figures, ListMailboxes, Status

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


async def _body(executor: ImapExecutor, request: Body) -> bytes | None:
    holder, stores, mailbox = executor.holder(), executor.host.stores, executor.mailbox
    assert mailbox is not None

    def read() -> bytes | None:
        row = stores.repository.message(holder.id, mailbox.id, request.uid)
        try:
            return stores.read(holder.id, mailbox, row) if row is not None else None
        except FileNotFoundError:
            return None

    return await executor.in_pool(read)


REQUESTS: dict[type, Callable[..., object]] = {ListMailboxes: _list, Status: _status, Body: _body}
