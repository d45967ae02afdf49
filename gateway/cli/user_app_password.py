"""gatepost user app-password: passwords of their own for devices and programs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.cli.entries import acting_as, ask, table
from gateway.cli.options import configuration_file, for_machines, in_seconds, tell
from gateway.config.load import load


@click.group(name="app-password")
def app_password() -> None:
    """Passwords of their own for devices: kept here, never sent to the directory, each may be revoked alone."""


def date_of(at: float | None, never: str) -> str:
    """A time for a table, `never` for none."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at)) if at else never


def still_good(login: str, found: list[dict[str, Any]]) -> None:
    """Say which of the app passwords of LOGIN outlived its password, and how they are ended."""
    older = sum(each["is_older"] for each in found)
    if older:
        what = f"{older} app password{'s' if older != 1 else ''} made before the password was changed, and still good"
        click.echo(f"{what}: gatepost user app-password revoke {login} older")


def _period(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    seconds = in_seconds(context, parameter, value)
    if seconds == 0:
        raise click.BadParameter(
            "0 would be a password that is over already; say a time such as 30d, or leave it away for one that does "
            "not end", context, parameter,
        )  # fmt: skip
    return seconds


@app_password.command(name="add")
@configuration_file
@for_machines
@acting_as
@click.argument("login")
@click.argument("name")
@click.option(
    "--service", "services", multiple=True, help="imap, pop3, submission, sieve; may be repeated; all if none is named"
)
@click.option("--network", "networks", multiple=True, help="only from there, such as 192.0.2.0/24; may be repeated")
@click.option("--valid", callback=_period, help="how long, such as 30d; without it the password does not end")
def add(
    path: Path, as_json: bool, as_login: str, login: str, name: str,
    services: tuple[str, ...], networks: tuple[str, ...], valid: float | None,
) -> None:  # fmt: skip
    """Make an app password for LOGIN; it is shown once."""
    settings = load(path)
    made = ask(
        settings, "app-password-add", as_login,
        login=login, name=name, services=services, networks=networks, seconds=valid or 0.0,
    )  # fmt: skip
    click.echo(msgspec.json.encode(made).decode() if as_json else f"{made['id']}: {made['password']}")


@app_password.command(name="list")
@configuration_file
@for_machines
@acting_as
@click.argument("login")
def list_all(path: Path, as_json: bool, as_login: str, login: str) -> None:
    """List the app passwords of LOGIN."""
    found = ask(load(path), "app-password-list", as_login, login=login)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    table(
        ("id", "name", "services", "networks", "used", "ends", "password"),
        (
            (t["id"], t["name"], " ".join(t["services"]) or "all", " ".join(t["networks"]) or "any",
             date_of(t["used"], "never"), date_of(t["expires"], "never"), "changed since" if t["is_older"] else "")
            for t in found
        ),
    )  # fmt: skip
    still_good(login, found)


@app_password.command(name="revoke")
@configuration_file
@acting_as
@click.argument("login")
@click.argument("token", metavar="ID")
@for_machines
def revoke(path: Path, as_login: str, login: str, token: str, as_json: bool) -> None:
    """End the app password ID of LOGIN at once; `all` ends every one, `older` those made before the password was changed."""
    ended = ask(load(path), "app-password-revoke", as_login, login=login, id=token)
    tell({"ended": ended}, f"{ended} app password{'s' if ended != 1 else ''} of {login} ended", as_json)
