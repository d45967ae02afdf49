"""gatepost check: is the configuration right, and does it fit this host?"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.cli.options import configuration_file, for_machines
from gateway.cli.problems import CONFIGURATION
from gateway.config.load import ConfigurationError, load, load_with_places
from gateway.config.reading import Problem
from gateway.config.settings import Settings

OLD_SECONDS = 60.0


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Every single value by its path."""
    if isinstance(value, dict) and value:
        return {k: v for key, each in value.items() for k, v in flat(each, f"{path}.{key}" if path else key).items()}
    return {path: value}


def values(settings: Settings) -> dict[str, Any]:
    """Every value of a configuration by its path, as JSON has it."""
    return flat(msgspec.json.decode(msgspec.json.encode(settings)))


def values_of(old: Path, path: Path) -> dict[str, Any]:
    """The values in another configuration file, or those that another installation reads from `path`."""
    if not old.is_dir() and not _is_program(old):
        return values(load(old))
    program = old / "bin" / "gatepost" if old.is_dir() else old
    try:
        done = subprocess.run(
            [str(program), "check", "--values", "--json", "--config", str(path)],
            capture_output=True,
            timeout=OLD_SECONDS,
        )
        found: dict[str, Any] = msgspec.json.decode(done.stdout)["values"]
    except (OSError, subprocess.TimeoutExpired, msgspec.DecodeError, KeyError) as error:
        raise click.UsageError(f"{program} does not tell its values: {error}") from None
    return found


def _is_program(path: Path) -> bool:
    try:
        return path.stat().st_mode & 0o111 != 0 and path.read_bytes()[:2] == b"#!"
    except OSError:
        return False


@click.command(name="check")
@configuration_file
@click.option(
    "--against",
    type=click.Path(exists=True, path_type=Path),
    help="another configuration, or the folder of another installation: show what differs",
)
@click.option("--values", "show_values", is_flag=True, help="print every value that holds")
@click.option("--no-host", is_flag=True, help="only the file, nothing on this host")
@for_machines
def command(path: Path, against: Path | None, show_values: bool, no_host: bool, as_json: bool) -> None:
    """Check the configuration and what it needs on this host; exit code 3 when it is wrong, warnings do not count."""
    problems: list[Problem] = []
    own: dict[str, Any] = {}
    try:
        settings, reader = load_with_places(path)
        own = values(settings)
        if not no_host:
            from gateway.config.host_check import host_problems

            problems = host_problems(settings, reader)
    except ConfigurationError as error:
        problems = error.problems
    wrong = any(not each.is_warning for each in problems)
    differing: dict[str, list[Any]] = {}
    if against is not None and own:
        old = values_of(against, path)
        differing = {key: [old.get(key), own.get(key)] for key in sorted(old | own) if old.get(key) != own.get(key)}
    if as_json:
        shown: dict[str, Any] = {"ok": not wrong, "problems": problems}
        if show_values:
            shown["values"] = own
        if against is not None:
            shown["differing"] = differing
        click.echo(msgspec.json.encode(shown))
    else:
        for problem in problems:
            click.echo(problem, err=True)
        for key, (before, now) in differing.items():
            click.echo(f"{key}: {_shown(before)} -> {_shown(now)}")
        if show_values:
            for key, value in own.items():
                click.echo(f"{key}: {_shown(value)}")
        if not wrong:
            click.echo(f"{path}: ok")
    if wrong:
        raise SystemExit(CONFIGURATION)


def _shown(value: Any) -> str:
    return msgspec.json.encode(value).decode()
