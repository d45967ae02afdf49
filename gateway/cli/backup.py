"""gatepost backup: the whole system into one folder."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path

import click

from gateway.cli.options import configuration_file, for_machines, tell
from gateway.cli.problems import NO
from gateway.config.load import load


@click.command(name="backup")
@configuration_file
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--stores", "with_stores", is_flag=True, help="with all mail; else the stores stay where they are")
@click.option(
    "--slapd",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="slapd.d of an OpenLDAP on this host: its configuration and entries with ids and passwords, by slapcat",
)
@click.option("--no-directory", is_flag=True, help="leave the directory out, it has a backup of its own")
@click.option("--verify", "only_verify", is_flag=True, help="make none: compare the one in FOLDER with its checksums")
@for_machines
def command(
    path: Path,
    folder: Path,
    with_stores: bool,
    slapd: Path | None,
    no_directory: bool,
    only_verify: bool,
    as_json: bool,
) -> None:
    """Write configuration, keys, passwords, state, queue and directory into FOLDER, which is new; --verify checks it.

    The service may run. For root, or whoever the service runs as: FOLDER holds every secret of the system (modes 0700
    and 0600). Where it is to be taken to another machine stop the service first, so that nothing in the queue goes
    out twice.
    """
    from gateway.backup.making import make
    from gateway.backup.manifest import BackupProblem, read, verify

    try:
        if only_verify:
            manifest = read(folder)
            faults = verify(folder, manifest)
        else:
            settings = load(path)
            is_shown = sys.stderr.isatty()
            manifest = make(
                path,
                settings,
                folder,
                slapd=slapd,
                with_directory=not no_directory,
                with_stores=with_stores,
                say=lambda text: click.echo(f"\r{text}\033[K", err=True, nl=False) if is_shown else None,
            )
            faults = []
            if is_shown:
                click.echo("\r\033[K", err=True, nl=False)
    except BackupProblem as error:
        click.echo(f"gatepost: {error}", err=True)
        raise SystemExit(NO) from None
    facts = {
        "folder": os.path.abspath(folder),
        "moment": manifest.moment,
        "gatepost": manifest.gatepost,
        "files": len(manifest.items),
        "octets": sum(item.size for item in manifest.items),
        "queued": manifest.queued,
        "stores": manifest.stores,
        "directory": manifest.directory,
        "was_running": manifest.is_running,
        "faults": faults,
    }
    stores = "stores stay where they are" if manifest.stores is None else f"{manifest.stores} stores"
    lines = [
        f"{folder}: of {datetime.fromtimestamp(manifest.moment):%Y-%m-%d %H:%M:%S}, {len(manifest.items)} files, "
        f"{facts['octets']} octets, {manifest.queued} messages queued, {stores}, directory: {manifest.directory}",
        *faults,
    ]
    tell(facts, "\n".join(lines), as_json)
    if faults:
        raise SystemExit(NO)
