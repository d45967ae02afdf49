"""Executes what an IMAP session asks in order to arrange mailboxes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from directory.model import MailboxHolder
from gateway.imap.ports import CreateMailbox, DeleteMailbox, Failure, RenameMailbox, Subscribe
from gateway.store.errors import InvalidMailboxName, MailboxExists, NoSuchMailbox
from gateway.store.stores import Stores

if TYPE_CHECKING:
    from gateway.service.imap_executor import ImapExecutor


async def _do(executor: ImapExecutor, work: Callable[[Stores, MailboxHolder], Failure | None]) -> Failure | None:
    stores, holder = executor.host.stores, executor.holder()

    def safely() -> Failure | None:
        try:
            return work(stores, holder)
        except NoSuchMailbox:
            return Failure("NONEXISTENT", "no such mailbox")
        except MailboxExists:
            return Failure("ALREADYEXISTS", "there is a mailbox of that name")
        except InvalidMailboxName as error:
            return Failure("CANNOT", str(error))

    return await executor.in_pool(safely)


async def _create(executor: ImapExecutor, request: CreateMailbox) -> Failure | None:
    def create(stores: Stores, holder: MailboxHolder) -> Failure | None:
        use = request.special_use
        if use and any(row.special_use == use for row in stores.mailboxes(holder)):
            return Failure("USEATTR", "another mailbox has this use")
        stores.create_mailbox(holder, request.name, use)
        return None

    return await _do(executor, create)


async def _delete(executor: ImapExecutor, request: DeleteMailbox) -> Failure | None:
    return await _do(executor, lambda stores, holder: stores.delete_mailbox(holder, request.name))


async def _rename(executor: ImapExecutor, request: RenameMailbox) -> Failure | None:
    return await _do(executor, lambda stores, holder: stores.rename_mailbox(holder, request.name, request.new))


async def _subscribe(executor: ImapExecutor, request: Subscribe) -> Failure | None:
    return await _do(executor, lambda stores, holder: stores.subscribe(holder, request.name, request.on))


REQUESTS: dict[type, Callable[..., object]] = {
    CreateMailbox: _create,
    DeleteMailbox: _delete,
    RenameMailbox: _rename,
    Subscribe: _subscribe,
}
