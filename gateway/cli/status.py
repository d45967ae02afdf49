"""gatepost status: is everything as it should be?"""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec

from directory.model import Deferred
from directory.replica import ReplicaReader
from gateway.cli.options import configuration_file
from gateway.config.load import ConfigurationError, load
from gateway.queue.state import counts


@click.command(name="status")
@configuration_file
@click.option("--json", "as_json", is_flag=True, help="for machines")
def command(path: Path, as_json: bool) -> None:
    """Show the state of the directory copy; exit code 1 when something is wrong."""
    try:
        settings = load(path)
    except ConfigurationError as error:
        click.echo(error, err=True)
        raise SystemExit(3) from None
    try:
        reader = ReplicaReader.open(Path(settings.state_dir) / "replica")
        freshness = reader.freshness()
        reader.close()
    except Deferred as error:
        click.echo(f"directory: {error.detail}", err=True)
        raise SystemExit(1) from None
    age = time.time() - freshness.fresh_at
    final = freshness.absence_is_final(time.time())
    try:
        queue = counts(Path(settings.state_dir) / "queue.db")
    except Deferred as error:
        click.echo(f"queue: {error.detail}", err=True)
        raise SystemExit(1) from None
    facts = {
        "directory": {
            "complete": freshness.complete,
            "age_seconds": round(age, 1),
            "braked": freshness.braked,
            "ok": final,
        },
        "queue": queue,
    }
    if as_json:
        click.echo(msgspec.json.encode(facts).decode())
    else:
        click.echo(
            f"directory  {'ok' if final else 'NOT OK'}  copy is {age:.0f} s old"
            f"{'' if freshness.complete else ', incomplete'}{', ' + freshness.braked if freshness.braked else ''}"
        )
        click.echo(f"queue      {queue['waiting']} new, {queue['deferred']} deferred, {queue['held']} held")
    raise SystemExit(0 if final else 1)
