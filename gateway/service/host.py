"""What the sessions of one worker share: directory view, router, stores, authenticator, pool."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TypeVar

from directory.port import Authenticator, Directory
from gateway.config.settings import Settings
from gateway.filters.port import ContentCheck
from gateway.queue.file import QueueFolder
from gateway.queue.grace import QuotaGrace
from gateway.route.router import Router
from gateway.service.accept import Acceptance
from gateway.service.final_delivery import FinalDelivery
from gateway.service.imap_selecting import OpenMailboxes
from gateway.service.journal import JournalDesk
from gateway.service.list_facts import HostListFacts
from gateway.service.notify import Hints
from gateway.service.pools import OTHER, Pools
from gateway.service.reporting import Reporter
from gateway.service.send_counter import SendCounter
from gateway.service.sending_watch import SendingWatch
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
    pools: Pools
    queue: QueueFolder
    grace: QuotaGrace
    delivery: FinalDelivery
    acceptance: Acceptance
    reporter: Reporter
    checks: tuple[ContentCheck, ...]
    hints: Hints
    lists: HostListFacts
    send_counter: SendCounter
    journals: JournalDesk
    watch: SendingWatch
    open_mailboxes: OpenMailboxes = field(default_factory=OpenMailboxes)
    sessions: Sessions = field(default_factory=Sessions)

    @property
    def pool(self) -> Executor:
        """Threads for work that belongs to no volume and for which nobody waits."""
        return self.pools.of(OTHER).executor

    async def in_pool(self, work: Callable[[], T], volume: str = OTHER) -> T:
        """Run `work` on the threads of a volume, or on those for everything else.

        Raises what `work` raises; Deferred when the volume does not answer.
        """
        return await self.pools.of(volume).run(work)
