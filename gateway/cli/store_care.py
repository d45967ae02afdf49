"""gatepost store check, repair and rebuild: the index of an account and its files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from directory.model import Deferred
from gateway.cli.opened_stores import find_holder, opened
from gateway.cli.options import configuration_file, for_machines
from gateway.cli.problems import NO
from gateway.config.load import load

if TYPE_CHECKING:
    from gateway.service.host import Host
    from gateway.store.caring import Finding

ACCOUNTS = 500  # asked for at once


def every_account(host: Host) -> Iterator[str]:
    """Ids of all accounts that have a store. Raises Deferred."""
    after = ""
    while rows := host.stores.repository.accounts(after, ACCOUNTS):
        after = rows[-1].account
        yield from (row.account for row in rows)


def named_accounts(host: Host, accounts: tuple[str, ...]) -> tuple[list[str], int]:
    """Ids of accounts with a store, and how many have none; these are told."""
    found: list[str] = []
    lost = 0
    for account in accounts:
        holder = find_holder(host, account)
        entry = holder.id if holder is not None else account
        if host.stores.repository.account(entry) is None:
            click.echo(f"gatepost: {account} has no store", err=True)
            lost += 1
        else:
            found.append(entry)
    return found, lost


def _tell(account: str, findings: list[Finding]) -> None:
    for finding in findings:
        click.echo(f"{account}: {finding.mailbox + ': ' if finding.mailbox else ''}{finding.detail}")


def _shown(account: str, findings: list[Finding]) -> dict[str, Any]:
    return {"account": account, "findings": msgspec.to_builtins(findings)}


def _care(host: Host, account: str, act: str) -> list[Finding]:
    """What is not in order behind that. Raises Deferred."""
    if act == "repair":
        host.stores.repair(account)
    elif act == "rebuild":
        host.stores.rebuild(account)
    return host.stores.check(account)


def _run(path: Path, accounts: tuple[str, ...], is_all: bool, as_json: bool, act: str) -> None:
    load(path)
    if bool(accounts) == is_all:
        raise click.UsageError("name ACCOUNTS, or say --all")
    results: list[dict[str, Any]] = []
    checked = faulty = 0
    with opened(path) as host:
        named, lost = named_accounts(host, accounts) if not is_all else (every_account(host), 0)
        for account in named:
            try:
                findings = _care(host, account, act)
            except Deferred as error:
                if not is_all:
                    raise
                click.echo(f"gatepost: {account}: {error}", err=True)  # the others are looked at all the same
                lost += 1
                continue
            checked += 1
            faulty += bool(findings)
            if as_json and (findings or not is_all):
                results.append(_shown(account, findings))
            elif not as_json:
                _tell(account, findings)
    if as_json:
        click.echo(msgspec.json.encode(results))
    else:
        click.echo(f"{checked} checked, {faulty} not in order")
    if faulty or lost:
        raise SystemExit(NO)


_accounts = click.argument("accounts", nargs=-1)
_every = click.option("--all", "is_all", is_flag=True, help="every store of this host")


@click.command(name="check")
@configuration_file
@_accounts
@_every
@for_machines
def check(path: Path, accounts: tuple[str, ...], is_all: bool, as_json: bool) -> None:
    """Compare index and files of ACCOUNTS (addresses, logins, or entries' ids); exit code 1 when something is wrong."""
    _run(path, accounts, is_all, as_json, "check")


@click.command(name="repair")
@configuration_file
@_accounts
@_every
@for_machines
def repair(path: Path, accounts: tuple[str, ...], is_all: bool, as_json: bool) -> None:
    """Put right what check tells of: adopt files and folders, write marks, count quota anew; then check again."""
    _run(path, accounts, is_all, as_json, "repair")


@click.command(name="rebuild")
@configuration_file
@_accounts
@for_machines
def rebuild(path: Path, accounts: tuple[str, ...], as_json: bool) -> None:
    """Make the index of ACCOUNTS anew from the files. UIDs and flags stay; while it runs their mail waits."""
    _run(path, accounts, False, as_json, "rebuild")
