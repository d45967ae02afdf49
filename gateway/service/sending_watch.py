"""Watches what accounts send, in every process that sees some of it, and stops those that show a sign.

What an account did is kept in memory for a second (or until it is much) and then written down with that of others, so
that no message waits for it. A crash forgets that second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from directory.model import Account, Deferred, ServiceAccount
from directory.port import Directory
from gateway.observe import maillog
from gateway.policy.brake import network_of, sign
from gateway.policy.settings import BrakeSettings
from gateway.queue.brakes import Brakes, why_stopped
from gateway.queue.sending_facts import MAX_DIFFERENT, SendingFacts, Tally, mark
from gateway.queue.wake import ring

FLUSH_SECONDS = 1.0
MUCH = 50  # recipients of one account
MANY = 1000  # accounts
MOST = 10_000  # accounts that are kept in memory while the disk does not answer
#: what the queue runner is told through its bell; a name with a slash is no message
STOPPED = "/brake"


class SendingWatch:
    """One a process, in its event loop; `in_pool` runs work in threads. Accounts are named by their entry id."""

    def __init__(
        self,
        directory: Directory,
        brakes: Brakes,
        facts: SendingFacts,
        settings: BrakeSettings,
        in_pool: Callable[[Callable[[], None]], Awaitable[Any]],
        bell: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.brakes, self.facts = brakes, facts
        self._directory, self._settings = directory, settings
        self._in_pool, self._bell, self._clock = in_pool, bell, clock
        self._exempt = frozenset(text.strip().lower() for text in settings.exempt)
        self._pending: dict[str, Tally] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._told_trouble = ""

    # who may send

    def is_stopped(self, account: str) -> bool:
        """May it send nothing?"""
        found = self.brakes.is_stopped(account)
        if self.brakes.trouble != self._told_trouble:
            self._told_trouble = self.brakes.trouble
            if self._told_trouble:
                maillog.brake_trouble(detail=self._told_trouble)
        return found

    def check(self, account: str) -> None:
        """Raise Deferred for an account that is stopped."""
        if self.is_stopped(account):
            raise why_stopped(account)

    # what was done

    def _is_exempt(self, account: str) -> bool:
        entry = self._directory.by_id(account) if self._exempt else None
        if not isinstance(entry, Account | ServiceAccount):
            return False
        names = (*entry.logins, *(entry.addresses if isinstance(entry, Account) else ()))
        return any(name.lower() in self._exempt for name in names)

    def _tally(self, account: str) -> Tally | None:
        """Where to count, None for nowhere."""
        found = self._pending.get(account)
        if found is None:
            if self._settings.action == "none" or len(self._pending) >= MOST or self._is_exempt(account):
                return None
            found = self._pending[account] = Tally()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush)
        return found

    def sent(self, account: str, recipients: int, outside: Iterable[str], address: str) -> None:
        """A message was taken for so many recipients, `outside` those on other hosts, from the client `address`."""
        tally = self._tally(account)
        if tally is None:
            return
        tally.recipients += recipients
        if len(tally.outside) < MAX_DIFFERENT:
            tally.outside.update(map(mark, outside))
        network = network_of(address)
        if network:
            tally.networks.add(mark(network))
        if tally.recipients >= MUCH or len(self._pending) >= MANY:
            self._flush()

    def limited(self, account: str) -> None:
        """A message was over the account's sending limit."""
        tally = self._tally(account)
        if tally is not None:
            tally.limited += 1

    def refused(self, account: str) -> None:
        """A recipient was refused in the session."""
        tally = self._tally(account)
        if tally is not None:
            tally.recipients += 1
            tally.failed += 1

    def failed(self, account: str, recipients: int) -> None:
        """So many recipients of what an account sent failed for good."""
        tally = self._tally(account)
        if tally is not None:
            tally.failed += recipients

    # writing down

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:  # a disk that is slow: what comes meanwhile waits for it
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush)
            return
        some, self._pending = self._pending, {}
        if some:
            self._task = asyncio.ensure_future(self._write(some))

    async def _write(self, some: dict[str, Tally]) -> None:
        try:
            await self._in_pool(lambda: self._judge(some))
        except Deferred as error:
            maillog.brake_trouble(detail=error.detail)
        finally:
            self._task = None

    def _judge(self, some: dict[str, Tally]) -> None:
        now = self._clock()
        is_new = False
        for account, facts in self.facts.add(some, now).items():
            found = sign(facts, self._settings)
            if found is None or self.brakes.is_stopped(account):
                continue
            if self.brakes.stop(account, found.kind, found.text, "brake", now):
                is_new = True
                maillog.sending_stopped(account=account, sign=found.kind, seen=found.text, by="brake")
        if is_new:
            ring(self._bell, STOPPED)

    async def close(self) -> None:
        """Write down what is left."""
        if self._task is not None:
            await self._task
        self._flush()
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            await self._task
        self.facts.close()
        self.brakes.close()
