"""Who may write as whom: an address belongs to the authenticated account, or a grant covers it."""

from __future__ import annotations

from directory.model import Account, InvalidAddress, ServiceAccount, canonical_address
from directory.port import Directory, is_one_of
from gateway.route import extension


def forms(directory: Directory, address: str, separators: str) -> list[str]:
    """The canonical addresses by which an entry may own `address`, in the order in which its mail is routed
    (`route.extension.ownable`). Raises InvalidAddress."""
    given = canonical_address(address)
    found = extension.ownable(given.local, given.domain, directory.domain(given.domain), separators)
    return [each for _, each in found]


def may_write_as(directory: Directory, account: Account | ServiceAccount, address: str, separators: str) -> bool:
    """True when `account` may use `address` as return path or author.

    Own addresses with extensions and in domain aliases; `gatepostSendAs` (address or @domain);
    `gatepostSender` of the address's entry, by person or group. The first form that anybody owns decides, who gets
    its mail too: `mary` with the separator "-" is not `mary-jane`. `separators`: `route.extension_separator`.
    """
    try:
        candidates = forms(directory, address, separators)
    except InvalidAddress:
        return False
    granted = {grant.strip().lower() for grant in account.send_as}
    for candidate in candidates:
        if isinstance(account, Account) and candidate in account.addresses:
            return True
        if granted and (candidate in granted or candidate[candidate.rindex("@") :] in granted):
            return True
        owners = directory.owners(candidate)
        if owners:
            return any(
                owner.id == account.id or (bool(owner.senders) and is_one_of(directory, account, owner.senders))
                for owner in owners
            )
    return False
