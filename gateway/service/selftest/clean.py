"""The control verb that takes away the store of a self-test's account, in the process of the queue.

It touches nothing but stores that say of themselves that all their addresses are in the domain of a self-test, and
whose entry is gone for certain.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.service.host import Host
from gateway.service.selftest.entries import is_ours
from gateway.service.worker import is_alive
from gateway.store import markers
from gateway.store.opening import trouble


class SelftestDomain(msgspec.Struct, forbid_unknown_fields=True):
    """The domain of a self-test."""

    domain: str


class SelftestVerbs:
    """The verb's function; it runs in a thread and waits for disks."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def verbs(self) -> Mapping[str, Verb]:
        """The row of the table."""
        return {"selftest-clean": Verb(Right.OPERATE, self._clean, SelftestDomain)}

    def _clean(self, caller: Caller, wanted: SelftestDomain) -> dict[str, Any]:
        if not is_ours(wanted.domain):
            raise VerbError(f"{wanted.domain} is not the domain of a self-test", 2)
        stores, removed = self._host.stores, 0
        if not stores.has_index:
            return {"removed": 0}
        for account in stores.repository.owners(f"me@{wanted.domain}", 0.0):
            if is_alive(self._host.directory, account):
                raise VerbError(f"the account of {wanted.domain} is still in the directory", 4)
            addresses = self._addresses(account, wanted.domain)
            stores.remove_store(account, {f"me@{wanted.domain}", *addresses})
            self._host.grace.has_room(account, has_soft=False)
            removed += 1
        return {"removed": removed}

    def _addresses(self, account: str, domain: str) -> list[str]:
        """What the store says of itself. Raises VerbError unless it is a self-test's, Deferred."""
        row = self._host.stores.repository.account(account)
        if row is None or not os.path.lexists(row.path):
            return []
        with trouble(row.path):
            marker = markers.read(os.path.join(row.path, markers.ACCOUNT)) or {}
        addresses = [str(address) for address in marker.get("addresses", ())]
        if marker.get("id") != account or not addresses:
            raise VerbError(
                f"{row.path} does not say whose it is ({markers.ACCOUNT}), so it stays: if nothing in it is wanted, "
                "remove it by hand; the next gatepost selftest does the rest",
                1,
            )
        if not all(address.endswith(f"@{domain}") for address in addresses):
            raise VerbError(f"{account} has addresses of others, its store stays", 1)
        return addresses
