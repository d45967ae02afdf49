"""gatepost schema: print or write the LDAP schema that is generated from the model."""

from __future__ import annotations

from pathlib import Path

import click

from directory import schema as generated
from directory.reference import attributes_page


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
@click.option(
    "--docs",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("docs/reference"),
    show_default=True,
    help="folder of the reference page attributes.md, written when it exists",
)
def write(folder: Path, docs: Path) -> None:
    """Write the schema files and the reference page of the attributes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in generated.texts().items():
        (folder / name).write_text(text, encoding="utf-8")
        click.echo(folder / name)
    if docs.is_dir():
        (docs / "attributes.md").write_text(attributes_page(), encoding="utf-8")
        click.echo(docs / "attributes.md")
