"""gatepost storage-test: does a volume keep what it says it has, even when the plug is pulled?"""

from __future__ import annotations

import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.cli.options import for_machines, tell
from gateway.cli.problems import NO, TEMPORARY
from gateway.store import proving

FOLDER = click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
LOG = click.option(
    "--log",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="where each delivered message is noted; on another host or disk than FOLDER",
)
SHOWN = 5


@click.group(name="storage-test")
def command() -> None:
    """Prove that a volume keeps what it says it has.

    `deliver` into a folder of the volume, cut the power of what stores it (the host, the filer) while it runs,
    bring it back, `check`. Nothing that the log notes may be lost.
    """


@command.command(name="deliver")
@FOLDER
@LOG
@click.option("--count", type=click.IntRange(1, 100_000_000), default=100_000, show_default=True)
@click.option("--threads", type=click.IntRange(1, 256), default=8, show_default=True)
@click.option("--durability", type=click.Choice(["fsync", "syncfs"]), default="fsync", show_default=True)
@for_machines
def deliver(folder: Path, log: Path, count: int, threads: int, durability: str, as_json: bool) -> None:
    """Deliver until --count, ^C or the end of the power; exit code 4 when the volume gave an error."""
    mount = proving.mount_of(folder)
    if not as_json:
        click.echo(f"{folder}: {mount.kind} ({','.join(mount.options)})")
        for doubt in mount.doubts:
            click.echo(f"warning: {doubt}", err=True)
        if log.parent.stat().st_dev == folder.stat().st_dev:
            click.echo("warning: the log is on the volume itself and may be lost with it", err=True)
        click.echo("delivering; cut the power now, or ^C to stop", err=True)
    stop = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    done = proving.deliver(folder, log, count=count, threads=threads, durability=durability, is_stopped=stop.is_set)
    if as_json:
        click.echo(msgspec.json.encode(_figures(done, mount)))
    else:
        rate = done.messages / done.seconds if done.seconds else 0.0
        click.echo(
            f"{done.messages} messages in {done.seconds:.1f} s, {rate:.0f} a second; "
            f"half waited up to {done.wait(0.5) * 1e3:.1f} ms, 99 % up to {done.wait(0.99) * 1e3:.1f} ms"
        )
    if done.problem:
        click.echo(f"gatepost: {done.problem}", err=True)
        raise SystemExit(TEMPORARY)


def _figures(done: proving.Delivered, mount: proving.Mount) -> dict[str, Any]:
    return {
        "messages": done.messages,
        "seconds": done.seconds,
        "wait_half": done.wait(0.5),
        "wait_99": done.wait(0.99),
        "problem": done.problem,
        "file_system": mount.kind,
        "options": mount.options,
        "doubts": mount.doubts,
    }


@command.command(name="check")
@FOLDER
@LOG
@for_machines
def check(folder: Path, log: Path, as_json: bool) -> None:
    """Read every message that was noted; exit code 1 when one is lost or damaged."""
    try:
        found = proving.check(folder, log)
    except ValueError as problem:
        raise click.UsageError(str(problem)) from None
    if as_json:
        click.echo(
            msgspec.json.encode(
                {"noted": found.noted, "lost": found.lost, "damaged": found.damaged, "unnoted": found.unnoted}
            )
        )
    else:
        click.echo(
            f"{found.noted} noted, {len(found.lost)} lost, {len(found.damaged)} damaged, {found.unnoted} not noted"
        )
        for what, names in (("lost", found.lost), ("damaged", found.damaged)):
            for name in names[:SHOWN]:
                click.echo(f"{what}: {name}")
    if found.lost or found.damaged:
        raise SystemExit(NO)


@command.command(name="clean")
@FOLDER
@for_machines
def clean(folder: Path, as_json: bool) -> None:
    """Remove what `deliver` left in the folder."""
    shutil.rmtree(folder / proving.FOLDER)
    tell({"removed": str(folder / proving.FOLDER)}, f"{folder / proving.FOLDER} is removed", as_json)
