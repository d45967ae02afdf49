"""The state of this host in figures: what `status`, `/health` and `/metrics` show. Reads only."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from directory.model import Deferred
from directory.port import Freshness
from gateway.config.settings import Settings
from gateway.control.client import ControlError, call
from gateway.queue.brakes import BRAKES, stopped
from gateway.queue.state import counts, held
from gateway.service.mail_control import MAIL_SOCKET
from gateway.service.metrics_files import volumes_down
from gateway.service.overview import Processes

SHOWN_HELD = 10
AT_WORK_SECONDS = 2.0
SHOWN_STOPPED = 10
PAGE = os.sysconf("SC_PAGE_SIZE")
State = dict[str, Any]


def uid_of(pid: int) -> int:
    """The uid of a process, -1 when it is gone. (/proc/PID belongs to root once a process has changed its uid.)"""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("Uid:"):
                return int(line.split()[2])
    except (OSError, ValueError, IndexError):
        pass
    return -1


def resident(pid: int) -> int:
    """Octets of memory that a process has, 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, ValueError, IndexError):
        return 0


def service_state(found: Processes | None) -> State:
    """The processes; `found` is None when the service does not run."""
    if found is None:
        return {"ok": False, "running": False, "serving": False}
    missing = [each.name for each in found.children if not each.passing and not each.ready]
    return {
        "ok": found.ready and not missing,
        "running": True,
        "serving": any(each.name.startswith("worker-") and each.ready and not each.passing for each in found.children),
        "processes": len(found.children),
        "not_ready": missing,
        "deaths": found.deaths,
        "sessions": sum(each.sessions for each in found.children),
        "one_uid": len({uid_of(each.pid) for each in found.children} - {-1}) == 1,
        "reload_problem": found.reload_problem,
    }


def volumes_state(settings: Settings, found: Processes | None) -> State:
    """Volumes that do not answer, and how many processes find so."""
    down = volumes_down(Path(settings.run_dir), (each.pid for each in found.children)) if found is not None else {}
    return {"ok": not down, "down": down}


def directory_state(freshness: Freshness | Deferred) -> State:
    """The copy of the directory, or why it cannot be read."""
    if isinstance(freshness, Deferred):
        return {"ok": False, "complete": False, "age_seconds": None, "braked": "", "trouble": freshness.detail}
    now = time.time()
    return {
        "ok": freshness.absence_is_final(now),
        "complete": freshness.complete,
        "age_seconds": round(now - freshness.fresh_at, 1) if freshness.fresh_at else None,
        "braked": freshness.braked,
        "trouble": freshness.trouble,
    }


def sending_state(settings: Settings) -> State:
    """Accounts that may not send; not well where the brake stopped one of them."""
    try:
        found = stopped(Path(settings.state_dir) / BRAKES)
    except Deferred as error:
        return {"ok": False, "trouble": error.detail, "stopped": 0, "accounts": []}
    shown = [{"account": one.account, "by": one.by, "seen": one.seen} for one in found[:SHOWN_STOPPED]]
    return {"ok": all(one.by != "brake" for one in found), "stopped": len(found), "accounts": shown}


def queue_state(settings: Settings) -> State:
    """How many targets wait, and what failed for good."""
    path = Path(settings.state_dir) / "queue.db"
    try:
        return {"ok": True, **counts(path), "failures": held(path, SHOWN_HELD)}
    except Deferred as error:
        return {"ok": False, "trouble": error.detail}


def queue_at_work(settings: Settings) -> State:
    """What the queue does at this moment, qmail's status line; empty when its process does not answer."""
    try:
        found = call(Path(settings.run_dir) / MAIL_SOCKET, "queue-now", answer_within=AT_WORK_SECONDS)
    except ControlError:
        return {}
    return {name: found[name] for name in ("local", "concurrency_local", "remote", "concurrency_remote")}
