"""gatepost user token: tokens of programs that use the JSON interface in a person's name."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from gateway.cli.entries import acting_as, ask, table
from gateway.cli.options import configuration_file, for_machines, in_seconds, tell
from gateway.cli.user_app_password import date_of
from gateway.config.load import load


@click.group(name="token")
def token() -> None:
    """Tokens of programs for the JSON interface (/api/v1): each acts for one person, within his rights, until it ends."""


@token.command(name="add")
@configuration_file
@for_machines
@acting_as
@click.argument("login")
@click.argument("name")
@click.option(
    "--scope", type=click.Choice(["read", "write"]), default="read", show_default=True, help="write includes read"
)
@click.option("--network", "networks", multiple=True, help="only from there, such as 192.0.2.0/24; may be repeated")
@click.option("--valid", callback=in_seconds, default="90d", show_default=True, help="how long, 366d at most")
def add(
    path: Path, as_json: bool, as_login: str, login: str, name: str, scope: str, networks: tuple[str, ...], valid: float
) -> None:
    """Make a token that acts for LOGIN; it is shown once."""
    made = ask(
        load(path), "program-token-add", as_login, login=login, name=name, scope=scope, networks=networks, seconds=valid
    )
    click.echo(msgspec.json.encode(made).decode() if as_json else f"{made['id']}: {made['token']}")


@token.command(name="list")
@configuration_file
@for_machines
@acting_as
@click.argument("login")
def list_all(path: Path, as_json: bool, as_login: str, login: str) -> None:
    """List the tokens that act for LOGIN."""
    found = ask(load(path), "program-token-list", as_login, login=login)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    table(
        ("id", "name", "scope", "networks", "used", "ends", "password"),
        (
            (t["id"], t["name"], t["scope"], " ".join(t["networks"]) or "any",
             date_of(t["used"], "never"), date_of(t["expires"], "never"), "changed since" if t["is_older"] else "")
            for t in found
        ),
    )  # fmt: skip


@token.command(name="revoke")
@configuration_file
@acting_as
@click.argument("login")
@click.argument("token_id", metavar="ID")
@for_machines
def revoke(path: Path, as_login: str, login: str, token_id: str, as_json: bool) -> None:
    """End the token ID of LOGIN at once; `all` ends every one."""
    ended = ask(load(path), "program-token-revoke", as_login, login=login, id=token_id)
    tell({"ended": ended}, f"{ended} token{'s' if ended != 1 else ''} of {login} ended", as_json)
