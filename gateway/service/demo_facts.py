"""What demo.json says of accounts, aliases and lists, read from the running system."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from directory.model import Account, Alias, MailboxHolder, MailingList, SharedMailbox, canonical_address
from directory.view import View
from gateway.config.load import load
from gateway.service.worker import make_host

COPY_SECONDS = 60.0
_PASSWORD = re.compile(r"^dn: uid=([^,]+),.*?^userPassword: (.+?)$", re.MULTILINE | re.DOTALL)


def _primary_first(entry: MailboxHolder) -> list[str]:
    """All addresses in canonical form, the primary one first."""
    first = str(canonical_address(entry.primary)) if entry.primary else ""
    return sorted(entry.addresses, key=lambda address: address != first)


def facts(config: Path, ldif: str) -> dict[str, Any]:
    """The parts of demo.json that stand in the directory, as soon as the copy of it is whole. First account = an ordinary
    active person. Raises TimeoutError."""
    settings = load(config)
    host = make_host(settings, 99)
    assert isinstance(host.directory, View)
    deadline = time.monotonic() + COPY_SECONDS
    while not host.directory.freshness().complete:
        if time.monotonic() > deadline:
            raise TimeoutError(f"no whole copy of the directory within {COPY_SECONDS:.0f} seconds")
        time.sleep(0.02)
    passwords = dict(_PASSWORD.findall(ldif))
    accounts, aliases, lists = [], [], []
    for entry in host.directory.search(settings.directory.base, "sub", "(objectClass=*)"):
        if isinstance(entry, MailboxHolder):
            logins = entry.logins if isinstance(entry, Account) else ()
            login = logins[0] if logins else None
            accounts.append({
                "id": entry.id,
                "kind": "shared" if isinstance(entry, SharedMailbox) else "person",
                "login": login,
                "logins": logins,
                "password": passwords.get(login or ""),
                "addresses": _primary_first(entry),
                "status": entry.status,
                "services": entry.services if isinstance(entry, Account) else (),
                "maildir": host.stores.open(entry).path,
            })  # fmt: skip
        elif isinstance(entry, Alias):
            targets = [t.primary for dn in entry.targets if isinstance(t := host.directory.by_dn(dn), MailboxHolder)]
            aliases.append({"address": entry.primary, "targets": [*targets, *entry.forwards]})
        elif isinstance(entry, MailingList):
            members = [getattr(m, "primary", None) for dn in entry.members if (m := host.directory.by_dn(dn))]
            owners = [getattr(o, "primary", None) for dn in entry.owners if (o := host.directory.by_dn(dn))]
            lists.append({
                "address": entry.primary,
                "members": [*(m for m in members if m), *entry.member_addresses, *entry.member_urls],
                "owner": owners[0] if owners else None,
                "moderation": entry.moderation,
            })  # fmt: skip
    order = list(passwords)
    accounts.sort(key=lambda a: order.index(a["login"]) if a["login"] in passwords else len(order))
    host.stores.close()
    return {
        "domains": [domain.name for domain in host.directory.domains()],
        "accounts": accounts,
        "aliases": sorted(aliases, key=lambda a: str(a["address"])),
        "lists": sorted(lists, key=lambda a: str(a["address"])),
    }
