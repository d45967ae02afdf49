"""Executes what an IMAP session asks about annotations (RFC 5464).

Who may read a mailbox reads its shared annotations and has private ones of his own there; to change the shared ones
needs the right `w`. Those of the server are kept with one's INBOX; `/shared/admin` is made here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.imap.metadata import PRIVATE, SERVER, Annotate, Annotations
from gateway.imap.metadata import SHARED as SHARED_ENTRY
from gateway.imap.ports import Failure
from gateway.service.imap_changing import no_right
from gateway.service.imap_shared import Spot, mailbox_at
from gateway.store.errors import InvalidMailboxName, NoSuchMailbox
from gateway.store.metadata import OWNER, SHARED, TooMuch, changed, read_metadata
from gateway.store.repository import INBOX, MailboxRow

if TYPE_CHECKING:
    from gateway.service.imap_executor import ImapExecutor

_OF_SERVER = "server:"  # before the names of those that belong to no mailbox


def _place(executor: ImapExecutor, name: str) -> tuple[Spot, MailboxRow, str] | None:
    """Where annotations are kept, with the rights there. Raises Deferred."""
    spot = executor.spot(name or INBOX)
    row = mailbox_at(executor.host.stores, spot) if spot is not None else None
    return (spot, row, executor.rights(spot, row)) if spot is not None and row is not None else None


def _whose(executor: ImapExecutor, spot: Spot) -> str:
    own = executor.holder().id
    return OWNER if spot.holder.id == own else own


async def _annotations(executor: ImapExecutor, request: Annotations) -> dict[str, Mapping[str, bytes]]:
    def read() -> dict[str, Mapping[str, bytes]]:
        found: dict[str, Mapping[str, bytes]] = {}
        for name in request.mailboxes:
            place = _place(executor, name)
            if place is None or "r" not in place[2]:
                continue
            spot, row, _ = place
            kept = read_metadata(row.metadata)
            private, shared = kept.get(_whose(executor, spot), {}), kept.get(SHARED, {})
            if name == SERVER:
                own = {
                    entry.removeprefix(_OF_SERVER): v for entry, v in private.items() if entry.startswith(_OF_SERVER)
                }
                domain = (spot.holder.primary or "").rpartition("@")[2]
                found[name] = {"/shared/admin": f"mailto:postmaster@{domain}".encode(), **own} if domain else own
            else:
                found[name] = {**shared, **{entry: v for entry, v in private.items() if entry.startswith(PRIVATE)}}
        return found

    return await executor.in_pool(read)


async def _annotate(executor: ImapExecutor, request: Annotate) -> Failure | None:
    shared = {entry: value for entry, value in request.values.items() if entry.startswith(SHARED_ENTRY)}
    private = {entry: value for entry, value in request.values.items() if entry.startswith(PRIVATE)}
    if request.mailbox == SERVER:
        if shared:
            return Failure("NOPERM", "shared annotations of the server are the administrator's")
        private = {_OF_SERVER + entry: value for entry, value in private.items()}

    def change() -> Failure | None:
        place = _place(executor, request.mailbox)
        if place is None:
            return Failure("NONEXISTENT", "no such mailbox")
        spot, row, rights = place
        if "r" not in rights or (shared and "w" not in rights):
            return no_right(replace(spot, rights=rights))

        def with_values(now: MailboxRow) -> MailboxRow:
            text = changed(now.metadata, SHARED, shared) if shared else now.metadata
            return replace(now, metadata=changed(text, _whose(executor, spot), private) if private else text)

        try:
            executor.host.stores.annotate(spot.holder, row.name, with_values)
        except TooMuch:
            return Failure("METADATA TOOMANY", "there is no room for more annotations of this mailbox")
        except (NoSuchMailbox, InvalidMailboxName):
            return Failure("NONEXISTENT", "no such mailbox")
        return None

    return await executor.in_pool(change)


REQUESTS: dict[type, Callable[..., object]] = {Annotations: _annotations, Annotate: _annotate}
