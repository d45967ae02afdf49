"""Executes what an IMAP session asks about rights (RFC 4314).

An identifier is the address or login of a person, the address of a mailing list or shared mailbox, `group:` and
the distinguished name of a group, or `anyone` where the configuration allows it. Kept are the entries' ids: who
gets an address later gets none of the rights. The owner, and whom the directory gives rights, have these always.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from directory.model import Entry, InvalidAddress, MailboxHolder, Recipient, canonical_address
from directory.port import groups_of
from gateway.imap.ports import Failure
from gateway.imap.rights import AclOf, ChangeAcl, Granted, MyRights, Possible, RightsFor, changed
from gateway.observe import maillog
from gateway.service.imap_shared import Spot, by_directory, mailbox_at
from gateway.store.acl import ANYONE, MAX_ENTRIES, read_acl, write_acl
from gateway.store.errors import InvalidMailboxName, NoSuchMailbox
from gateway.store.repository import MailboxRow

if TYPE_CHECKING:
    from gateway.service.imap_executor import ImapExecutor

GROUP = "group:"


class _Unusable(Exception):
    """An identifier or change that cannot be; the failure is for the client."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.failure = Failure(code, text)


def _entry_named(executor: ImapExecutor, identifier: str) -> Entry | None:
    """The entry that a client means. Raises Deferred."""
    directory = executor.host.directory
    if identifier.startswith(GROUP):
        return directory.by_dn(identifier.removeprefix(GROUP))
    found: tuple[Entry, ...]
    if "@" in identifier:
        try:
            found = directory.owners(str(canonical_address(identifier)))
        except InvalidAddress:
            return None
    else:
        found = directory.by_login(identifier)
    return found[0] if len(found) == 1 else None


def _id_of(executor: ImapExecutor, identifier: str, row: MailboxRow) -> str:
    """What is kept for an identifier. Raises _Unusable, Deferred."""
    if identifier == ANYONE:
        if not executor.host.settings.imap.acl_anyone:
            raise _Unusable("CANNOT", "rights for anyone are not allowed here (imap.acl_anyone)")
        return ANYONE
    if identifier.startswith("-"):
        raise _Unusable("CANNOT", "rights are given, there are none that take away")
    if identifier in read_acl(row.acl):
        return identifier  # of an entry that is gone
    entry = _entry_named(executor, identifier)
    if entry is None:
        raise _Unusable("CANNOT", "nobody has this address or login; a group is group: and its distinguished name")
    return entry.id


def _shown(executor: ImapExecutor, kept: str) -> str:
    """How an identifier is told to clients."""
    entry = executor.host.directory.by_id(kept)
    if entry is None:
        return kept
    return (entry.primary if isinstance(entry, Recipient) else None) or GROUP + entry.dn


def _always(executor: ImapExecutor, holder: MailboxHolder, kept: str) -> str:
    """The rights that an identifier has by the directory."""
    directory = executor.host.directory
    entry = directory.by_id(kept)
    if entry is None:
        return ""
    return by_directory(directory, holder, {entry.id, *groups_of(directory, entry.dn)}, executor.host.settings.imap)


def _to_administer(executor: ImapExecutor, name: str) -> tuple[Spot, MailboxRow] | Failure:
    """A mailbox of which the session may see and change who has rights. Raises Deferred."""
    spot = executor.spot(name)
    row = mailbox_at(executor.host.stores, spot) if spot is not None else None
    if spot is None or row is None:
        return Failure("NONEXISTENT", "no such mailbox")
    rights = executor.rights(spot, row)
    if "a" not in rights:
        known = "l" in rights
        return Failure("NOPERM", "only who administers it may") if known else Failure("NONEXISTENT", "no such mailbox")
    return spot, row


async def _acl_of(executor: ImapExecutor, request: AclOf) -> list[Granted] | Failure:
    def read() -> list[Granted] | Failure:
        found = _to_administer(executor, request.mailbox)
        if isinstance(found, Failure):
            return found
        holder, acl = found[0].holder, read_acl(found[1].acl)
        directory = executor.host.directory
        named = [entry.id for dn in (*holder.full_access, *holder.read_access) if (entry := directory.by_dn(dn))]
        granted: list[Granted] = []
        for kept in dict.fromkeys([holder.id, *named, *acl]):
            rights = changed("add", _always(executor, holder, kept), acl.get(kept, ""))
            if rights:
                granted.append(Granted(_shown(executor, kept), rights))
        return granted

    return await executor.in_pool(read)


async def _change_acl(executor: ImapExecutor, request: ChangeAcl) -> Failure | None:
    def change() -> Failure | None:
        found = _to_administer(executor, request.mailbox)
        if isinstance(found, Failure):
            return found
        spot, row = found
        stores = executor.host.stores
        try:
            kept = _id_of(executor, request.identifier, row)
            always = _always(executor, spot.holder, kept)
            after = stores.annotate(spot.holder, row.name, lambda now: _with(now, kept, always, request))
            rights = changed("add", always, read_acl(after.acl).get(kept, ""))
            maillog.rights_changed(
                account=spot.holder.id, mailbox=row.name, identifier=kept, rights=rights, by=executor.holder().id
            )
        except _Unusable as error:
            return error.failure
        except (NoSuchMailbox, InvalidMailboxName):
            return Failure("NONEXISTENT", "no such mailbox")
        return None

    return await executor.in_pool(change)


def _with(row: MailboxRow, kept: str, always: str, request: ChangeAcl) -> MailboxRow:
    """The mailbox with what SETACL makes of its rights. Raises _Unusable."""
    entries = dict(read_acl(row.acl))
    before = changed("add", always, entries.get(kept, ""))
    after = changed(request.mode, before, request.rights)
    lost = "".join(right for right in always if right not in after)
    if lost and not (request.mode == "remove" and kept in entries and lost == always):
        raise _Unusable("CANNOT", f"the directory gives the rights {lost}; they are taken away there")
    entries[kept] = "" if after == always or lost else after
    if len(entries) > MAX_ENTRIES and entries[kept]:
        raise _Unusable("LIMIT", f"a mailbox has rights for at most {MAX_ENTRIES}")
    return replace(row, acl=write_acl(entries))


async def _rights_for(executor: ImapExecutor, request: RightsFor) -> Possible | Failure:
    def read() -> Possible | Failure:
        found = _to_administer(executor, request.mailbox)
        if isinstance(found, Failure):
            return found
        spot, row = found
        try:
            return Possible(_always(executor, spot.holder, _id_of(executor, request.identifier, row)))
        except _Unusable as error:
            return error.failure

    return await executor.in_pool(read)


async def _my_rights(executor: ImapExecutor, request: MyRights) -> dict[str, str]:
    def read() -> dict[str, str]:
        found: dict[str, str] = {}
        for name in request.mailboxes:
            spot = executor.spot(name)
            row = mailbox_at(executor.host.stores, spot) if spot is not None else None
            if spot is not None and row is not None and (rights := executor.rights(spot, row)):
                found[name] = rights
        return found

    return await executor.in_pool(read)


REQUESTS: dict[type, Callable[..., object]] = {
    AclOf: _acl_of,
    ChangeAcl: _change_acl,
    RightsFor: _rights_for,
    MyRights: _my_rights,
}
