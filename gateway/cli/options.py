"""Options that several verbs have."""

from __future__ import annotations

from pathlib import Path

import click

CONFIGURATION_FILE = Path("/etc/gatepost/gatepost.yaml")

#: `--config FILE`, given to the verb as `path`
configuration_file = click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default=CONFIGURATION_FILE,
    show_default=True,
    help="configuration file",
)

#: `--json`, given to the verb as `as_json`
for_machines = click.option("--json", "as_json", is_flag=True, help="for machines")
