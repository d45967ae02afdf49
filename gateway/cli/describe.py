"""gatepost describe: the reference of the configuration."""

from __future__ import annotations

import click
import msgspec

from gateway.cli.reference import commands
from gateway.config.describe import Option, as_yaml, flat, reference, select


@click.command(name="describe")
@click.argument("path", default="")
@click.option("--markdown", is_flag=True, help="the page docs/reference/configuration.md")
@click.option("--commands", "verbs", is_flag=True, help="the page docs/reference/commands.md")
@click.option("--json", "as_json", is_flag=True, help="for machines")
def command(path: str, markdown: bool, verbs: bool, as_json: bool) -> None:
    """Print every option with what it means, what is allowed and its default; PATH shows a part, as in smtp.max_hops."""
    if markdown:
        click.echo(reference(), nl=False)
        return
    if verbs:
        from gateway.cli import group

        click.echo(commands(group), nl=False)
        return
    try:
        found = select(path)
    except KeyError:
        raise click.UsageError(f"there is no option {path!r}") from None
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode([_data(option) for option in flat(found)]), indent=1))
        return
    click.echo("\n".join(as_yaml(found)).strip())


def _data(option: Option) -> dict[str, object]:
    return {
        "path": option.path,
        "allowed": option.allowed,
        "default": option.default if not option.options else None,
        "required": option.required,
        "meaning": option.doc,
    }
