"""The trail of messages: where each process writes it and when old days of it go."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

from gateway.config.settings import Settings
from gateway.files.trail import TrailFile, purge
from gateway.observe import trail
from gateway.observe.log import fields

PURGE_SECONDS = 3600.0
_log = logging.getLogger("gatepost.trace")


def trail_folder(settings: Settings) -> Path:
    """Where the files of all processes lie."""
    return Path(settings.state_dir) / "trace"


def keep_trail(settings: Settings, process: str, loop: asyncio.AbstractEventLoop | None = None) -> None:
    """From now on the events of this process are kept, unless `trace.keep` is 0; with `loop` those of one round of it
    are written together."""
    if settings.trace.keep:
        file = TrailFile(trail_folder(settings), process, settings.trace.max_size)
        if loop is not None:
            file.gathered.begin(loop.call_soon)
        trail.use(file.write, file.gathered.together)


async def purge_for_ever(settings: Settings) -> None:
    """Remove what is older than `trace.keep`, every hour, in one process of the host."""
    while True:
        try:
            purge(trail_folder(settings), settings.trace.keep, time.time())
        except OSError as error:
            _log.warning("%s", fields(event="trace-trouble", detail=str(error)))
        await asyncio.sleep(PURGE_SECONDS)
