"""Journals' copies that a crash left on disk, neither in the queue nor discarded: they are taken into the queue.

A kill between the delivery of a message and the rename that takes its copy into the queue would leave a message in a
store that no journal has. Nothing tells whether the message was delivered before the kill, so the journal gets the copy in
any case: of a message whose sender had no answer it may have one more.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from functools import partial

from directory.model import Deferred
from gateway.observe.log import fields
from gateway.queue.file import QueueFolder
from gateway.service.host import Host
from gateway.service.journal import JournalDesk

#: no message is in hand so long; where one is, its worker finds the copy gone, and the client sends it again
AFTER_SECONDS = 600.0
ROUND_SECONDS = 60.0
#: as JournalDesk names them: the message, the number, p = names only those of the recipients who were accepted
_COPY = re.compile(r"(.+)\.J\d+p?\Z")
_log = logging.getLogger("gatepost.journal")


def recover(queue: QueueFolder, journals: JournalDesk, now: float) -> int:
    """Take copies into the queue whose message was in hand AFTER_SECONDS ago; how many. Raises Deferred, OSError."""
    names = {name for name in queue.unfinished(now - AFTER_SECONDS) if _COPY.match(name)}
    taken = 0
    for name in sorted(names):
        envelope = queue.read_unfinished(name)
        if envelope is None or not envelope.journal_of:
            continue  # half written: its message was not delivered
        if name.endswith("p") and name[:-1] in names:  # better too many recipients are named than none
            journals.discard(envelope)
            continue
        journals.commit(envelope, name.rpartition(".")[0])
        taken += 1
    return taken


async def recover_at_start(host: Host) -> None:
    """Behind a crash of the whole service; what else was half written is removed, nothing while copies are in trouble."""
    if await _try(host):
        host.queue.clean()


async def recover_for_ever(host: Host) -> None:
    """Behind the crash of one process, until cancelled."""
    while True:
        await asyncio.sleep(ROUND_SECONDS)
        await _try(host)


async def _try(host: Host) -> bool:
    try:
        taken = await host.in_pool(partial(recover, host.queue, host.journals, time.time()))
    except (Deferred, OSError) as error:
        _log.warning("%s", fields(event="journal-copies-left", detail=str(error)))
        return False
    if taken:
        _log.warning("%s", fields(event="journal-copies-recovered", copies=taken))
    return True
