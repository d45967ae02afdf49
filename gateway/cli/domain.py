"""gatepost domain: the mail domains of this company."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from gateway.cli.domain_dkim import dkim
from gateway.cli.entries import acting_as, ask, changes, domain_named, done, facts, show, sure, table
from gateway.cli.options import configuration_file, for_machines
from gateway.config.load import load
from gateway.service.local_copy import local_copy
from gateway.store.domain_use import FILE, read_sums


@click.group(name="domain")
def command() -> None:
    """Mail domains of ours."""


@command.command(name="add")
@configuration_file
@for_machines
@acting_as
@click.argument("name")
@click.argument("fields", nargs=-1, metavar="[FIELD=VALUE]...")
def add(path: Path, as_json: bool, as_login: str, name: str, fields: tuple[str, ...]) -> None:
    """Take mail for a domain: quota=1G, catch_all=info@example.com, admins=jane, aliases=example.net."""
    done(ask(load(path), "add-domain", as_login, name=name, changes=changes(fields)), name, as_json)


@command.command(name="list")
@configuration_file
@for_machines
def list_all(path: Path, as_json: bool) -> None:
    """List domains."""
    with local_copy(load(path)) as view:
        found = view.domains()
    if as_json:
        click.echo(msgspec.json.encode([facts(domain) for domain in found]).decode())
        return
    table(
        ("domain", "aliases", "kind", "status", "catch-all"),
        ((d.name, " ".join(d.aliases), d.kind, d.status, " ".join(d.catch_all)) for d in found),
    )


@command.command(name="show")
@configuration_file
@for_machines
@click.argument("name")
def show_one(path: Path, as_json: bool, name: str) -> None:
    """Show a domain; what its mailboxes hold together where gatepostDomainQuota limits that."""
    settings = load(path)
    with local_copy(settings) as view:
        domain = domain_named(view, name)
        sums = read_sums(Path(settings.state_dir) / FILE) if domain.domain_quota else None
        show(domain, as_json, {"domain_used": sums.octets.get(domain.name, 0)} if sums is not None else None)


@command.command(name="set")
@configuration_file
@for_machines
@acting_as
@click.argument("name")
@click.argument("fields", nargs=-1, required=True, metavar="FIELD=VALUE...")
def set_fields(path: Path, as_json: bool, as_login: str, name: str, fields: tuple[str, ...]) -> None:
    """Change a domain: its values hold for every entry in it that says nothing itself."""
    done(ask(load(path), "change", as_login, kind="domain", name=name, changes=changes(fields)), name, as_json)


@command.command(name="delete")
@configuration_file
@for_machines
@acting_as
@click.argument("name")
@click.option("--yes", is_flag=True, help="do not ask")
def delete(path: Path, as_json: bool, as_login: str, name: str, yes: bool) -> None:
    """Stop taking mail for a domain in which no entry has an address any more."""
    settings = load(path)
    sure(f"Delete the domain {name}?", yes)
    done(ask(settings, "delete", as_login, kind="domain", name=name), name, as_json)


command.add_command(dkim)
