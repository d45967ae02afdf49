"""gatepost status: is everything as it should be?"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import msgspec

from directory.model import Deferred
from directory.replica import ReplicaReader
from gateway.cli.options import configuration_file, for_machines
from gateway.cli.problems import NO
from gateway.cli.process_facts import uid_of
from gateway.config.load import load
from gateway.config.settings import Settings
from gateway.queue.state import counts, held
from gateway.service.overview import read

SHOWN_HELD = 10
SHOWN_SHARED = 3


def _service(settings: Settings) -> dict[str, Any]:
    found = read(Path(settings.run_dir))
    if found is None:
        return {"ok": False, "running": False}
    uids = {uid_of(each.pid) for each in found.children} - {-1}
    serving = [each for each in found.children if not each.passing]
    missing = [each.name for each in serving if not each.ready]
    return {
        "ok": found.ready and not missing,
        "running": True,
        "processes": len(found.children),
        "not_ready": missing,
        "sessions": sum(each.sessions for each in found.children),
        "one_uid": len(uids) == 1,
        "reload_problem": found.reload_problem,
    }


def _directory(settings: Settings) -> dict[str, Any]:
    try:
        reader = ReplicaReader.open(Path(settings.state_dir) / "replica")
    except Deferred as error:
        return {
            "ok": False,
            "complete": False,
            "age_seconds": None,
            "braked": "",
            "trouble": error.detail,
            "held_entries": 0,
            "shared_addresses": [],
        }
    try:
        now, freshness = time.time(), reader.freshness()
        shared = [address for address, _ in reader.shared("address", SHOWN_SHARED)]
        return {
            "ok": freshness.absence_is_final(now) and not shared,
            "shared_addresses": shared,
            "complete": freshness.complete,
            "age_seconds": round(now - freshness.fresh_at, 1) if freshness.fresh_at else None,
            "braked": freshness.braked,
            "trouble": freshness.trouble,
            "held_entries": len(reader.held_ids()),
        }
    finally:
        reader.close()


def _queue(settings: Settings) -> dict[str, Any]:
    path = Path(settings.state_dir) / "queue.db"
    try:
        return {"ok": True, **counts(path), "failures": held(path, SHOWN_HELD)}
    except Deferred as error:
        return {"ok": False, "trouble": error.detail}


def facts(settings: Settings) -> dict[str, dict[str, Any]]:
    """What `gatepost status --json` prints."""
    return {"service": _service(settings), "directory": _directory(settings), "queue": _queue(settings)}


def _lines(found: dict[str, dict[str, Any]]) -> list[str]:
    service, directory, queue = found["service"], found["directory"], found["queue"]
    lines = []
    if not service["running"]:
        lines.append("service    NOT OK  not running")
    else:
        word = "ok" if service["ok"] else f"NOT OK  not ready: {', '.join(service['not_ready']) or 'starting'}"
        lines.append(f"service    {word}  {service['processes']} processes, {service['sessions']} sessions")
        if service["one_uid"]:
            lines.append(
                "           agent and workers run as one user; start as root with run_as.mail and run_as.directory to separate them"
            )
        if service["reload_problem"]:
            lines.append(f"           the last reload was refused: {service['reload_problem']}")
    age = "never complete" if directory["age_seconds"] is None else f"copy is {directory['age_seconds']:.0f} s old"
    shared = ", ".join(directory["shared_addresses"])
    parts = [
        age,
        "" if directory["complete"] else "incomplete",
        directory["braked"],
        directory["trouble"],
        f"of several entries each: {shared}; see `gatepost directory check`" if shared else "",
    ]
    lines.append(f"directory  {'ok' if directory['ok'] else 'NOT OK'}  {', '.join(part for part in parts if part)}")
    if "trouble" in queue:
        lines.append(f"queue      NOT OK  {queue['trouble']}")
    else:
        lines.append(f"queue      ok  {queue['waiting']} new, {queue['deferred']} deferred, {queue['held']} held")
        lines += [f"           held {each['message']}: {each['reply']}" for each in queue["failures"]]
    return lines


@click.command(name="status")
@configuration_file
@for_machines
def command(path: Path, as_json: bool) -> None:
    """Show the state of service, directory copy and queue; exit code 1 when something is wrong."""
    found = facts(load(path))
    click.echo(msgspec.json.encode(found).decode() if as_json else "\n".join(_lines(found)))
    if not all(section["ok"] for section in found.values()):
        raise SystemExit(NO)
