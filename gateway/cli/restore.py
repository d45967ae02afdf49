"""gatepost restore: the system out of a backup."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec

from gateway.cli.options import for_machines, tell
from gateway.cli.problems import NO


def _pairs(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, str]]:
    found = []
    for value in values:
        old, equals, new = value.partition("=")
        if not equals or not old.startswith("/") or not new.startswith("/") or old == "/":
            raise click.BadParameter(f"{value!r}: OLD=NEW is wanted, both absolute paths", context, parameter)
        found.append((old, new))
    return found


@click.command(name="restore")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--move", multiple=True, metavar="OLD=NEW", callback=_pairs, help="what was below OLD is below NEW here")
@click.option(
    "--slapd",
    type=click.Path(path_type=Path, file_okay=False),
    help="make an OpenLDAP in this slapd.d, of what backup --slapd wrote",
)
@click.option("--without-queue", is_flag=True, help="leave queued messages out, they have gone out since")
@for_machines
def command(folder: Path, move: list[tuple[str, str]], slapd: Path | None, without_queue: bool, as_json: bool) -> None:
    """Make the system of the backup in FOLDER, on a machine that has none; nothing that is there is written over.

    It may be repeated until it is done; the configuration file comes last, and nothing starts without it. Then start
    the directory, `gatepost check`, and the service.
    """
    from gateway.backup.manifest import BackupProblem
    from gateway.backup.restoring import Moves, restore

    is_shown = sys.stderr.isatty()
    try:
        done = restore(
            folder,
            Moves(move),
            slapd=slapd,
            with_queue=not without_queue,
            say=lambda text: click.echo(f"\r{text}\033[K", err=True, nl=False) if is_shown else None,
        )
    except BackupProblem as error:
        click.echo(f"gatepost: {error}", err=True)
        raise SystemExit(NO) from None
    if is_shown:
        click.echo("\r\033[K", err=True, nl=False)
    text = (
        f"restored: {done.configuration}, {done.state_dir}; {done.queued} messages queued, {done.stores} stores made, "
        f"{done.found_stores} known"
    )
    for warning in done.warnings:
        click.echo(f"warning: {warning}", err=True)
    tell(msgspec.to_builtins(done), text, as_json)
