"""Which sending limits a message counts for: those of the account, and that of its domain for all of its accounts."""

from __future__ import annotations

from directory.model import Account, Domain, InvalidAddress, ServiceAccount, canonical_address
from directory.model.send_limit import SendLimit, parse_limit
from directory.port import Directory


def limits(texts: tuple[str, ...]) -> tuple[SendLimit, ...]:
    """All limits named; a value that cannot be read limits nothing (`gatepost directory check` names it)."""
    found = []
    for text in texts:
        try:
            limit = parse_limit(text)
        except ValueError:
            continue
        if limit is not None:
            found.append(limit)
    return tuple(found)


def sending_domain(directory: Directory, account: Account | ServiceAccount, return_path: str) -> Domain | None:
    """The domain for which a message of `account` counts: that of its primary address; of a service account, which
    has none, that of the return path."""
    address = account.primary if isinstance(account, Account) else return_path
    try:
        return directory.domain(canonical_address(address or "").domain)
    except InvalidAddress:
        return None


def counted(
    directory: Directory, account: Account | ServiceAccount, return_path: str, defaults: tuple[str, ...]
) -> tuple[tuple[str, tuple[SendLimit, ...]], ...]:
    """Who is counted, by a name of its own, and with which limits. `defaults` (`defaults.send_limits`) hold where
    neither the account nor its domain has limits."""
    found = []
    own = limits(account.send_limits or defaults)
    if own:
        found.append((account.id, own))
    domain = sending_domain(directory, account, return_path)
    together = limits(domain.domain_send_limits) if domain is not None else ()
    if domain is not None and together:
        found.append((f"domain {domain.name}", together))
    return tuple(found)
