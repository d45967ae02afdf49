"""Sessions end when their account may no longer log in: disabled, expired, gone, or no longer from there.

A login is judged once, a session may last for days. So what the directory says of everybody who is logged in is looked at
every few seconds, in the local copy; a session that is in the middle of something ends at a later look.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from directory.login_rules import may_come
from directory.model import Account, Deferred, Refused, ServiceAccount
from directory.port import Directory

LOOK_SECONDS = 5.0
AT_ONCE = 500  # accounts looked at before other work of the loop gets its turn


class LoggedIn(Protocol):
    """A connection with a login."""

    address: str

    def evict(self) -> bool:
        """End it, with a word; False when it is in the middle of something."""
        ...


class Registry(Protocol):
    """Who is logged in at this worker."""

    def accounts(self) -> list[str]: ...

    def of(self, account: str) -> tuple[LoggedIn, ...]: ...


async def look(directory: Directory, registry: Registry, now: Callable[[], float] = time.time) -> int:
    """End the sessions of whoever may not be there; how many. What the directory does not say surely ends none."""
    ended = 0
    for number, account in enumerate(registry.accounts()):
        if number % AT_ONCE == AT_ONCE - 1:
            await asyncio.sleep(0)
        try:
            ended += sum(
                each.evict() for each in registry.of(account) if not _may_stay(directory, account, each.address, now())
            )
        except Deferred:
            continue
    return ended


def _may_stay(directory: Directory, account: str, address: str, now: float) -> bool:
    """False only for what is certain. Raises Deferred."""
    entry = directory.by_id(account)
    if entry is None:
        return not directory.freshness().absence_is_final(now)
    if directory.is_held(account) or not isinstance(entry, Account | ServiceAccount):
        return True
    try:
        may_come(entry, address, now)
    except Refused:
        return False
    return True


async def look_for_ever(directory: Directory, registry: Registry) -> None:
    """Every LOOK_SECONDS."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        await look(directory, registry)
