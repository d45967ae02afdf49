"""Options that several verbs have."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

CONFIGURATION_FILE = Path("/etc/gatepost/gatepost.yaml")

#: `--config FILE`, given to the verb as `path`
configuration_file = click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path, readable=False),  # the verb says what it needs it for
    default=CONFIGURATION_FILE,
    show_default=True,
    help="configuration file",
)

#: `--json`, given to the verb as `as_json`
for_machines = click.option("--json", "as_json", is_flag=True, help="for machines")


def tell(facts: object, text: str, as_json: bool) -> None:
    """The result of a verb, for machines or for people."""
    click.echo(msgspec.json.encode(facts).decode() if as_json else text)
