"""gatepost serve: run in the foreground until SIGTERM."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.options import configuration_file
from gateway.cli.problems import CONFIGURATION
from gateway.config.load import load_to_serve
from gateway.observe import log


@click.command(name="serve")
@configuration_file
def command(path: Path) -> None:
    """Serve mail."""
    from gateway.cli.web import FrontEnd
    from gateway.service.master import AlreadyRuns, Master, PortTaken

    log.start("master")
    try:
        master = Master(load_to_serve(path), path, FrontEnd())
    except (PortTaken, AlreadyRuns) as error:
        click.echo(error, err=True)
        raise SystemExit(CONFIGURATION) from None
    raise SystemExit(master.run())
