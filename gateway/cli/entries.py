"""What the verbs about people, aliases, lists and domains share: the local copy, how an entry is shown, how a
change is asked of the running service, and FIELD=VALUE arguments.
"""

from __future__ import annotations

import dataclasses
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
from rich.console import Console
from rich.table import Table

from directory.login_rules import named
from directory.model import Account, Domain, Entry, InvalidAddress, Recipient, canonical_address, canonical_domain
from directory.model.units import write_seconds, write_size
from directory.view import View
from directory.write_values import KIND_IN_WORDS
from gateway.cli.problems import NO, USAGE
from gateway.config.settings import Settings
from gateway.control.client import ControlError, call
from gateway.control.protocol import Claim

T = TypeVar("T", bound=Entry)
_CHANGE = re.compile(r"([A-Za-z][A-Za-z0-9_-]*?)(\+=|-=|=)(.*)\Z", re.DOTALL)
_OPERATIONS = {"=": "set", "+=": "add", "-=": "remove"}
_SIZES = frozenset({"quota", "quota_soft", "max_message_size", "domain_quota", "domain_used"})
_LIMITS = _SIZES | {"quota_messages"}
_TIMES = frozenset({"expires"})

#: `--as LOGIN`, given to the verb as `as_login`
acting_as = click.option(
    "--as",
    "as_login",
    default="",
    metavar="LOGIN",
    help="act as this person, within his rights; his password is asked for, or is the first line of standard input",
)


class Answer(ControlError):
    """The answer is no, found out without asking the service."""


def all_of(view: View, settings: Settings, kind: type[T]) -> Iterator[T]:
    """Every entry of a kind, in no order."""
    for entry in view.search(settings.directory.base, "sub", "(objectClass=*)"):
        if isinstance(entry, kind):
            yield entry


def owner(view: View, text: str, kind: type[T]) -> T:
    """The entry of that kind that owns the address. Raises Answer."""
    try:
        address = str(canonical_address(text.strip()))
    except InvalidAddress as error:
        raise Answer(f"{text!r}: {error}", USAGE) from None
    found = view.owners(address)
    if not found:
        raise Answer(f"nobody has the address {address}", NO)
    if not isinstance(found[0], kind):
        raise Answer(f"{address} is {KIND_IN_WORDS[type(found[0])]}, not {KIND_IN_WORDS[kind]}", NO)
    return found[0]


def domain_named(view: View, text: str) -> Domain:
    """The domain of that name or alias. Raises Answer."""
    try:
        found = view.domain(canonical_domain(text.strip()))
    except InvalidAddress as error:
        raise Answer(f"{text!r}: {error}", USAGE) from None
    if found is None:
        ours = ", ".join(domain.name for domain in view.domains()[:20])
        raise Answer(f"no domain {text}; there is {ours or 'none'}", NO)
    return found


# -- showing -------------------------------------------------------------------------------------------------


def facts(entry: Entry) -> dict[str, Any]:
    """An entry with its effective values, for JSON; what says nothing is left out."""
    found: dict[str, Any] = {"kind": type(entry).__name__.lower()}
    for field in dataclasses.fields(entry):
        value = getattr(entry, field.name)
        if value not in (None, (), "") and not (value == field.default and field.name not in ("status", "kind")):
            found[field.name if field.name != "kind" else "domain_kind"] = value
    return found


def _shown(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name in _LIMITS and not value:
        return "unlimited"
    if name in _SIZES:
        return write_size(value)
    if name == "quota_grace":
        return write_seconds(float(value))
    if name in _TIMES:
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(value))
    if isinstance(value, tuple):
        return "\n".join(map(str, value))
    return str(value)


def show(entry: Entry, as_json: bool, also: dict[str, Any] | None = None) -> None:
    """Print one entry, and what is known of it beside the directory."""
    found = facts(entry) | (also or {})
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    width = max(map(len, found))
    for name, value in found.items():
        lines = _shown(name, value).split("\n")
        click.echo(f"{name:<{width}}  " + f"\n{'':<{width}}  ".join(lines))


def table(titles: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    """Print rows for a person, sorted by the first column."""
    made = Table(box=None, pad_edge=False)
    for title in titles:
        made.add_column(title, overflow="fold")
    for row in sorted(rows, key=lambda row: str(row[0])):
        made.add_row(*(str(cell) for cell in row))
    is_terminal = sys.stdout.isatty()
    Console(width=None if is_terminal else 200, no_color=not is_terminal, highlight=False).print(made)


def show_all(
    entries: Iterable[Entry], titles: tuple[str, ...], row: Callable[[Any], tuple[object, ...]], as_json: bool
) -> None:
    """Print many entries: a table, or one JSON array."""
    if as_json:
        found = sorted(
            (facts(entry) for entry in entries), key=lambda fact: str(fact.get("name") or fact.get("addresses"))
        )
        click.echo(msgspec.json.encode(found).decode())
    else:
        table(titles, (row(entry) for entry in entries))


def in_domain(entry: Recipient, domain: str) -> bool:
    """True when the entry has an address there, or no domain is asked for."""
    return not domain or any(address.rpartition("@")[2] == domain for address in entry.addresses)


# -- changing ------------------------------------------------------------------------------------------------


def changes(arguments: Iterable[str]) -> list[dict[str, Any]]:
    """FIELD=VALUE sets, FIELD+=VALUE adds, FIELD-=VALUE removes; the same again gives several values."""
    found: dict[tuple[str, str], list[str]] = {}
    for argument in arguments:
        match = _CHANGE.match(argument)
        if match is None:
            raise click.UsageError(f"{argument!r} is not FIELD=VALUE, FIELD+=VALUE or FIELD-=VALUE")
        values = found.setdefault((match[1], _OPERATIONS[match[2]]), [])
        if match[3]:
            values.append(match[3])
    return [{"field": field, "operation": operation, "values": values} for (field, operation), values in found.items()]


def read_password(prompt: str, *, confirm: bool = False) -> str:
    """A password from the terminal, else the next line of standard input."""
    if sys.stdin.isatty():
        return str(click.prompt(prompt, hide_input=True, confirmation_prompt=confirm))
    line = sys.stdin.readline()
    if not line.strip("\r\n"):
        raise click.UsageError(f"{prompt}: expected on a line of standard input")
    return line.rstrip("\r\n")


def ask(settings: Settings, verb: str, as_login: str = "", **arguments: Any) -> Any:
    """Have the running service do it. Raises ControlError."""
    claim = Claim(as_login, read_password(f"Password of {as_login}")) if as_login else None
    return call(Path(settings.run_dir) / "control.sock", verb, claim, **arguments)


def done(result: dict[str, Any], what: str, as_json: bool) -> None:
    """Say what was done."""
    if as_json:
        click.echo(msgspec.json.encode(result).decode())
    elif not result["number"]:
        click.echo(f"{what}: nothing to change")
    else:
        click.echo(f"{what}: done (change {result['number']})")


def sure(question: str, yes: bool) -> None:
    """Ask before something is lost; without a terminal `--yes` is needed."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Say --yes.")
    click.confirm(question, abort=True)


def account_named(view: View, text: str) -> Account:
    """The account of that login or address. Raises Answer."""
    found = [entry for entry in named(view, text.strip()) if isinstance(entry, Account)]
    if not found:
        raise Answer(f"no account {text!r}", NO)
    if len(found) > 1:
        raise Answer(f"{len(found)} accounts have the login {text!r}: {'; '.join(entry.dn for entry in found)}", NO)
    return found[0]
