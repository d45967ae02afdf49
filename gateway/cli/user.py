"""gatepost user: people with a login and a mailbox."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from directory.model import Account
from gateway.cli.entries import (
    account_named,
    acting_as,
    all_of,
    ask,
    changes,
    done,
    in_domain,
    read_password,
    show,
    show_all,
    sure,
)
from gateway.cli.options import configuration_file, for_machines
from gateway.cli.user_app_password import app_password
from gateway.cli.user_brake import brake
from gateway.cli.user_second_factor import second_factor
from gateway.cli.user_token import token
from gateway.config.load import load
from gateway.config.settings import Settings
from gateway.service.local_copy import local_copy

GENERATED_OCTETS = 15


@click.group(name="user")
def command() -> None:
    """People with a login and a mailbox."""


command.add_command(app_password)
command.add_command(token)
command.add_command(brake)
command.add_command(second_factor)


@command.command(name="add")
@configuration_file
@for_machines
@acting_as
@click.argument("login")
@click.argument("fields", nargs=-1, metavar="[FIELD=VALUE]...")
@click.option("--name", required=True, help="as people read it, such as 'Jane Doe'")
@click.option("--address", "addresses", multiple=True, help="the first is the primary one; may be repeated")
@click.option("--password-stdin", is_flag=True, help="the password is a line of standard input")
@click.option("--generate", is_flag=True, help="make a password and print it")
def add(
    path: Path, as_json: bool, as_login: str, login: str, fields: tuple[str, ...], name: str,
    addresses: tuple[str, ...], password_stdin: bool, generate: bool,
) -> None:  # fmt: skip
    """Make a person; without a password nobody can log in yet (gatepost passwd)."""
    settings = load(path)
    if password_stdin and generate:
        raise click.UsageError("--password-stdin and --generate exclude each other")
    wanted = changes(fields)
    password = secrets.token_urlsafe(GENERATED_OCTETS) if generate else ""
    if password_stdin:
        password = read_password(f"Password of {login}")
    result = ask(
        settings, "add-user", as_login,
        login=login, name=name, addresses=addresses, changes=wanted, password=password,
    )  # fmt: skip
    if as_json and generate:
        result["password"] = password
    done(result, login, as_json)
    if as_json:
        return
    if generate:
        click.echo(f"password: {password}")
    elif not password:
        click.echo(f"no password yet, nobody can log in: gatepost passwd {login}")


@command.command(name="show")
@configuration_file
@for_machines
@click.argument("login")
def show_one(path: Path, as_json: bool, login: str) -> None:
    """Show a person with effective values (own, else of rules, the domain, the configuration)."""
    with local_copy(load(path)) as view:
        show(account_named(view, login), as_json)


@command.command(name="list")
@configuration_file
@for_machines
@click.option("--domain", default="", help="only with an address there")
@click.option("--status", default="", help="only active, noaccess, suspended or closed")
def list_all(path: Path, as_json: bool, domain: str, status: str) -> None:
    """List people."""
    settings = load(path)
    with local_copy(settings) as view:
        found = [
            account
            for account in all_of(view, settings, Account)
            if in_domain(account, domain.lower()) and (not status or account.status == status)
        ]
        show_all(
            found,
            ("address", "login", "name", "status"),
            lambda a: (a.primary or "", a.logins[0] if a.logins else "", a.display_name or "", a.status),
            as_json,
        )


@command.command(name="set")
@configuration_file
@for_machines
@acting_as
@click.argument("login")
@click.argument("fields", nargs=-1, required=True, metavar="FIELD=VALUE...")
def set_fields(path: Path, as_json: bool, as_login: str, login: str, fields: tuple[str, ...]) -> None:
    """Change a person: quota=2G, forwards+=x@y.example, addresses-=old@example.com, expires= (removes)."""
    done(ask(load(path), "change", as_login, kind="user", name=login, changes=changes(fields)), login, as_json)


def _status(settings: Settings, as_login: str, login: str, status: str, as_json: bool) -> None:
    done(
        ask(settings, "change", as_login, kind="user", name=login, changes=changes([f"status={status}"])),
        login,
        as_json,
    )


@command.command(name="disable")
@configuration_file
@for_machines
@acting_as
@click.argument("login")
@click.option("--suspend", is_flag=True, help="mail is deferred too, nothing is lost")
@click.option("--close", is_flag=True, help="mail is refused too")
def disable(path: Path, as_json: bool, as_login: str, login: str, suspend: bool, close: bool) -> None:
    """Stop logins at once; mail still arrives unless --suspend or --close is said."""
    settings = load(path)
    if suspend and close:
        raise click.UsageError("--suspend and --close exclude each other")
    _status(settings, as_login, login, "suspended" if suspend else "closed" if close else "noaccess", as_json)


@command.command(name="enable")
@configuration_file
@for_machines
@acting_as
@click.argument("login")
def enable(path: Path, as_json: bool, as_login: str, login: str) -> None:
    """Let somebody log in and get mail again."""
    _status(load(path), as_login, login, "active", as_json)


@command.command(name="delete")
@configuration_file
@for_machines
@acting_as
@click.argument("login")
@click.option("--yes", is_flag=True, help="do not ask")
def delete(path: Path, as_json: bool, as_login: str, login: str, yes: bool) -> None:
    """Delete the person's entry; the mailbox files stay on disk."""
    settings = load(path)
    sure(f"Delete {login}? A new entry of the same name will not get the old mailbox.", yes)
    done(ask(settings, "delete", as_login, kind="user", name=login), login, as_json)
