"""gatepost list unpark, and how bounces of members are shown."""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec

from directory.model import MailingList
from gateway.cli.entries import owner
from gateway.cli.options import configuration_file, for_machines
from gateway.config.load import load
from gateway.control.client import call
from gateway.queue.list_state import Bounces
from gateway.service.local_copy import local_copy
from gateway.service.mail_control import MAIL_SOCKET


def in_words(one: Bounces) -> str:
    """A member for whom something came back, in one line."""
    last = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(one.last))
    state = "parked, gets nothing" if one.parked is not None else f"{one.score:g} points"
    return f"bounces: {one.member}: {state}, {one.count} came back, the last {last}: {one.why}"


@click.command(name="unpark")
@configuration_file
@for_machines
@click.argument("address")
@click.argument("member")
def unpark(path: Path, as_json: bool, address: str, member: str) -> None:
    """Let MEMBER of the list ADDRESS have mail again; what came back for him is forgotten."""
    settings = load(path)
    with local_copy(settings) as view:
        found = owner(view, address, MailingList)
    result = call(Path(settings.run_dir) / MAIL_SOCKET, "list-unpark", list=found.id, member=member)
    click.echo(msgspec.json.encode(result).decode() if as_json else f"{member}: gets mail of {address} again")
