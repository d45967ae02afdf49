"""Executes what an IMAP session asks in order to change messages of the selected mailbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway.imap.ports import Stored, StoreFlags
from gateway.service.imap_selecting import catch_up, rows_of
from gateway.store.repository import MessageRow

if TYPE_CHECKING:
    from gateway.service.imap_executor import ImapExecutor


async def _store_flags(executor: ImapExecutor, request: StoreFlags) -> Stored:
    contents, mailbox = executor.selected()
    account, stores = executor.holder().id, executor.host.stores
    before = contents.modseq

    def change() -> tuple[list[MessageRow], list[int]]:
        changed, failed = stores.repository.store_flags(
            account, mailbox.id, request.uids, request.mode, request.letters, request.keywords, request.unchanged_since
        )
        stores.changed(account, mailbox.id, changed)
        return changed, failed

    changed, failed = await executor.in_pool(change)
    modseqs = {row.modseq for row in changed}
    alone = not modseqs or max(modseqs) - before == len(modseqs)
    if modseqs and alone and contents.modseq == before:
        contents.apply(rows_of(changed), (), uidnext=contents.uidnext, modseq=max(modseqs))
    elif modseqs or failed:
        await catch_up(executor, contents, account, mailbox.id)
    return Stored(failed, before, alone)


REQUESTS: dict[type, Callable[..., object]] = {StoreFlags: _store_flags}
