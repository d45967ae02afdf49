"""gatepost reload: let the running service take its configuration anew."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import click
import msgspec

from gateway.cli.options import configuration_file, for_machines
from gateway.cli.problems import CONFIGURATION, TEMPORARY
from gateway.config.load import load_to_serve
from gateway.control.client import ControlError
from gateway.service.overview import Processes, read

LOOK_SECONDS = 0.05


def running(run_dir: Path) -> Processes:
    """The service of a run_dir. Raises ControlError when it does not run."""
    found = read(run_dir)
    if found is None:
        raise ControlError(f"{run_dir}: the service does not run", TEMPORARY)
    return found


@click.command(name="reload")
@configuration_file
@click.option("--timeout", type=click.FloatRange(min=0), default=60.0, show_default=True, help="seconds to wait")
@for_machines
def command(path: Path, timeout: float, as_json: bool) -> None:
    """Take the configuration without losing a connection; a broken one changes nothing (exit code 3)."""
    run_dir = Path(load_to_serve(path).run_dir)
    before = running(run_dir)
    os.kill(before.master, signal.SIGHUP)
    deadline = time.monotonic() + timeout
    while (now := running(run_dir)).reloads == before.reloads:
        if time.monotonic() > deadline:
            raise ControlError(
                f"the reload has not ended within {timeout:g} s; the old processes still serve", TEMPORARY
            )
        time.sleep(LOOK_SECONDS)
    if as_json:
        click.echo(msgspec.json.encode({"reloads": now.reloads, "problem": now.reload_problem}))
    if now.reload_problem:
        click.echo(now.reload_problem, err=True)
        raise SystemExit(CONFIGURATION)
    if not as_json:
        click.echo("reloaded")
