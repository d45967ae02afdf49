"""gatepost directory journal and undo: who changed what in the directory through Gatepost, and taking it back."""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec

from gateway.cli.entries import ask, done
from gateway.cli.options import configuration_file, for_machines
from gateway.config.load import load


@click.command(name="journal")
@configuration_file
@for_machines
@click.option("--of", "login", default="", help="only changes of this user")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="the latest so many")
def journal(path: Path, as_json: bool, login: str, limit: int) -> None:
    """Who changed what in the directory through Gatepost, newest first."""
    rows = ask(load(path), "journal", login=login, limit=limit)
    if as_json:
        click.echo(msgspec.json.encode(rows).decode())
        return
    for row in rows:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(row["at"]))
        click.echo(f"{row['number']}  {when}Z  {row['actor']}  {row['verb']}  {row['dn']}  {row['outcome']}")
        for name, (gone, come) in row["change"].get("modify", {}).items():
            click.echo("".join(f"    {name}: -{value}\n" for value in gone), nl=False)
            click.echo("".join(f"    {name}: +{value}\n" for value in come), nl=False)


@click.command(name="undo")
@configuration_file
@for_machines
@click.argument("number", type=int)
def undo(path: Path, as_json: bool, number: int) -> None:
    """Take the change NUMBER of the journal back, unless the entry has gone on since."""
    done(ask(load(path), "undo", number=number), f"change {number}", as_json)
