"""gatepost account: stores and whom they belong to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from gateway.cli.opened_stores import opened
from gateway.cli.options import configuration_file, for_machines, tell
from gateway.cli.problems import NO
from gateway.config.load import load

if TYPE_CHECKING:
    from gateway.service.host import Host
    from gateway.store.repository import AccountRow


@click.group(name="account")
def command() -> None:
    """Stores and whom they belong to."""


def _facts(host: Host, row: AccountRow) -> dict[str, Any]:
    from directory.model import MailboxHolder
    from gateway.service.rehearsal import soft_quota

    holder = host.directory.by_id(row.account)
    since = host.grace.since(row.account)
    facts: dict[str, Any] = msgspec.to_builtins(row) | {
        "quota": 0,
        "quota_soft": 0,
        "quota_messages": 0,
        "over_soft": "",
    }
    if isinstance(holder, MailboxHolder):
        facts |= {key: getattr(holder, key) or 0 for key in ("quota", "quota_soft", "quota_messages")}
        if since is not None and holder.quota_soft and row.used_bytes > holder.quota_soft:
            facts["over_soft"] = soft_quota(holder, since)
    return facts


@command.command(name="show")
@configuration_file
@click.argument("account")
@for_machines
def show(path: Path, account: str, as_json: bool) -> None:
    """Where the store of ACCOUNT (an address, or an entry's id) lies, how much it holds and how much it may hold."""
    with opened(path) as host:
        owners = host.directory.owners(account.lower()) if "@" in account else ()
        ids = [entry.id for entry in owners] or [account]
        rows = [_facts(host, found) for entry in ids if (found := host.stores.repository.account(entry)) is not None]
    if as_json:
        click.echo(msgspec.json.encode(rows))
    for row in rows if not as_json else ():
        click.echo("{account}: {path}, {used_messages} messages, {used_bytes} octets".format(**row))
        named = (("quota", "octets"), ("quota_soft", "octets (soft)"), ("quota_messages", "messages"))
        if limits := [f"{row[key]} {text}" for key, text in named if row[key]]:
            click.echo(f"  may hold {', '.join(limits)}")
        if row["over_soft"]:
            click.echo(f"  {row['over_soft']}")
    if not rows:
        click.echo(f"gatepost: {account} has no store", err=True)
        raise SystemExit(NO)


@command.command(name="create")
@configuration_file
@click.argument("accounts", nargs=-1, required=True, metavar="ACCOUNT...")
@for_machines
def create(path: Path, accounts: tuple[str, ...], as_json: bool) -> None:
    """Make the store of each ACCOUNT (an address, or an entry's id) now; else its first message or login does it."""
    from directory.model import MailboxHolder

    rows: list[dict[str, Any]] = []
    lost = 0
    with opened(path) as host:
        for account in accounts:
            owners = host.directory.owners(account.lower()) if "@" in account else ()
            holder = owners[0] if owners else host.directory.by_id(account)
            if not isinstance(holder, MailboxHolder):
                click.echo(f"gatepost: {account} is nobody with a store in the directory", err=True)
                lost += 1
                continue
            is_new = host.stores.repository.account(holder.id) is None
            maildir = host.stores.open(holder).path
            host.stores.furnish(holder, maildir)
            rows.append({"account": holder.id, "path": maildir, "made": is_new})
    if as_json:
        click.echo(msgspec.json.encode(rows))
    for row in rows if not as_json else ():
        click.echo(f"{row['account']}: {row['path']}{'' if row['made'] else ', was there already'}")
    if lost:
        raise SystemExit(NO)


@command.command(name="rebind")
@configuration_file
@click.argument("old")
@click.argument("new")
@click.option("--same-addresses", "mode", flag_value="same-addresses", help="NEW gets the store of OLD")
@click.option(
    "--fresh", "mode", flag_value="fresh", help="NEW gets an empty store; the files of OLD stay where they are"
)
@for_machines
def rebind(path: Path, old: str, new: str, mode: str | None, as_json: bool) -> None:
    """Decide what NEW gets, an entry's id that owns an address which the vanished id OLD owned.

    Until then mail for the address is answered "try again later", so that nobody reads another's mail.
    """
    from directory.model import MailboxHolder

    load(path)  # what is wrong with the configuration is told first
    if mode is None:
        raise click.UsageError("one of --same-addresses and --fresh is needed")
    with opened(path) as host:
        holder = host.directory.by_id(new)
        problem = ""
        if not isinstance(holder, MailboxHolder):
            problem = f"{new} is nobody with a store in the directory"
        elif host.directory.by_id(old) is not None:
            problem = f"{old} is still in the directory"
        else:
            try:
                host.stores.rebind(old, holder, mode)
            except ValueError as error:
                problem = str(error)
    if problem:
        click.echo(f"gatepost: {problem}", err=True)
        raise SystemExit(NO)
    text = f"{new} has {'the store of ' + old if mode == 'same-addresses' else 'a store of its own'}"
    tell({"old": old, "new": new, "mode": mode}, text, as_json)
