"""The page docs/reference/commands.md, made from the verbs themselves."""

from __future__ import annotations

from collections.abc import Iterator

import click

EXIT_CODES = """\
| code | meaning |
|---|---|
| 0 | done |
| 1 | the answer is no |
| 2 | wrong usage |
| 3 | the configuration is wrong, or a port is taken |
| 4 | not now: try again |
| 5 | not allowed |
| 69, 75 | `demo` without slapd, `stop` while it still runs |
| 70 | a bug; one line tells where, `GATEPOST_TRACEBACK=1` shows more |
"""


def commands(group: click.Group) -> str:
    """The whole page."""
    lines = [
        "# Commands",
        "",
        "What `gatepost describe --commands` prints. `gatepost VERB --help` says the same at the terminal. With `--json` a",
        "verb prints one JSON value. A failure is one line on standard error and an exit code:",
        "",
        EXIT_CODES,
    ]
    found = list(_walk(group, click.Context(group, info_name="gatepost")))
    lines += ["| verb | what it does |", "|---|---|"]
    lines += [f"| `{context.command_path}` | {_first(command)} |" for command, context in found]
    for command, context in found:
        lines += ["", *_section(command, context)]
    return "\n".join(lines) + "\n"


def _walk(group: click.Group, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        below = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from _walk(command, below)
        else:
            yield command, below


def _first(command: click.Command) -> str:
    return " ".join((command.help or "").partition("\n\n")[0].split()).replace("|", "\\|")


def _section(command: click.Command, context: click.Context) -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"## {context.command_path}"
    yield ""
    yield f"    {context.command_path} {usage}"
    yield ""
    yield "\n\n".join(" ".join(part.split()) for part in (command.help or "").split("\n\n"))
    given = [parameter for parameter in command.params if not isinstance(parameter, click.Argument)]
    rows = [row for parameter in given if (row := parameter.get_help_record(context)) is not None]
    if rows:
        yield ""
        yield "| option | meaning |"
        yield "|---|---|"
        for names, text in rows:
            meaning = " ".join(text.split()).replace("|", "\\|")
            yield f"| `{names}` | {meaning} |".replace("|  |", "| |")
