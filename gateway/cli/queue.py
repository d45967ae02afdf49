"""gatepost queue: accepted mail that is not delivered yet."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.cli.entries import sure, table
from gateway.cli.options import configuration_file, for_machines, tell
from gateway.cli.own_queue import ask_as_owner, claim_of, is_operator
from gateway.cli.problems import NO
from gateway.cli.queue_tls import tls
from gateway.cli.runs_as import mail_user_only
from gateway.config.load import load
from gateway.config.settings import Settings
from gateway.control.client import call
from gateway.queue.file import MESSAGES, Damaged, read_envelope
from gateway.queue.shown import for_operator
from gateway.queue.state import TargetRow, rows_of
from gateway.service.mail_control import MAIL_SOCKET
from gateway.service.owner_verbs import MAX_LISTED

#: `--login LOGIN`, of what people do with their own mail
of_login = click.option(
    "--login",
    default="",
    metavar="LOGIN",
    help="only what this person submitted; the password is asked for, or is a line of standard input",
)


@click.group(name="queue")
def command() -> None:
    """Accepted mail that is not delivered yet; users of the host see and drop what they handed in."""


def _ask(path: Path, verb: str, **arguments: Any) -> Any:
    return call(Path(load(path).run_dir) / MAIL_SOCKET, verb, **arguments)


def _settings(path: Path) -> Settings:
    """The configuration, for one who may read the queue's files."""
    settings = load(path)
    mail_user_only(settings, "read the queue")
    return settings


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def _age(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f}{unit}"
    return f"{max(seconds, 0):.0f}s"


def _facts(file: Path, rows: list[TargetRow]) -> dict[str, Any]:
    """A message for machines. Raises Damaged, OSError."""
    return for_operator(read_envelope(file), rows) | {"id": file.name}


@command.command(name="list")
@configuration_file
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="oldest messages shown")
@of_login
@for_machines
def list_messages(path: Path, limit: int, login: str, as_json: bool) -> None:
    """What waits, the oldest first, with the last answer of each message."""
    if login or not is_operator(path):
        found = ask_as_owner(path, "own-queue-list", claim_of(login), limit=min(limit, MAX_LISTED))
        if as_json:
            click.echo(msgspec.json.encode(found).decode())
        elif found:
            _show_list(found)
        else:
            click.echo("nothing of yours waits")
        return
    settings = _settings(path)
    state = Path(settings.state_dir)
    folder = state / "queue" / MESSAGES
    names = sorted(os.listdir(folder)) if folder.exists() else []
    rows, damaged = rows_of(state / "queue.db"), []
    found = []
    for name in names[:limit]:
        try:
            found.append(_facts(folder / name, rows.get(name, [])))
        except FileNotFoundError:
            continue  # delivered a moment ago
        except Damaged as error:
            damaged.append(str(error))
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        _show_list(found)
        if len(names) > limit:
            click.echo(f"... and {len(names) - limit} more (--limit)")
        elif not names:
            click.echo("the queue is empty")
    for problem in damaged:
        click.echo(f"warning: {problem}", err=True)


def _show_list(found: list[dict[str, Any]]) -> None:
    now, lines = time.time(), []
    for facts in found:
        open_targets = [each for each in facts["targets"] if each["state"] != "done"]
        states = sorted({each["state"] for each in open_targets})
        due = min((each["due"] for each in open_targets if each["state"] == "waiting"), default=0.0)
        reply = next((each["reply"] for each in open_targets if each["reply"]), "")
        to = open_targets[0]["address"] if open_targets else ""
        others = facts.get("recipients", len(open_targets)) - 1
        more = f" +{others}" if others > 0 else ""
        lines.append(
            (facts["id"], _age(now - facts["arrival"]), facts["size"], facts["return_path"] or "<>", f"{to}{more}",
             " ".join(states), f"in {_age(due - now)}" if due else "-", reply[:60])
        )  # fmt: skip
    if lines:
        table(("id", "age", "size", "from", "to", "state", "next", "last answer"), lines)


@command.command(name="show")
@configuration_file
@click.argument("message", metavar="ID")
@for_machines
def show(path: Path, message: str, as_json: bool) -> None:
    """The envelope of the message ID and the state of each of its targets."""
    state = Path(_settings(path).state_dir)
    try:
        facts = _facts(
            state / "queue" / MESSAGES / Path(message).name, rows_of(state / "queue.db", message).get(message, [])
        )
    except (FileNotFoundError, IsADirectoryError):
        click.echo(f"gatepost: no message {message} in the queue", err=True)
        raise SystemExit(NO) from None
    except Damaged as error:
        click.echo(f"gatepost: {error}", err=True)
        raise SystemExit(NO) from None
    if as_json:
        click.echo(msgspec.json.encode(facts).decode())
        return
    click.echo(f"{message}  from {facts['return_path'] or '<>'}  {facts['size']} octets  {_moment(facts['arrival'])}")
    if facts["not_before"]:
        click.echo(f"  not before {_moment(facts['not_before'])}")
    for each in facts["targets"]:
        due = f", next {_moment(each['due'])}" if each["state"] == "waiting" else ""
        click.echo(f"  {each['address']}: {each['state']}, {each['attempts']} attempts{due}")
        if each["reply"]:
            click.echo(f"    {each['reply']}")


def _change(path: Path, what: str, messages: tuple[str, ...], as_json: bool) -> None:
    done = [_ask(path, "queue-change", what=what, message=message) for message in messages]
    word = {"hold": "held", "release": "released", "retry": "tried now"}[what]
    lines = (f"{each['message'] or 'all messages'}: {each['targets']} targets {word}" for each in done)
    tell(done, "\n".join(lines), as_json)


@command.command(name="hold")
@configuration_file
@click.argument("messages", metavar="ID...", nargs=-1, required=True)
@for_machines
def hold(path: Path, messages: tuple[str, ...], as_json: bool) -> None:
    """Do not try these messages until they are released; they are not given up meanwhile."""
    _change(path, "hold", messages, as_json)


@command.command(name="release")
@configuration_file
@click.argument("messages", metavar="[ID...]", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="everything that is held")
@for_machines
def release(path: Path, messages: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Try messages again that were held."""
    load(path)  # what is wrong with the configuration is told first
    if bool(messages) == everything:
        raise click.UsageError("one of ID... and --all is needed")
    _change(path, "release", messages or ("",), as_json)


@command.command(name="retry")
@configuration_file
@click.argument("messages", metavar="ID...", nargs=-1, required=True)
@for_machines
def retry(path: Path, messages: tuple[str, ...], as_json: bool) -> None:
    """Try these messages now."""
    _change(path, "retry", messages, as_json)


@command.command(name="flush")
@configuration_file
@for_machines
def flush(path: Path, as_json: bool) -> None:
    """Try everything now, hosts that did not answer lately too."""
    _change(path, "retry", ("",), as_json)


@command.command(name="drop")
@configuration_file
@click.argument("messages", metavar="ID...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="do not ask")
@of_login
@for_machines
def drop(path: Path, messages: tuple[str, ...], yes: bool, login: str, as_json: bool) -> None:
    """Throw these messages away; nobody is told. Exit code 1: too late, or no such message."""
    is_own = bool(login) or not is_operator(path)
    sure(f"Throw {len(messages)} message{'s' if len(messages) != 1 else ''} away for good?", yes)
    if is_own:
        claim = claim_of(login)
        done = [ask_as_owner(path, "own-queue-drop", claim, message=message) for message in messages]
    else:
        done = [_ask(path, "queue-drop", message=message) for message in messages]
    tell(done, "\n".join(_dropped(each) for each in done), as_json)


def _dropped(facts: dict[str, Any]) -> str:
    late = facts.get("delivered", 0)
    text = f"{facts['message']}: dropped, {facts['targets']} targets"
    return f"{text}; {late} {'has' if late == 1 else 'have'} it already" if late else text


@command.command(name="explain")
@configuration_file
@click.argument("message", metavar="ID")
@for_machines
def explain(path: Path, message: str, as_json: bool) -> None:
    """Why the message ID is still here: last answers, when it is tried next, and where it would go now."""
    found = _ask(path, "queue-explain", message=message)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    click.echo(f"{message} from {found['return_path'] or '<>'}")
    if found["is_tried_now"]:
        click.echo("  is being tried at this moment")
    for each in found["targets"]:
        click.echo(f"  {each['address']}: {each['state']}, tried {each['attempts']} times")
        if each["reply"]:
            click.echo(f"    last answer: {each['reply']}")
        if each["state"] == "waiting":
            click.echo(f"    tried next {_moment(each['due'])}, given up {_moment(found['given_up'])}")
        if each["owed"]:
            click.echo(f"    a report is owed to the sender: {each['owed']}")
        if each["state"] not in ("done", "failed"):
            for line in each["steps"]:
                click.echo(f"    now: {line}")


command.add_command(tls)
