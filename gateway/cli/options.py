"""Options that several verbs have."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from directory.model.units import read_seconds

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


def in_seconds(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """The callback of an option that takes a time with a unit, as the configuration has them; None where it is absent."""
    try:
        return None if value is None else read_seconds(value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from None


def tell(facts: object, text: str, as_json: bool) -> None:
    """The result of a verb, for machines or for people."""
    click.echo(msgspec.json.encode(facts).decode() if as_json else text)
