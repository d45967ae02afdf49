"""The round through all stores of a host, every few minutes, in the process that runs the queue."""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial

from directory.model import Deferred, MailboxHolder
from gateway.observe import maillog
from gateway.observe.log import fields
from gateway.service.host import Host
from gateway.store.repository import AccountRow

ACCOUNTS = 500
SLICE = 100
_log = logging.getLogger("gatepost.store")


async def tend_for_ever(host: Host) -> None:
    """One round after another; what goes wrong with one account does not keep the others waiting."""
    while host.stores.has_index:
        await asyncio.sleep(host.settings.store.sweep)
        begun = time.monotonic()
        tended, troubles = await tend_all(host)
        if troubles:
            _log.warning(
                "%s",
                fields(event="swept", accounts=tended, troubles=len(troubles), seconds=f"{time.monotonic() - begun:.1f}",
                       detail=str(troubles[0])),
            )  # fmt: skip


async def tend_all(host: Host) -> tuple[int, list[Deferred]]:
    """One round: how many accounts were tended, what went wrong."""
    tended, after = 0, ""
    troubles = await _find_all(host)
    while True:
        try:
            rows = await host.in_pool(partial(host.stores.repository.accounts, after, ACCOUNTS))
        except Deferred as error:
            return tended, [error]
        if not rows:
            return tended, troubles
        after = rows[-1].account
        for row in rows:
            try:
                await host.in_pool(partial(host.stores.tend, row.account, row.path), _volume(host, row))
                tended += 1
            except Deferred as error:
                troubles.append(error)
            except Exception:
                # one account that trips us must not keep the others from being tended
                maillog.bug(where=f"tending {row.account}")


async def _find_all(host: Host) -> list[Deferred]:
    """Stores that hosts without an index made or used; what went wrong."""
    troubles = []
    try:
        for number, entry in enumerate(host.directory.search(host.settings.directory.base, "sub", "(objectClass=*)")):
            if number % SLICE == 0:
                await asyncio.sleep(0)  # the queue's work goes on meanwhile
            if isinstance(entry, MailboxHolder):
                try:
                    await host.in_pool(partial(host.stores.find_store, entry), host.stores.volume_name(entry))
                except Deferred as error:
                    troubles.append(error)
    except Deferred as error:
        troubles.append(error)
    return troubles


def _volume(host: Host, row: AccountRow) -> str:
    """The pool for an account's files; one that the directory no longer shows is not waited for by its volume's mail."""
    entry = host.directory.by_id(row.account)
    return host.stores.volume_name(entry) if isinstance(entry, MailboxHolder) else ""
