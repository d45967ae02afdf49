"""gatepost directory: the local copy of the directory."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.options import configuration_file
from gateway.config.load import ConfigurationError, load
from gateway.control.client import ControlError, call


@click.group(name="directory")
def command() -> None:
    """The local copy of the directory."""


@command.command(name="accept-deletions")
@configuration_file
def accept_deletions(path: Path) -> None:
    """Agree to deletions that the deletion brake holds: the entries are gone for good."""
    try:
        settings = load(path)
        removed = call(Path(settings.run_dir) / "control.sock", "accept-deletions")
    except ConfigurationError as error:
        click.echo(error, err=True)
        raise SystemExit(3) from None
    except ControlError as error:
        click.echo(error, err=True)
        raise SystemExit(error.code) from None
    click.echo(f"{removed} held entries removed")
