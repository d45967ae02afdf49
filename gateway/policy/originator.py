"""Who may write as whom: an address belongs to the authenticated account, or a grant covers it."""

from __future__ import annotations

from directory.model import Account, InvalidAddress, ServiceAccount, canonical_address
from directory.port import Directory, is_one_of
from gateway.route import extension


def forms(directory: Directory, address: str, separators: str) -> list[str]:
    """The canonical forms under which an entry may own `address`, the longest first: as written, without its last
    extension and so on, each in the domain that an alias stands for too. Raises InvalidAddress."""
    given = canonical_address(address)
    own = directory.domain(given.domain)
    domains = [given.domain] if own is None or own.name == given.domain else [own.name, given.domain]
    return [f"{local}@{domain}" for local in extension.forms(given.local, separators) for domain in domains]


def may_write_as(directory: Directory, account: Account | ServiceAccount, address: str, separators: str) -> bool:
    """True when `account` may use `address` as return path or author.

    Own addresses with extensions and in domain aliases; `gatepostSendAs` (address or @domain);
    `gatepostSender` of the address's entry, by person or group. The longest form that anybody owns decides:
    `mary` with the separator "-" is not `mary-jane`. `separators`: `route.extension_separator`.
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
