"""Executes what an IMAP session asks in order to arrange mailboxes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from gateway.imap.names import SEPARATOR
from gateway.imap.ports import CreateMailbox, DeleteMailbox, Failure, RenameMailbox, Subscribe
from gateway.service.imap_changing import no_right
from gateway.store.errors import InvalidMailboxName, MailboxExists, NoSuchMailbox
from gateway.store.objectid import mailbox_id
from gateway.store.repository import INBOX

if TYPE_CHECKING:
    from gateway.service.imap_executor import ImapExecutor

T = TypeVar("T")


async def _do(executor: ImapExecutor, work: Callable[[], T]) -> T | Failure:
    def safely() -> T | Failure:
        try:
            return work()
        except NoSuchMailbox:
            return Failure("NONEXISTENT", "no such mailbox")
        except MailboxExists:
            return Failure("ALREADYEXISTS", "there is a mailbox of that name")
        except InvalidMailboxName as error:
            return Failure("CANNOT", str(error))

    return await executor.in_pool(safely)


async def _create(executor: ImapExecutor, request: CreateMailbox) -> str | Failure:
    stores, spot = executor.host.stores, executor.spot(request.name)
    if spot is None or not spot.may("k"):
        return no_right(spot)

    def create() -> str | Failure:
        use = request.special_use
        if use and any(row.special_use == use for row in stores.mailboxes(spot.holder)):
            return Failure("USEATTR", "another mailbox has this use")
        made = stores.create_mailbox(spot.holder, spot.mailbox, use, below_inbox=bool(spot.prefix))
        return mailbox_id(spot.holder.id, made)

    return await _do(executor, create)


async def _delete(executor: ImapExecutor, request: DeleteMailbox) -> Failure | None:
    stores, spot = executor.host.stores, executor.spot(request.name)
    if spot is None or not spot.may("x"):
        return no_right(spot)
    return await _do(executor, lambda: stores.delete_mailbox(spot.holder, spot.mailbox))


async def _rename(executor: ImapExecutor, request: RenameMailbox) -> Failure | None:
    stores, spot, new = executor.host.stores, executor.spot(request.name), executor.spot(request.new)
    if spot is None or not spot.may("xte" if spot.mailbox == INBOX else "x"):
        return no_right(spot)  # INBOX keeps its name and gives its messages
    if new is None or not new.may("k"):
        return no_right(new)
    if spot.holder.id != new.holder.id:
        return Failure("CANNOT", "a mailbox stays in the store it is in; copy its messages")
    for row in stores.repository.mailboxes(spot.holder.id) if spot.prefix and spot.mailbox != INBOX else ():
        if row.name.startswith(spot.mailbox + SEPARATOR) and "x" not in executor.rights(spot, row):
            return Failure("NOPERM", "a mailbox below it may not be renamed")
    return await _do(executor, lambda: stores.rename_mailbox(spot.holder, spot.mailbox, new.mailbox))


async def _subscribe(executor: ImapExecutor, request: Subscribe) -> Failure | None:
    stores, holder = executor.host.stores, executor.holder()
    if request.on:
        spot = executor.spot(request.name)
        if spot is None or not spot.may("l"):
            return no_right(spot)
    return await _do(executor, lambda: stores.subscribe(holder, request.name, request.on))


REQUESTS: dict[type, Callable[..., object]] = {
    CreateMailbox: _create,
    DeleteMailbox: _delete,
    RenameMailbox: _rename,
    Subscribe: _subscribe,
}
