"""From a recipient to a plan, by directory facts only (microseconds, no network)."""

from __future__ import annotations

from directory.model import (
    Condition,
    Deferred,
    InvalidAddress,
    MailboxHolder,
    Recipient,
    Refused,
    canonical_address,
)
from directory.port import Directory
from gateway.route.plan import Local, Plan


class Router:
    """Answers for one recipient at a time."""

    def __init__(self, directory: Directory, *, extension_separator: str = "+") -> None:
        self._directory = directory
        self._separator = extension_separator

    def route(self, recipient: str, now: float) -> Plan:
        """The plan for `recipient`. Raises Refused (final) or Deferred (not now)."""
        freshness = self._directory.freshness()
        if not freshness.complete:
            raise Deferred(Condition.DIRECTORY_UNAVAILABLE, "no complete copy of the directory yet")
        try:
            address = canonical_address(recipient)
        except InvalidAddress as error:
            raise Refused(Condition.NO_SUCH_RECIPIENT, str(error)) from None
        domain = self._directory.domain(address.domain)
        if domain is None:
            if freshness.absence_is_final(now):
                raise Refused(Condition.NO_SUCH_DOMAIN, f"{address.domain} is not ours")
            raise Deferred(Condition.DIRECTORY_STALE, freshness.braked or "copy is not fresh")
        entry = self._owner(address.local, domain.name)
        if entry is None:
            if freshness.absence_is_final(now):
                raise Refused(Condition.NO_SUCH_RECIPIENT)
            raise Deferred(Condition.DIRECTORY_STALE, freshness.braked or "copy is not fresh")
        self._check_status(entry, now)
        if isinstance(entry, MailboxHolder):
            return Plan((Local(entry, recipient),))
        raise Deferred(Condition.BUG, f"{entry.dn}: kind not routed")

    def _owner(self, local: str, domain: str) -> Recipient | None:
        candidates = [local]
        base = local.partition(self._separator)[0]
        if base and base != local:
            candidates.append(base)
        for candidate in candidates:
            owners = self._directory.owners(f"{candidate}@{domain}")
            if len(owners) > 1:
                raise Deferred(Condition.ADDRESS_AMBIGUOUS, ", ".join(owner.dn for owner in owners))
            if owners:
                return owners[0]
        return None

    @staticmethod
    def _check_status(entry: Recipient, now: float) -> None:
        if entry.status == "closed" or (entry.expires is not None and entry.expires <= now):
            raise Refused(Condition.ACCOUNT_CLOSED, entry.dn)
        if entry.status == "suspended":
            raise Deferred(Condition.ACCOUNT_SUSPENDED, entry.dn)
