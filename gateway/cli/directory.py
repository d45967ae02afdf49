"""gatepost directory: the local copy of the directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gateway.cli import directory_try
from gateway.cli.directory_journal import journal, undo
from gateway.cli.directory_report import check, status
from gateway.cli.options import configuration_file, for_machines, tell
from gateway.cli.problems import TEMPORARY
from gateway.config.load import load
from gateway.control.client import call


@click.group(name="directory")
def command() -> None:
    """The local copy of the directory."""


def _ask(path: Path, verb: str) -> Any:
    return call(Path(load(path).run_dir) / "control.sock", verb)


@command.command(name="accept-deletions")
@configuration_file
@for_machines
def accept_deletions(path: Path, as_json: bool) -> None:
    """Agree to deletions that the deletion brake holds: the entries are gone for good."""
    removed = _ask(path, "accept-deletions")
    tell({"removed": removed}, f"{removed} held entries removed", as_json)


@command.command(name="flush-logins")
@configuration_file
@for_machines
def flush_logins(path: Path, as_json: bool) -> None:
    """Forget remembered logins, wrong passwords and grace verifiers: each login is asked of the directory again."""
    _ask(path, "flush-logins")
    tell({"flushed": True}, "remembered logins are forgotten", as_json)


@command.command(name="resync")
@configuration_file
@for_machines
def resync(path: Path, as_json: bool) -> None:
    """Read the whole directory again, through the deletion brake; changes are found without it."""
    done = _ask(path, "directory-resync")
    if done is None:
        click.echo("still reading; `gatepost directory status` shows when it is done", err=True)
        raise SystemExit(TEMPORARY)
    text = f"{done['changed']} entries changed, {done['removed']} removed, {done['held']} held by the deletion brake"
    tell(done, text, as_json)


command.add_command(check)
command.add_command(status)
command.add_command(directory_try.command)
command.add_command(journal)
command.add_command(undo)
