"""gatepost user second-factor: what somebody has besides his password, and a reset when it is lost."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from gateway.cli.entries import acting_as, ask, table
from gateway.cli.options import configuration_file, for_machines, tell
from gateway.cli.user_app_password import date_of
from gateway.config.load import load


@click.command(name="second-factor")
@configuration_file
@for_machines
@acting_as
@click.argument("login")
@click.option("--reset", is_flag=True, help="take all of them away and end the sessions; it stands in the journal")
def second_factor(path: Path, as_json: bool, as_login: str, login: str, reset: bool) -> None:
    """List the second factors of LOGIN, or reset them when they are lost."""
    settings = load(path)
    if reset:
        gone = ask(settings, "second-factor-reset", as_login, login=login)
        text = f"{gone['removed']} second factors of {login} removed, {gone['sessions_ended']} sessions ended"
        tell(gone, text, as_json)
        return
    found = ask(settings, "second-factor-list", as_login, login=login)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    table(
        ("name", "kind", "since", "used"),
        (
            (each["name"], each["kind"], date_of(each["created"], ""), date_of(each["used"], "never"))
            for each in found["factors"]
        ),
    )
    click.echo(f"recovery codes left: {found['codes_left']}")
