"""A copy of what was sent as a shared mailbox, in its Sent mailbox: those who work on it see what was answered.

Made behind the acceptance, so it neither delays nor prevents sending; where it cannot be made that is logged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from directory.model import Deferred, InvalidAddress, Refused, SharedMailbox
from directory.port import Directory
from gateway.mail.address_list import AddressProblem, addresses
from gateway.mail.header import Header
from gateway.observe import maillog
from gateway.policy.originator import forms
from gateway.store.errors import InvalidMailboxName, MailboxExists, NoSuchMailbox
from gateway.store.stores import Stores

SENT_USE, SENT_NAME = "\\Sent", "Sent"


def authors(directory: Directory, header: Header, separators: str, hostname: str) -> Iterator[SharedMailbox]:
    """The shared mailboxes of this host as which a message was written, each once."""
    named: set[str] = set()
    try:
        written = [address for field in header.all(b"from") for address in addresses(header.unfolded(field))]
    except AddressProblem:
        return
    for address in written:
        try:
            owned = next(
                (found for form in forms(directory, address, separators) if (found := directory.owners(form))), ()
            )
        except InvalidAddress:
            continue
        for owner in owned:
            host = getattr(owner, "mail_host", None) or hostname
            if isinstance(owner, SharedMailbox) and owner.id not in named and host.lower() == hostname.lower():
                named.add(owner.id)
                yield owner


def keep(stores: Stores, holder: SharedMailbox, content: Sequence[bytes], message_id: str) -> None:
    """Put a message into the Sent mailbox of a store, read by everybody. Never fails."""
    try:
        row = stores.append(holder, _sent(stores, holder), content, "S")
        maillog.sent_copy(id=message_id, account=holder.id, outcome=f"uid {row.uid}")
    except (Deferred, Refused) as error:
        maillog.sent_copy(id=message_id, account=holder.id, outcome=str(error))
    except (InvalidMailboxName, NoSuchMailbox) as error:
        maillog.sent_copy(id=message_id, account=holder.id, outcome=f"no mailbox for it: {error}")


def _sent(stores: Stores, holder: SharedMailbox) -> str:
    """The mailbox for what was sent (RFC 6154 2), or the one called Sent; made where there is none. Raises Deferred."""
    rows = stores.mailboxes(holder)
    by_use = [row.name for row in rows if row.special_use == SENT_USE]
    if by_use or any(row.name == SENT_NAME for row in rows):
        return by_use[0] if by_use else SENT_NAME
    try:
        return stores.create_mailbox(holder, SENT_NAME, SENT_USE).name
    except MailboxExists:
        return SENT_NAME
