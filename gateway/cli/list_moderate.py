"""gatepost list moderate: posts that wait for a moderator."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import msgspec

from directory.model import MailingList
from gateway.cli.entries import owner, table
from gateway.cli.options import configuration_file, for_machines
from gateway.config.load import load
from gateway.control.client import call
from gateway.service.local_copy import local_copy
from gateway.service.mail_control import MAIL_SOCKET


@click.command(name="moderate")
@configuration_file
@for_machines
@click.argument("address")
@click.argument("decision", required=False, type=click.Choice(["approve", "reject"]))
@click.argument("post", required=False, metavar="ID")
def moderate(path: Path, as_json: bool, address: str, decision: str | None, post: str | None) -> None:
    """Show what waits for the moderators of the list ADDRESS; send post ID to the members, or throw it away."""
    if (decision is None) != (post is None):
        raise click.UsageError("name the post: gatepost list moderate LIST approve ID")
    settings = load(path)
    with local_copy(settings) as view:
        found = owner(view, address, MailingList)
    socket = Path(settings.run_dir) / MAIL_SOCKET
    if decision is None:
        _show(call(socket, "list-held", list=found.id), as_json)
        return
    result = call(socket, "list-moderate", list=found.id, post=post, decision=decision)
    click.echo(msgspec.json.encode(result).decode() if as_json else f"{post}: {decision}: done")


def _show(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(rows).decode())
        return
    table(
        ("since", "from", "subject", "octets", "id"),
        [
            (time.strftime("%Y-%m-%d %H:%M", time.gmtime(row["since"])), row["author"] or row["return_path"],
             row["subject"], row["size"], row["id"])
            for row in rows
        ],
    )  # fmt: skip
