"""gatepost alias: addresses that stand for others."""

from __future__ import annotations

from pathlib import Path

import click

from directory.model import Alias
from gateway.cli.entries import acting_as, all_of, ask, changes, done, in_domain, owner, show, show_all, sure
from gateway.cli.options import configuration_file, for_machines
from gateway.config.load import load
from gateway.service.local_copy import local_copy


@click.group(name="alias")
def command() -> None:
    """Addresses that stand for others; a further address of one person is `user set LOGIN addresses+=…`."""


@command.command(name="add")
@configuration_file
@for_machines
@acting_as
@click.argument("address")
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
def add(path: Path, as_json: bool, as_login: str, address: str, targets: tuple[str, ...]) -> None:
    """Make ADDRESS stand for TARGETs (logins, addresses here or outside); more targets for one that is there."""
    done(ask(load(path), "add-alias", as_login, address=address, targets=targets), address, as_json)


@command.command(name="remove")
@configuration_file
@for_machines
@acting_as
@click.argument("address")
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@click.option("--yes", is_flag=True, help="do not ask")
def remove(path: Path, as_json: bool, as_login: str, address: str, targets: tuple[str, ...], yes: bool) -> None:
    """Take TARGETs away, or the whole alias when none is named."""
    if not targets:
        settings = load(path)
        sure(f"Delete the alias {address}?", yes)
        done(ask(settings, "delete", as_login, kind="alias", name=address), address, as_json)
        return
    done(ask(load(path), "alias-remove", as_login, address=address, targets=targets), address, as_json)


@command.command(name="list")
@configuration_file
@for_machines
@click.option("--domain", default="", help="only with an address there")
def list_all(path: Path, as_json: bool, domain: str) -> None:
    """List aliases."""
    settings = load(path)
    with local_copy(settings) as view:
        found = [alias for alias in all_of(view, settings, Alias) if in_domain(alias, domain.lower())]
        show_all(
            found,
            ("address", "stands for"),
            lambda a: (
                a.primary or "",
                " ".join([str(getattr(view.by_dn(dn), "primary", None) or dn) for dn in a.targets] + list(a.forwards)),
            ),
            as_json,
        )


@command.command(name="show")
@configuration_file
@for_machines
@click.argument("address")
def show_one(path: Path, as_json: bool, address: str) -> None:
    """Show an alias."""
    with local_copy(load(path)) as view:
        show(owner(view, address, Alias), as_json)


@command.command(name="set")
@configuration_file
@for_machines
@acting_as
@click.argument("address")
@click.argument("fields", nargs=-1, required=True, metavar="FIELD=VALUE...")
def set_fields(path: Path, as_json: bool, as_login: str, address: str, fields: tuple[str, ...]) -> None:
    """Change an alias: status=suspended, accept_from=local, expires=2027-01-31."""
    done(ask(load(path), "change", as_login, kind="alias", name=address, changes=changes(fields)), address, as_json)
