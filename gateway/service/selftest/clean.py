"""The control verb that takes away the store of a self-test's account, in the process of the queue.

It touches nothing but stores all of whose addresses are in the domain of a self-test and whose entry is gone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.service.host import Host
from gateway.service.selftest.entries import is_ours
from gateway.store import markers


class TestDomain(msgspec.Struct, forbid_unknown_fields=True):
    """The domain of a self-test."""

    domain: str


class SelftestVerbs:
    """The verb's function; it runs in a thread and waits for disks."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def verbs(self) -> Mapping[str, Verb]:
        """The row of the table."""
        return {"selftest-clean": Verb(Right.OPERATE, self._clean, TestDomain)}

    def _clean(self, caller: Caller, wanted: TestDomain) -> dict[str, Any]:
        if not is_ours(wanted.domain):
            raise VerbError(f"{wanted.domain} is not the domain of a self-test", 2)
        stores, removed = self._host.stores, 0
        if not stores.has_index:
            return {"removed": 0}
        for account in stores.repository.owners(f"me@{wanted.domain}", 0.0):
            if self._host.directory.by_id(account) is not None:
                raise VerbError(f"the account of {wanted.domain} is still in the directory", 4)
            row = stores.repository.account(account)
            marker = markers.read(os.path.join(row.path, markers.ACCOUNT)) if row is not None else None
            addresses = [str(address) for address in (marker or {}).get("addresses", ())]
            if not all(address.endswith(f"@{wanted.domain}") for address in addresses):
                raise VerbError(f"{account} has addresses of others, its store stays", 1)
            stores.remove_store(account, {f"me@{wanted.domain}", *addresses})
            self._host.grace.has_room(account, has_soft=False)
            removed += 1
        return {"removed": removed}
