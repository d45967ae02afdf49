"""gatepost check: is the configuration right?"""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.options import configuration_file
from gateway.config.load import ConfigurationError, load


@click.command(name="check")
@configuration_file
def command(path: Path) -> None:
    """Check the configuration; exit code 3 when it is wrong."""
    try:
        load(path)
    except ConfigurationError as error:
        click.echo(error, err=True)
        raise SystemExit(3) from None
    click.echo(f"{path}: ok")
