"""How many accounts a domain has (`gatepostMaxAccounts`): people whose primary address is in it."""

from __future__ import annotations

from directory.model import Account, Domain, domain_of
from directory.port import Directory


def domain_of_account(directory: Directory, entry: object) -> Domain | None:
    """The domain of ours that an account belongs to; None for anything else."""
    return directory.domain(domain_of(entry.primary or "")) if isinstance(entry, Account) else None


def count_accounts(directory: Directory, domain: Domain) -> int:
    """Walks the whole local copy: for changes and diagnosis, never for a message."""
    found = (domain_of_account(directory, entry) for entry in directory.search("", "sub", "(objectClass=*)"))
    return sum(one is not None and one.name == domain.name for one in found)
