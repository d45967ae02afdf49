"""Who asks the queue runner over its admin socket: the operator, or a person whom the web front end speaks for.

A person is proven by the agent, as at a login; what he may do is asked of the runner's own copy of the directory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from directory.model import Account, Deferred, MailingList, Refused
from directory.port import Authenticator, Directory
from directory.rights import READS_ONLY, Actor, Rights, RightsSettings
from gateway.control.server import Caller, VerbError

ANSWER_SECONDS = 45.0  # a login that is slowed down, and a directory that is silent
T = TypeVar("T")


class Actors:
    """One in the runner. Its functions are called in threads; the directory is asked in the runner's loop."""

    def __init__(
        self,
        directory: Directory,
        settings: RightsSettings,
        authenticator: Authenticator,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.directory, self._authenticator, self._loop = directory, authenticator, loop
        self.rights = Rights(directory, settings)

    def in_loop(self, work: Callable[[], Awaitable[T]], seconds: float = ANSWER_SECONDS) -> T:
        """What `work` answers in the runner's loop. Raises VerbError when that takes too long, and what `work` raises."""

        async def run() -> T:
            return await work()

        future = asyncio.run_coroutine_threadsafe(run(), self._loop)
        try:
            return future.result(seconds)
        except TimeoutError:
            future.cancel()
            raise VerbError("the queue runner is busy, try again", 4) from None

    async def _actor(self, caller: Caller) -> Actor:
        claim = caller.claim
        if claim is None:
            return Actor(f"operator (uid {caller.uid})")
        try:
            # whoever may speak for a person here is the web front end, which says where he sits
            found = await self._authenticator.authenticate(
                claim.login, claim.token or claim.password, "selfservice", claim.address, near=True
            )
        except Refused as error:
            text = "the session has ended, log in again" if claim.token else f"{claim.login or 'nobody'}: {error.text}"
            raise VerbError(text, 5) from None
        except Deferred as error:
            raise VerbError(f"{claim.login}: {error.text}", 4) from None
        entry = self.directory.by_id(found.account)
        if not isinstance(entry, Account):
            raise VerbError("this account is gone", 5)
        if found.method == "app":
            raise VerbError("an app password is good for a device, not for this", 5)
        return Actor(entry.dn, entry, reads_only=found.method == "program-read")

    def actor(self, caller: Caller) -> Actor:
        """Who asks. Raises VerbError."""
        return self.in_loop(lambda: self._actor(caller))

    def administrator(self, caller: Caller, *, to_change: bool = True) -> Actor:
        """Who asks, when he may do everything. Raises VerbError."""

        async def check() -> Actor:
            actor = await self._actor(caller)
            if not self.rights.is_administrator(actor):
                raise VerbError("that is for administrators", 5)
            if to_change and actor.reads_only:
                raise VerbError(READS_ONLY, 5)
            return actor

        return self.in_loop(check)

    def keeper(self, caller: Caller, list_id: str, *, to_change: bool = False) -> tuple[Actor, MailingList]:
        """Who asks, and the list that he looks after: as its owner or moderator, or who administers its domain.
        Raises VerbError."""

        async def check() -> tuple[Actor, MailingList]:
            actor = await self._actor(caller)
            entry = self.directory.by_id(list_id)
            if not isinstance(entry, MailingList) or not self.rights.may_see(actor, entry):
                raise VerbError("there is no such list that you look after", 1)
            if to_change and actor.reads_only:
                raise VerbError(READS_ONLY, 5)
            return actor, entry

        return self.in_loop(check)
