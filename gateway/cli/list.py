"""gatepost list: mailing lists."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from directory.model import MailingList
from gateway.cli.entries import acting_as, all_of, ask, changes, done, facts, in_domain, owner, show, show_all, sure
from gateway.cli.list_bounces import in_words, unpark
from gateway.cli.list_moderate import moderate
from gateway.cli.options import configuration_file, for_machines
from gateway.config.load import load
from gateway.config.settings import Settings
from gateway.queue.list_state import bounces
from gateway.service.local_copy import local_copy


@click.group(name="list")
def command() -> None:
    """Mailing lists."""


@command.command(name="add")
@configuration_file
@for_machines
@acting_as
@click.argument("address")
@click.argument("members", nargs=-1, metavar="[MEMBER]...")
@click.option("--name", default="", help="as people read it")
@click.option("--owner", "owners", multiple=True, help="login or address of who answers for it; may be repeated")
def add(
    path: Path, as_json: bool, as_login: str, address: str, members: tuple[str, ...], name: str, owners: tuple[str, ...]
) -> None:
    """Make a list; MEMBERs are logins, addresses or distinguished names."""
    result = ask(
        load(path), "add-list", as_login,
        address=address, members=members, name=name, changes=changes(f"owners={o}" for o in owners),
    )  # fmt: skip
    done(result, address, as_json)


@command.command(name="list")
@configuration_file
@for_machines
@click.option("--domain", default="", help="only with an address there")
def list_all(path: Path, as_json: bool, domain: str) -> None:
    """List mailing lists."""
    settings = load(path)
    with local_copy(settings) as view:
        found = [each for each in all_of(view, settings, MailingList) if in_domain(each, domain.lower())]
        show_all(
            found,
            ("address", "name", "members", "by search"),
            lambda each: (
                each.primary or "",
                each.display_name or "",
                len(each.members) + len(each.unique_members) + len(each.member_addresses),
                len(each.member_urls),
            ),
            as_json,
        )


@command.command(name="show")
@configuration_file
@for_machines
@click.argument("address")
def show_one(path: Path, as_json: bool, address: str) -> None:
    """Show a list; members with their addresses, and for whom mail came back or is parked."""
    settings = load(path)
    with local_copy(settings) as view:
        found = owner(view, address, MailingList)
        came_back = bounces(Path(settings.state_dir) / "lists.db", found.id)
        named = {dn: getattr(view.by_dn(dn), "primary", None) for dn in (*found.members, *found.unique_members)}
        if as_json:
            click.echo(msgspec.json.encode({**facts(found), "member_names": named, "bounces": came_back}).decode())
            return
        show(found, as_json)
        for dn, name in named.items():
            if name is None:
                click.echo(f"note: {dn} is nobody with an address")
        for one in came_back:
            click.echo(in_words(one))


@command.command(name="set")
@configuration_file
@for_machines
@acting_as
@click.argument("address")
@click.argument("fields", nargs=-1, required=True, metavar="FIELD=VALUE...")
def set_fields(path: Path, as_json: bool, as_login: str, address: str, fields: tuple[str, ...]) -> None:
    """Change a list: accept_from=members, owners+=jane, member_urls+=ldap:///…"""
    done(ask(load(path), "change", as_login, kind="list", name=address, changes=changes(fields)), address, as_json)


@command.command(name="delete")
@configuration_file
@for_machines
@acting_as
@click.argument("address")
@click.option("--yes", is_flag=True, help="do not ask")
def delete(path: Path, as_json: bool, as_login: str, address: str, yes: bool) -> None:
    """Delete a list; `gatepost directory undo` makes it again."""
    settings = load(path)
    sure(f"Delete the list {address}?", yes)
    done(ask(settings, "delete", as_login, kind="list", name=address), address, as_json)


@command.group(name="member")
def member() -> None:
    """Members of a list."""


def _members(
    settings: Settings, as_login: str, operation: str, address: str, members: tuple[str, ...], as_json: bool
) -> None:
    done(ask(settings, "members", as_login, list=address, operation=operation, members=members), address, as_json)


@member.command(name="add")
@configuration_file
@for_machines
@acting_as
@click.argument("address")
@click.argument("members", nargs=-1, required=True, metavar="MEMBER...")
def member_add(path: Path, as_json: bool, as_login: str, address: str, members: tuple[str, ...]) -> None:
    """Take MEMBERs (logins, addresses here or outside, distinguished names) into the list ADDRESS."""
    _members(load(path), as_login, "add", address, members, as_json)


@member.command(name="remove")
@configuration_file
@for_machines
@acting_as
@click.argument("address")
@click.argument("members", nargs=-1, required=True, metavar="MEMBER...")
def member_remove(path: Path, as_json: bool, as_login: str, address: str, members: tuple[str, ...]) -> None:
    """Take MEMBERs out of the list ADDRESS."""
    _members(load(path), as_login, "remove", address, members, as_json)


command.add_command(unpark)
command.add_command(moderate)
