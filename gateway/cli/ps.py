"""gatepost ps: the processes of the service."""

from __future__ import annotations

import pwd
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from gateway.cli.options import configuration_file, for_machines
from gateway.cli.problems import NO
from gateway.config.load import load
from gateway.service.health import resident, uid_of
from gateway.service.overview import Processes, read


def user_name(uid: int) -> str:
    """The name of a uid, or its number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return str(uid)


def facts(found: Processes) -> list[dict[str, Any]]:
    """Each process with what the kernel says of it."""
    rows: list[dict[str, Any]] = [{"name": "master", "pid": found.master, "ready": found.ready, "sessions": 0}]
    rows += [
        {"name": each.name, "pid": each.pid, "ready": each.ready, "passing": each.passing, "sessions": each.sessions}
        for each in found.children
    ]
    for row in rows:
        row["uid"] = uid_of(row["pid"])
        row["user"] = user_name(row["uid"])
        row["rss_bytes"] = resident(row["pid"])
    return rows


@click.command(name="ps")
@configuration_file
@for_machines
def command(path: Path, as_json: bool) -> None:
    """Show the processes: uid, memory, sessions, ready; exit code 1 when the service does not run."""
    found = read(Path(load(path).run_dir))
    if found is None:
        click.echo("the service does not run", err=True)
        raise SystemExit(NO)
    rows = facts(found)
    if as_json:
        click.echo(msgspec.json.encode(rows))
        return
    table = Table(box=None, pad_edge=False)
    for title, right in (("name", 0), ("pid", 1), ("user", 0), ("rss MB", 1), ("sessions", 1), ("state", 0)):
        table.add_column(title, justify="right" if right else "left")
    for row in rows:
        state = "draining" if row.get("passing") and row["ready"] else "ready" if row["ready"] else "starting"
        table.add_row(
            row["name"], str(row["pid"]), row["user"], f"{row['rss_bytes'] / 1e6:.0f}", str(row["sessions"]), state
        )
    Console(highlight=False).print(table)
