"""What the sessions of one worker share: directory view, router, stores, authenticator, pool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from directory.port import Authenticator, Directory
from gateway.config.settings import Settings
from gateway.filters.port import ContentCheck
from gateway.queue.file import QueueFolder
from gateway.queue.grace import QuotaGrace
from gateway.route.router import Router
from gateway.service.accept import Acceptance
from gateway.service.imap_selecting import OpenMailboxes
from gateway.service.notify import Hints
from gateway.service.sessions import Sessions
from gateway.store.stores import Stores

T = TypeVar("T")


@dataclass(slots=True)
class Host:
    """Made once in each worker, after fork."""

    settings: Settings
    directory: Directory
    router: Router
    stores: Stores
    authenticator: Authenticator
    pool: ThreadPoolExecutor
    queue: QueueFolder
    grace: QuotaGrace
    acceptance: Acceptance
    checks: tuple[ContentCheck, ...]
    hints: Hints
    open_mailboxes: OpenMailboxes = field(default_factory=OpenMailboxes)
    sessions: Sessions = field(default_factory=Sessions)

    async def in_pool(self, work: Callable[[], T]) -> T:
        """Run `work` in the file pool."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, work)
