"""gatepost store search: the files that make searches of texts quick."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from directory.model import Deferred
from gateway.cli.opened_stores import opened
from gateway.cli.options import configuration_file, for_machines
from gateway.cli.problems import NO
from gateway.cli.store_care import every_account, named_accounts
from gateway.config.load import load


@click.command(name="search")
@configuration_file
@click.argument("accounts", nargs=-1)
@click.option("--all", "is_all", is_flag=True, help="every store of this host")
@click.option("--build", "builds", is_flag=True, help="bring the files up to date now, and make those that are missing")
@click.option("--drop", "drops", is_flag=True, help="remove the files; searches find the same without")
@for_machines
def search(path: Path, accounts: tuple[str, ...], is_all: bool, builds: bool, drops: bool, as_json: bool) -> None:
    """What is kept of the texts of ACCOUNTS (addresses, logins, or entries' ids) for quick searches."""
    from gateway.service.search_build import SearchBuilder

    load(path)
    if bool(accounts) == is_all:
        raise click.UsageError("name ACCOUNTS, or say --all")
    if builds and drops:
        raise click.UsageError("--build and --drop exclude each other")
    shown: list[dict[str, Any]] = []
    with opened(path) as host:
        named, lost = named_accounts(host, accounts) if not is_all else (every_account(host), 0)
        builder = SearchBuilder(host)
        for account in named:
            try:
                if drops:
                    builder.files.remove(account)
                while builds and not builder.build(account):
                    pass
                state = builder.files.state(account)
                messages = sum(
                    host.stores.repository.counts(account, row.id).messages
                    for row in host.stores.repository.mailboxes(account)
                )
            except Deferred as error:
                if not is_all:
                    raise
                click.echo(f"gatepost: {account}: {error}", err=True)
                lost += 1
                continue
            indexed, octets = (state.messages, state.octets) if state is not None else (0, 0)
            facts = {"account": account, "messages": messages, "indexed": indexed, "octets": octets}
            if as_json:
                shown.append(facts)
            else:
                told = (
                    f"{indexed} of {messages} messages, {octets >> 10} KiB" if state is not None else "no search file"
                )
                click.echo(f"{account}: {told}")
    if as_json:
        click.echo(msgspec.json.encode(shown))
    if lost:
        raise SystemExit(NO)
