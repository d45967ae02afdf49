"""gatepost schema: print or write the LDAP schema that is generated from the model."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from directory import schema as generated
from directory.reference import attributes_page
from gateway.cli.options import for_machines


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
@for_machines
def write(folder: Path, docs: Path, as_json: bool) -> None:
    """Write the schema files and the reference page of the attributes."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {folder / name: text for name, text in generated.texts().items()}
    if docs.is_dir():
        pages[docs / "attributes.md"] = attributes_page()
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")
    written = [str(path) for path in pages]
    click.echo(msgspec.json.encode(written) if as_json else "\n".join(written))
