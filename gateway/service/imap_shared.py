"""Whose store a mailbox name leads to, and what the session may do there (RFC 2342).

`Shared/<primary address>` is a shared mailbox, `Other Users/<primary address>` another person's store; the
name itself is its INBOX, names below are its other mailboxes. The directory decides: gatepostFullAccess
gives every right, gatepostReadAccess that of reading, to persons and, directly or through others, groups.
Asked anew each time, so that a right that is taken away ends within a second.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass

from directory.model import (
    Account,
    Condition,
    Deferred,
    InvalidAddress,
    MailboxHolder,
    SharedMailbox,
    canonical_address,
)
from directory.port import Directory, groups_of
from gateway.imap.names import SEPARATOR
from gateway.store.repository import INBOX, MailboxRow
from gateway.store.stores import Stores

SHARED, OTHERS = "Shared", "Other Users"
_KINDS: dict[str, type[MailboxHolder]] = {SHARED: SharedMailbox, OTHERS: Account}


@dataclass(frozen=True, slots=True)
class Spot:
    """`mailbox` is the name within the store; `prefix` is what stands before it for the session, "" at home."""

    holder: MailboxHolder
    mailbox: str
    may_write: bool = True
    prefix: str = ""

    def shown(self, mailbox: str) -> str:
        """How the session names a mailbox of this store."""
        if not self.prefix:
            return mailbox
        return self.prefix if mailbox == INBOX else self.prefix + SEPARATOR + mailbox


def mailbox_at(stores: Stores, spot: Spot) -> MailboxRow | None:
    """The mailbox there, without a look at its files. Those that everybody has are made when one of them
    is the first to be asked for. Raises Deferred."""
    maildir = stores.open(spot.holder).path
    row = stores.repository.mailbox(spot.holder.id, spot.mailbox)
    if row is None:
        stores.furnish(spot.holder, maildir)
        row = stores.repository.mailbox(spot.holder.id, spot.mailbox)
    return row


class SharedStores:
    """What is shared with one account."""

    def __init__(self, directory: Directory, own: MailboxHolder, hostname: str) -> None:
        self._directory = directory
        self._own = own
        self._hostname = hostname

    def spot(self, name: str) -> Spot | None:
        """Where a mailbox name leads, None when there is nothing that the account may see. Raises Deferred."""
        first, _, rest = name.partition(SEPARATOR)
        kind = _KINDS.get(first)
        if kind is None:
            return Spot(self._own, name)
        owner, _, inner = rest.partition(SEPARATOR)
        holder = self._holder(owner, kind)
        if holder is None:
            return None
        rights = self.may_write(holder)
        return None if rights is None else Spot(holder, inner or INBOX, rights, f"{first}{SEPARATOR}{owner}")

    def _holder(self, address: str, kind: type[MailboxHolder]) -> MailboxHolder | None:
        try:
            canonical = str(canonical_address(address))
        except InvalidAddress:
            return None
        found = [entry for entry in self._directory.owners(canonical) if isinstance(entry, kind)]
        if len(found) != 1 or found[0].primary != address:
            return None  # one store has one name
        if self._directory.is_held(found[0].id):
            raise Deferred(Condition.DIRECTORY_UNAVAILABLE, f"{found[0].dn} is held by the deletion brake")
        return found[0]

    def may_write(self, holder: MailboxHolder) -> bool | None:
        """True for every right, False for reading, None for none."""
        if holder.id == self._own.id:
            return True
        host = (holder.mail_host or self._hostname).lower()
        if holder.status != "active" or host != self._hostname.lower():
            return None
        if holder.expires is not None and holder.expires <= time.time():
            return None
        mine = {self._own.id, *groups_of(self._directory, self._own.dn)}
        if self._names_one(holder.full_access, mine):
            return True
        return False if self._names_one(holder.read_access, mine) else None

    def _names_one(self, dns: Collection[str], ids: Collection[str]) -> bool:
        return any((entry := self._directory.by_dn(dn)) is not None and entry.id in ids for dn in dns)

    def all(self) -> list[Spot]:
        """The INBOX of every store that is shared with the account, by name."""
        groups = [self._directory.by_id(group) for group in groups_of(self._directory, self._own.dn)]
        dns = [self._own.dn, *(group.dn for group in groups if group is not None)]
        spots: list[Spot] = []
        for holder in self._directory.shared_with(dns):
            space = SHARED if isinstance(holder, SharedMailbox) else OTHERS
            rights = self.may_write(holder)
            if holder.id == self._own.id or rights is None or not holder.primary or self._directory.is_held(holder.id):
                continue
            spots.append(Spot(holder, INBOX, rights, f"{space}{SEPARATOR}{holder.primary}"))
        return sorted(spots, key=lambda spot: spot.prefix)
