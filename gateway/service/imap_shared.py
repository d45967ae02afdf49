"""Whose store a mailbox name leads to, and what the session may do there (RFC 2342, RFC 4314).

`Shared/<primary address>` is a shared mailbox, `Other Users/<primary address>` another person's store; the
name itself is its INBOX, names below are its other mailboxes. Who may do what is said twice, and both add up:
by the directory for the whole store (gatepostFullAccess gives every right, gatepostReadAccess that of reading,
to persons and, directly or through others, groups), and by the rights that are kept with each mailbox.
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
from gateway.imap.rights import ALL, READING, ordered
from gateway.imap.settings import ImapSettings
from gateway.store.acl import ANYONE, read_acl
from gateway.store.repository import INBOX, MailboxRow, Repository
from gateway.store.stores import Stores

SHARED, OTHERS = "Shared", "Other Users"
MAX_GRANTED = 2_000  # mailboxes of other stores that LIST looks at because rights are kept with them
_KINDS: dict[str, type[MailboxHolder]] = {SHARED: SharedMailbox, OTHERS: Account}


@dataclass(frozen=True, slots=True)
class Spot:
    """`mailbox` is the name within the store; `prefix` is what stands before it for the session, "" at home.

    `rights` are those to the mailbox; where there is none of that name, to the nearest above it.
    """

    holder: MailboxHolder
    mailbox: str
    rights: str = ALL
    prefix: str = ""

    def may(self, rights: str) -> bool:
        """True when the session has every one of these rights."""
        return all(right in self.rights for right in rights)

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


def prefix_of(holder: MailboxHolder) -> str:
    """What others put before the names of mailboxes of this store."""
    space = SHARED if isinstance(holder, SharedMailbox) else OTHERS
    return f"{space}{SEPARATOR}{holder.primary}"


def by_directory(directory: Directory, holder: MailboxHolder, ids: Collection[str], settings: ImapSettings) -> str:
    """The rights that the directory gives an entry, itself or as a member of groups: `ids`, to a store.

    Who may read a shared mailbox keeps an own \\Seen there, where it is each one's own.
    """
    if holder.id in ids:
        return ALL
    if _names_one(directory, holder.full_access, ids):
        return ALL
    if not _names_one(directory, holder.read_access, ids):
        return ""
    return READING + "s" if settings.own_seen and isinstance(holder, SharedMailbox) else READING


def _names_one(directory: Directory, dns: Collection[str], ids: Collection[str]) -> bool:
    return any((entry := directory.by_dn(dn)) is not None and entry.id in ids for dn in dns)


class SharedStores:
    """What is shared with one account, at this moment."""

    def __init__(
        self, directory: Directory, own: MailboxHolder, hostname: str, repository: Repository, settings: ImapSettings
    ) -> None:
        self._directory = directory
        self._own = own
        self._hostname = hostname
        self._repository = repository
        self._mine = frozenset({own.id, *groups_of(directory, own.dn)})
        self._named = self._mine | {ANYONE} if settings.acl_anyone else self._mine
        self._settings = settings

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
        mailbox = inner or INBOX
        rights = self.rights(holder, self._nearest(holder, mailbox))
        return Spot(holder, mailbox, rights, f"{first}{SEPARATOR}{owner}") if rights else None

    def _nearest(self, holder: MailboxHolder, mailbox: str) -> MailboxRow | None:
        """The mailbox, or the first above it that there is; above all is INBOX."""
        while mailbox:
            row = self._repository.mailbox(holder.id, mailbox)
            if row is not None:
                return row
            mailbox = mailbox.rpartition(SEPARATOR)[0]
        return self._repository.mailbox(holder.id, INBOX)

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

    def _is_served(self, holder: MailboxHolder) -> bool:
        """True when others may come to a store: it works, and lies here."""
        host = (holder.mail_host or self._hostname).lower()
        if holder.status != "active" or host != self._hostname.lower():
            return False
        return holder.expires is None or holder.expires > time.time()

    def rights(self, holder: MailboxHolder, row: MailboxRow | None) -> str:
        """The rights to a mailbox of a store; to the store as a whole where `row` is None."""
        if holder.id == self._own.id:
            return ALL
        if not self._is_served(holder):
            return ""
        return self._together(by_directory(self._directory, holder, self._mine, self._settings), row)

    def _together(self, base: str, row: MailboxRow | None) -> str:
        if base == ALL or row is None or not row.acl:
            return base
        kept = read_acl(row.acl)
        return ordered(base + "".join(kept[name] for name in self._named if name in kept))

    def all(self) -> list[SharedStore]:
        """Every store of which the account may see something, by name. Raises Deferred."""
        groups = [self._directory.by_id(group) for group in self._mine]
        dns = [self._own.dn, *(group.dn for group in groups if group is not None)]
        holders = {holder.id: holder for holder in self._directory.shared_with(dns)}
        for account, _ in self._repository.granted(self._named, MAX_GRANTED):
            holder = self._directory.by_id(account)
            if isinstance(holder, MailboxHolder):
                holders.setdefault(account, holder)
        found: list[SharedStore] = []
        for holder in holders.values():
            if holder.id == self._own.id or not holder.primary or self._directory.is_held(holder.id):
                continue
            if self._is_served(holder):
                base = by_directory(self._directory, holder, self._mine, self._settings)
                found.append(SharedStore(self, Spot(holder, INBOX, base, prefix_of(holder))))
        return sorted(found, key=lambda store: store.spot.prefix)


@dataclass(frozen=True, slots=True)
class SharedStore:
    """A store and what the directory gives there: the rights of `spot`."""

    _shared: SharedStores
    spot: Spot

    def mailboxes(self, stores: Stores) -> list[tuple[str, MailboxRow, str]]:
        """(name as the session knows it, row, rights) of the mailboxes that may be seen. Raises Deferred."""
        holder = self.spot.holder
        rows = stores.mailboxes(holder) if self.spot.rights else stores.repository.mailboxes(holder.id)
        found = [(self.spot.shown(row.name), row, self._shared._together(self.spot.rights, row)) for row in rows]
        return [(name, row, rights) for name, row, rights in found if "l" in rights]
