"""gatepost stop: end a demo and wait until every process of it is gone."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import click
import msgspec

from gateway.cli.options import for_machines
from gateway.service.overview import is_running, read

STILL_RUNNING = 75


class _Facts(msgspec.Struct):
    """Of demo.json, what is needed here."""

    pids: dict[str, int] = {}


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@click.command(name="stop")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="folder of the demo",
)
@click.option("--timeout", type=float, default=15.0, show_default=True, help="seconds to wait")
@for_machines
def command(folder: Path, timeout: float, as_json: bool) -> None:
    """Stop; exit code 75 when it is still running after the time-out."""
    stopped = _stop(folder, timeout)
    if as_json:
        click.echo(msgspec.json.encode({"running": not stopped}))
    if not stopped:
        raise SystemExit(STILL_RUNNING)


def _stop(folder: Path, timeout: float) -> bool:
    """True when nothing of the demo runs any more."""
    try:
        pids = list(msgspec.json.decode((folder / "demo.json").read_bytes(), type=_Facts).pids.values())
        pid = int((folder / "gatepost.pid").read_text())
    except (OSError, ValueError, msgspec.DecodeError):
        return True
    # the number alone proves nothing: after a crash it may be somebody else's by now
    if not is_running(folder / "run") or not _alive(pid):
        return True
    found = read(folder / "run")
    pids += [pid, *((each.pid for each in found.children) if found is not None else ())]
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if not any(map(_alive, pids)):
            return True
        time.sleep(0.02)
    return False
