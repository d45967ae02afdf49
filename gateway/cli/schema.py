"""gatepost schema: print or write the LDAP schema that is generated from the model."""

from __future__ import annotations

from pathlib import Path

import click

from directory import schema as generated


@click.group(name="schema")
def command() -> None:
    """The LDAP schema for OpenLDAP, 389 DS and Active Directory."""


@command.command()
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("schema"),
    show_default=True,
    help="folder to write to",
)
def write(folder: Path) -> None:
    """Write the schema files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in generated.texts().items():
        (folder / name).write_text(text, encoding="utf-8")
        click.echo(folder / name)
