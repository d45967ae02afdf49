"""Sums up what the domains of a host hold, in the process of the queue, as long as a domain has a quota.

However many accounts there are, it takes no more than a small share of one processor: the pause grows with the work.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from pathlib import Path

from directory.model import Deferred, MailboxHolder
from directory.port import Directory
from gateway.observe import maillog
from gateway.observe.log import fields
from gateway.service.host import Host
from gateway.store.domain_use import FILE, SUM_SECONDS, domain_name, write_sums
from gateway.store.repository import Repository

ACCOUNTS = 2_000  # rows in one look at the index
SHARE = 100  # the pause is so many times what the sum took, at least
WHOSE_SECONDS = 60.0  # so late is an account that changed its domain counted in the new one
_log = logging.getLogger("gatepost.store")


class DomainSums:
    """One a host; synchronous, called in a pool."""

    def __init__(self, directory: Directory, repository: Repository, path: Path) -> None:
        self._directory, self._repository, self._path = directory, repository, path
        self._whose: dict[str, str] = {}
        self._whose_at = 0.0

    def sum(self) -> bool:
        """Write a new sum; False when no domain has a quota, and there is no file then. Raises Deferred, OSError."""
        quotas = {each.name: each.domain_quota for each in self._directory.domains() if each.domain_quota}
        if not quotas:
            self._path.unlink(missing_ok=True)
            return False
        if not self._directory.freshness().complete:
            return True  # who belongs where is not known
        now = time.monotonic()
        if now - self._whose_at > WHOSE_SECONDS:
            self._whose, self._whose_at = {}, now
        write_sums(self._path, self._rows(), quotas, time.time())
        return True

    def _rows(self) -> Iterator[tuple[str, int]]:
        after = ""
        while rows := self._repository.accounts(after, ACCOUNTS):
            after = rows[-1].account
            for row in rows:
                name = self._whose.get(row.account)
                if name is None:
                    entry = self._directory.by_id(row.account)
                    domain = self._directory.domain(domain_name(entry)) if isinstance(entry, MailboxHolder) else None
                    name = self._whose[row.account] = domain.name if domain is not None else ""
                if name:
                    yield name, row.used_bytes


async def sum_for_ever(host: Host) -> None:
    """Until cancelled."""
    if not host.stores.has_index:
        return
    sums = DomainSums(host.directory, host.stores.repository, Path(host.settings.state_dir) / FILE)
    said = ""
    while True:
        begun, problem = time.monotonic(), ""
        try:
            await host.in_pool(sums.sum)
        except (Deferred, OSError) as error:
            problem = str(error)
        except Exception:
            maillog.bug(where="sums of domains")
        if problem and problem != said:
            _log.warning("%s", fields(event="domains-not-summed", detail=problem))
        said = problem
        await asyncio.sleep(max(SUM_SECONDS, SHARE * (time.monotonic() - begun)))
