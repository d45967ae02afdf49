"""gatepost passwd: set a password, by the directory itself (RFC 3062): no hash is made here."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gateway.cli.entries import acting_as, done, read_password
from gateway.cli.options import configuration_file, for_machines
from gateway.cli.user_app_password import still_good
from gateway.config.load import load
from gateway.control.client import call
from gateway.control.protocol import Claim


@click.command(name="passwd")
@configuration_file
@for_machines
@acting_as
@click.argument("login")
@click.option("--stdin", "from_stdin", is_flag=True, help="the new password is a line of standard input")
def command(path: Path, as_json: bool, as_login: str, login: str, from_stdin: bool) -> None:
    """Set the password of LOGIN; the old one stops working at once. With --as, the own password comes first."""
    settings = load(path)
    if not from_stdin and not sys.stdin.isatty():
        raise click.UsageError("without a terminal, say --stdin and give the new password as a line")
    claim = Claim(as_login, read_password(f"Password of {as_login}")) if as_login else None
    password = read_password(f"New password of {login}", confirm=True)
    socket = Path(settings.run_dir) / "control.sock"
    result = call(socket, "set-password", claim, login=login, password=password)
    done(result, f"password of {login}", as_json)
    if claim is None and not as_json:
        still_good(login, call(socket, "app-password-list", None, login=login))
