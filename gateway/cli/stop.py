"""gatepost stop: end a demo and wait until every process of it is gone."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import click
import msgspec


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
def command(folder: Path, timeout: float) -> None:
    """Stop; exit code 75 when it is still running after the time-out."""
    try:
        facts = msgspec.json.decode((folder / "demo.json").read_bytes())
        pid = int(Path(facts["pid_file"]).read_text())
    except (OSError, ValueError, KeyError):
        return
    pids = [pid, *facts.get("pids", {}).values()]
    if not _alive(pid):
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if not any(map(_alive, pids)):
            return
        time.sleep(0.02)
    raise SystemExit(75)
