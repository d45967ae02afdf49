"""Once a minute what this host does is written down, for the dashboard: `state_dir/history`, a day by the minute and thirty
days by the quarter of an hour. In the process of the queue.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path
from typing import Any

from gateway.config.settings import Settings
from gateway.files.history import UNKNOWN, History
from gateway.observe.log import fields
from gateway.observe.metrics import ACCEPTED, ANSWERED, DELIVERED, LOGINS
from gateway.service.health import resident
from gateway.service.host import Host
from gateway.service.metrics import state
from gateway.service.metrics_files import Counts, collect
from gateway.service.overview import read

FILE = "history"  # in state_dir
SAMPLE_SECONDS = 60.0
_log = logging.getLogger("gatepost.history")


class Sampler:
    """Remembers what had been counted a minute ago."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._before: tuple[float, Counts] | None = None
        #: size and room of the volumes, a minute ago: who asks does not wait for a volume that hangs
        self.volumes: list[dict[str, Any]] = []

    def figures(self, now: float) -> list[float]:
        """In the order of `files.history.FIGURES`; called in a thread."""
        settings, found = self._host.settings, state(self._host)
        counts = collect(Path(settings.run_dir))
        rates = [UNKNOWN] * 4
        if self._before is not None and now > self._before[0]:
            minutes = (now - self._before[0]) / 60
            before = self._before[1]
            rates = [
                max(_sum(counts, name, good) - _sum(before, name, good), 0) / minutes
                for name, good in ((ACCEPTED.name, ""), (DELIVERED.name, ""), (ANSWERED.name, ""), (LOGINS.name, "ok"))
            ]
        self._before = (now, counts)
        self.volumes = volumes(settings)
        queue, age = found["queue"], found["directory"]["age_seconds"]
        processes = read(Path(settings.run_dir))
        return [
            *rates,
            float(queue["waiting"] + queue["deferred"]) if queue["ok"] else UNKNOWN,
            float(queue["held"]) if queue["ok"] else UNKNOWN,
            float(found["service"].get("sessions", 0)),
            UNKNOWN if age is None else float(age),
            max((each["share"] for each in self.volumes), default=UNKNOWN),
            float(sum(resident(each.pid) for each in processes.children)) if processes is not None else UNKNOWN,
        ]


def _sum(counts: Counts, name: str, good: str) -> int:
    """Of a counter with all its labels but those that say that it went well."""
    return sum(number for key, number in counts.items() if key[0] == name and (not good or good not in key[1:]))


def volumes(settings: Settings) -> list[dict[str, Any]]:
    """Size and room of each volume, of those that answer."""
    found: list[dict[str, Any]] = []
    for name, volume in settings.store.volumes.items():
        try:
            facts = os.statvfs(volume.path)
        except OSError:
            continue
        used, free = (facts.f_blocks - facts.f_bfree) * facts.f_frsize, facts.f_bavail * facts.f_frsize
        found.append({"name": name, "used": used, "free": free, "share": used / (used + free) if used + free else 0.0})
    return found


async def sample_for_ever(host: Host, sampler: Sampler) -> None:
    """Every minute from now on. Trouble with the file costs figures, nothing else."""
    history: History | None = None
    while True:
        try:
            history = history or History(Path(host.settings.state_dir) / FILE)
            now = time.time()
            history.add(now, await asyncio.to_thread(sampler.figures, now))
        except OSError as error:
            _log.warning("%s", fields(event="history-trouble", detail=str(error)))
        await asyncio.sleep(SAMPLE_SECONDS)
