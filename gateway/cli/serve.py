"""gatepost serve: run in the foreground until SIGTERM."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.config.load import ConfigurationError, load
from gateway.observe import log


@click.command(name="serve")
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default=Path("/etc/gatepost/gatepost.yaml"),
    show_default=True,
    help="configuration file",
)
def command(path: Path) -> None:
    """Serve mail."""
    from gateway.service.master import Master, PortTaken

    log.start("master")
    try:
        master = Master(load(path))
    except (ConfigurationError, PortTaken) as error:
        click.echo(error, err=True)
        raise SystemExit(3) from None
    raise SystemExit(master.run())
