"""gatepost check: is the configuration right?"""

from __future__ import annotations

from pathlib import Path

import click

from gateway.config.load import ConfigurationError, load


@click.command(name="check")
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default=Path("/etc/gatepost/gatepost.yaml"),
    show_default=True,
    help="configuration file",
)
def command(path: Path) -> None:
    """Check the configuration; exit code 3 when it is wrong."""
    try:
        load(path)
    except ConfigurationError as error:
        click.echo(error, err=True)
        raise SystemExit(3) from None
    click.echo(f"{path}: ok")
