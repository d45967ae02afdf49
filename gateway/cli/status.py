"""gatepost status: is everything as it should be?"""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from directory.model import Deferred
from directory.state import problem
from gateway.cli.options import configuration_file, for_machines
from gateway.cli.problems import NO
from gateway.cli.user_brake import named_rows
from gateway.config.load import load
from gateway.config.settings import Settings
from gateway.service.health import (
    State,
    directory_state,
    queue_at_work,
    queue_state,
    sending_state,
    service_state,
    uid_of,
    volumes_state,
)
from gateway.service.local_copy import raw_copy
from gateway.service.overview import PROGRAMS, read
from gateway.store.domain_use import FILE, read_sums

SHOWN_SHARED = 3


def _directory(settings: Settings) -> State:
    try:
        with raw_copy(settings) as reader:
            state = directory_state(reader.freshness())
            shared = [address for address, _ in reader.shared("address", SHOWN_SHARED)]
            ok = state["ok"] and not shared
            return {**state, "ok": ok, "held_entries": len(reader.held_ids()), "shared_addresses": shared}
    except Deferred as error:
        return {**directory_state(error), "held_entries": 0, "shared_addresses": []}


def _logins(settings: Settings) -> State:
    trouble = problem(Path(settings.state_dir) / "state.db")
    return {"ok": not trouble, "trouble": trouble}


def _sending(settings: Settings) -> State:
    """Accounts that may not send, by name."""
    found = sending_state(settings)
    if found["accounts"]:
        found["accounts"] = named_rows(settings, found["accounts"])
    return found


def _programs(settings: Settings) -> State:
    """Delivery programs, and whether they run as a user of their own."""
    found = read(Path(settings.run_dir))
    uids = {each.name: uid_of(each.pid) for each in found.children} if found is not None else {}
    own = uids.get(PROGRAMS, -1) not in (uids.get("agent", -1), uids.get("queue", -1), -1)
    return {"ok": True, "names": sorted(settings.programs), "own_uid": own}


def facts(settings: Settings) -> dict[str, State]:
    """What `gatepost status --json` prints."""
    processes = read(Path(settings.run_dir))
    return {
        "service": service_state(processes),
        "directory": _directory(settings),
        "volumes": volumes_state(settings, processes),
        "queue": {**queue_state(settings), **queue_at_work(settings)},
        "sending": _sending(settings),
        "logins": _logins(settings),
        "domains": _domains(settings),
        "programs": _programs(settings),
        "relay": {"ok": settings.smtp.open_relay == "no", "open": settings.smtp.open_relay != "no"},
    }


def _domains(settings: Settings) -> State:
    """Domains that take no more mail; a company's limit is no trouble of the service."""
    sums = read_sums(Path(settings.state_dir) / FILE)
    return {"ok": True, "full": sums.full() if sums is not None else {}}


def _lines(found: dict[str, State]) -> list[str]:
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
    down = found["volumes"]["down"]
    if down:
        told = ", ".join(
            f"{name} does not answer {number} process{'es' if number != 1 else ''}" for name, number in down.items()
        )
        lines.append(f"volumes    NOT OK  {told}; `gatepost store status` looks at them")
    if "trouble" in queue:
        lines.append(f"queue      NOT OK  {queue['trouble']}")
    else:
        lines.append(f"queue      ok  {queue['waiting']} new, {queue['deferred']} deferred, {queue['held']} held")
        if "local" in queue:
            local = f"local {queue['local']}/{queue['concurrency_local']}"
            lines.append(f"           {local} remote {queue['remote']}/{queue['concurrency_remote']}")
        lines += [f"           held {each['message']}: {each['reply']}" for each in queue["failures"]]
    sending = found["sending"]
    if "trouble" in sending:
        lines.append(f"sending    NOT OK  who may not send cannot be read: {sending['trouble']}")
    elif sending["stopped"]:
        lines.append(
            f"sending    {'ok' if sending['ok'] else 'NOT OK'}  {sending['stopped']} stopped; gatepost user brake list"
        )
        lines += [f"           {each['name']} (login {each['login']}): {each['seen']}" for each in sending["accounts"]]
    for name, (used, quota) in found["domains"]["full"].items():
        lines.append(
            f"domains    ok  {name} is full: its mailboxes hold {used} of {quota} octets (gatepostDomainQuota)"
        )
    programs = found["programs"]
    if programs["names"]:
        lines.append(f"programs   ok  {', '.join(programs['names'])}")
        if service["running"] and not programs["own_uid"]:
            lines.append(
                "           they run as the user of the service; start as root with run_as.programs to separate them"
            )
    if found["relay"]["open"]:
        lines.append("relay      NOT OK  OPEN RELAY: port 25 takes mail of everybody for everywhere (smtp.open_relay)")
    if found["logins"]["trouble"]:
        lines.append(f"logins     NOT OK  app passwords, sessions and journal: {found['logins']['trouble']}")
    return lines


@click.command(name="status")
@configuration_file
@for_machines
def command(path: Path, as_json: bool) -> None:
    """Show the state of service, directory copy, volumes, queue and state.db; exit code 1 when something is wrong."""
    found = facts(load(path))
    click.echo(msgspec.json.encode(found).decode() if as_json else "\n".join(_lines(found)))
    if not all(section["ok"] for section in found.values()):
        raise SystemExit(NO)
