"""gatepost import: the accounts, addresses and rules of other mail systems as LDIF, with an account of every line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.cli.options import for_machines
from gateway.cli.problems import NO
from gateway.imports.result import Result

Command = Callable[..., Any]
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(name="import")
def command() -> None:
    """Other mail systems' accounts, addresses and rules as LDIF; nothing is changed here or in the directory."""


def _shared(run: Command) -> Command:
    """Options that every system has."""
    for option in (
        for_machines,
        click.option("--configuration", "yaml_file", type=click.Path(path_type=Path), help="write what belongs into the configuration to this file"),
        click.option("--output", "ldif_file", type=click.Path(path_type=Path), help="write the LDIF to this file"),
        click.option("--explain", is_flag=True, help="print what every line became, instead of the LDIF"),
        click.option("--base", required=True, help="DN below which the entries are made"),
    ):  # fmt: skip
        run = option(run)
    return run


def _print(result: Result, explain: bool, ldif_file: Path | None, yaml_file: Path | None, as_json: bool) -> None:
    if ldif_file is not None:
        ldif_file.write_text(result.ldif(), encoding="utf-8")
        ldif_file.chmod(0o600)  # it may hold password hashes
    if yaml_file is not None:
        yaml_file.write_text(result.yaml(), encoding="utf-8")
    if as_json:
        click.echo(msgspec.json.encode({"lines": [asdict(line) for line in result.lines], "ldif": result.ldif(),
                                        "configuration": result.configuration}).decode())  # fmt: skip
        return
    if explain:
        click.echo(result.explanation(), nl=False)
        if result.configuration:
            click.echo(
                "\nfor the configuration:\n" + "".join(f"  {line}\n" for line in result.yaml().splitlines()), nl=False
            )
    elif ldif_file is None:
        click.echo(result.ldif(), nl=False)
    lost = sum(not line.kept for line in result.lines)
    if lost and not explain:
        click.echo(f"{lost} lines could not be kept: --explain tells which and why", err=True)


def _made(make: Callable[[], Result]) -> Result:
    try:
        return make()
    except ValueError as error:
        click.echo(f"gatepost: {error}", err=True)
        raise SystemExit(NO) from None


@command.command(name="qmail")
@_shared
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option(
    "--root", type=FOLDER, default=Path("/"), show_default=True, help="stands before the homes that are named"
)
@click.option("--passwd", type=FILE, help="users of the host, as in /etc/passwd; a copy")
def qmail(
    folder: Path, root: Path, passwd: Path | None, base: str, explain: bool, ldif_file: Path | None,
    yaml_file: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Read DIR/control, DIR/users/assign, DIR/alias/.qmail-* (/var/qmail or a copy) and the users' .qmail files."""
    from gateway.imports.qmail import QmailImport

    _print(_made(QmailImport(folder, base, root, passwd).run), explain, ldif_file, yaml_file, as_json)


@command.command(name="vmailmgr")
@_shared
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option("--domain", required=True, help="the virtual domain that lies in DIR")
@click.option("--me", default="", help="what completes forwards without a domain; the domain when not given")
def vmailmgr(
    folder: Path, domain: str, me: str, base: str, explain: bool, ldif_file: Path | None, yaml_file: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Read the password table (passwd.cdb) and automatic answers of a virtual domain of VmailMgr."""
    from gateway.imports.vmailmgr import run

    _print(_made(lambda: run(folder, base, domain.lower(), me.lower())), explain, ldif_file, yaml_file, as_json)


@command.command(name="sendmail")
@_shared
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option("--domain", required=True, help="the domain of addresses without one")
@click.option("--aliases", type=FILE, help="the aliases file, where it is not DIR/aliases")
def sendmail(
    folder: Path, domain: str, aliases: Path | None, base: str, explain: bool, ldif_file: Path | None,
    yaml_file: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Read aliases, virtusertable, mailertable, local-host-names and relay-domains (/etc/mail or a copy)."""
    from gateway.imports.sendmail import SendmailImport

    _print(_made(SendmailImport(folder, base, domain.lower(), aliases).run), explain, ldif_file, yaml_file, as_json)
