"""gatepost store: the volumes that hold the stores, and the care of these."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.cli.options import configuration_file, for_machines
from gateway.cli.problems import NO
from gateway.cli.store_care import check, rebuild, repair
from gateway.cli.store_carry import export, import_
from gateway.cli.store_search import search
from gateway.config.load import load
from gateway.store import markers
from gateway.store.proving import mount_of


@click.group(name="store")
def command() -> None:
    """The volumes that hold the stores, and the care of these."""


@command.command(name="prepare")
@configuration_file
@click.argument("names", nargs=-1)
@for_machines
def prepare(path: Path, names: tuple[str, ...], as_json: bool) -> None:
    """Mark mounted volumes as ones that hold stores: NAMES, or all that the configuration has.

    Without the mark nothing is created on a volume, so that an empty mount point never takes mail.
    """
    from gateway.service.identity import identities, may

    settings = load(path)
    mail = identities(settings.run_as).mail
    done: list[dict[str, Any]] = []
    for name in names or settings.store.volumes:
        volume = settings.store.volumes.get(name)
        if volume is None:
            raise click.UsageError(f"{name!r} is not one of {', '.join(settings.store.volumes)}")
        is_new = markers.read(os.path.join(volume.path, markers.STORE)) is None
        markers.prepare_volume(volume.path)
        if os.getuid() == 0:
            os.chown(os.path.join(volume.path, markers.STORE), mail.uid, mail.gid)
        done.append({"name": name, "path": volume.path, "is_new": is_new})
        if not as_json:
            click.echo(f"{name}: {volume.path} is {'prepared' if is_new else 'prepared already'}")
        if not may(mail, Path(volume.path), os.W_OK | os.X_OK):
            click.echo(f"warning: uid {mail.uid} (run_as.mail) may not write to {volume.path}", err=True)
    if as_json:
        click.echo(msgspec.json.encode(done))


@command.command(name="status")
@configuration_file
@for_machines
def status(path: Path, as_json: bool) -> None:
    """Whether each volume is there and fit; exit code 1 when one is not there."""
    shown: list[dict[str, Any]] = []
    for name, volume in load(path).store.volumes.items():
        facts: dict[str, Any] = {"name": name, "path": volume.path, "prepared": False, "problem": "", "doubts": []}
        try:
            mount, space = mount_of(Path(volume.path)), os.statvfs(volume.path)
            facts |= {
                "prepared": markers.read(os.path.join(volume.path, markers.STORE)) is not None,
                "file_system": mount.kind,
                "doubts": mount.doubts,
                "free_bytes": space.f_bavail * space.f_frsize,
                "free_files": space.f_favail,
            }
        except OSError as error:
            facts["problem"] = error.strerror
        if not facts["problem"] and not facts["prepared"]:
            facts["problem"] = "not mounted, or not prepared (gatepost store prepare)"
        shown.append(facts)
    if as_json:
        click.echo(msgspec.json.encode(shown))
    else:
        for facts in shown:
            free = f", {facts['free_bytes'] >> 20} MiB free" if "free_bytes" in facts else ""
            click.echo(f"{facts['name']}: {facts['path']} {facts['problem'] or facts['file_system']}{free}")
            for doubt in facts["doubts"]:
                click.echo(f"warning: {doubt}", err=True)
    if any(facts["problem"] for facts in shown):
        raise SystemExit(NO)


for each in (check, repair, rebuild, export, import_, search):
    command.add_command(each)
