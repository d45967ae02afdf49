"""gatepost user brake: accounts that may not send, stopped by the brake or by an operator."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from directory.login_rules import named
from directory.model import Deferred
from directory.view import View
from gateway.cli.entries import Answer, table
from gateway.cli.options import configuration_file, for_machines, tell
from gateway.cli.problems import NO
from gateway.cli.runs_as import mail_user_only
from gateway.config.load import load
from gateway.config.settings import Settings
from gateway.control.client import call
from gateway.queue.brakes import BRAKES, events, stopped
from gateway.service.brake_desk import names
from gateway.service.local_copy import local_copy
from gateway.service.mail_control import MAIL_SOCKET

MAX_EVENTS = 10_000


@click.group(name="brake")
def brake() -> None:
    """Accounts that may not send; receiving and reading mail is untouched."""


def _moment(at: Any) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(float(at)))


def named_rows(settings: Settings, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With `name` and `login` of each account, as far as the directory still has it."""
    try:
        with local_copy(settings) as view:
            return [row | _names(view, str(row["account"])) for row in rows]
    except Deferred:
        return [row | {"name": row["account"], "login": row["account"]} for row in rows]


def _names(view: View, account: str) -> dict[str, str]:
    name, login = names(view.by_id(account), account)
    return {"name": name, "login": login}


def _account(settings: Settings, login: str) -> str:
    """The entry id of an account or service account; an id itself is one of an entry that is gone. Raises Answer."""
    with local_copy(settings) as view:
        found = named(view, login.strip())
    if len(found) > 1:
        raise Answer(f"{len(found)} accounts have the login {login!r}: {'; '.join(entry.dn for entry in found)}", NO)
    if found:
        return found[0].id
    if login in {one.account for one in stopped(Path(settings.state_dir) / BRAKES)}:
        return login
    raise Answer(f"no account {login!r}", NO)


@brake.command(name="list")
@configuration_file
@click.option("--log", "past", is_flag=True, help="who stopped and released whom, the latest first")
@click.option("--limit", type=click.IntRange(1, MAX_EVENTS), default=100, show_default=True, help="rows of --log")
@for_machines
def list_all(path: Path, past: bool, limit: int, as_json: bool) -> None:
    """Who may not send: since when, what was seen, who stopped it."""
    settings = load(path)
    mail_user_only(settings, "look at the brake")
    file = Path(settings.state_dir) / BRAKES
    rows: list[dict[str, Any]] = (
        events(file, limit) if past else [{name: getattr(one, name) for name in one.__slots__} for one in stopped(file)]
    )
    found = named_rows(settings, rows)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    elif not found:
        click.echo("nothing was stopped yet" if past else "nobody is stopped")
    elif past:
        for row in found:
            click.echo(f"{_moment(row['at'])}  {row['what']:<7}  {row['name']}  by {row['by']}: {row['seen']}")
    else:
        table(
            ("login", "account", "since", "by", "seen"),
            ((row["login"], row["name"], _moment(row["at"]), row["by"], row["seen"]) for row in found),
        )


@brake.command(name="stop")
@configuration_file
@click.argument("login")
@for_machines
def stop(path: Path, login: str, as_json: bool) -> None:
    """LOGIN sends nothing more; its mail that waits for other hosts is put on hold."""
    settings = load(path)
    done = _ask(settings, "brake-stop", account=_account(settings, login))
    text = f"{login}: {'stopped' if done['is_new'] else 'was stopped already'}, {_messages(done['held'])} put on hold"
    tell(done, text, as_json)


@brake.command(name="release")
@configuration_file
@click.argument("login")
@click.option("--send", "mail", flag_value="send", help="mail on hold goes now")
@click.option("--drop", "mail", flag_value="drop", help="mail on hold is thrown away, nobody is told")
@click.option("--usual", "is_usual", is_flag=True, help="so much is usual for this account: it is no sign any more")
@for_machines
def release(path: Path, login: str, mail: str | None, is_usual: bool, as_json: bool) -> None:
    """Let LOGIN send again; without --send or --drop its mail on hold stays there (gatepost queue list)."""
    settings = load(path)
    account = _account(settings, login)
    done = _ask(settings, "brake-release", account=account, mail=mail or "keep", is_usual=is_usual)
    words = {"keep": "still on hold: gatepost queue release ID, or drop", "send": "sent now", "drop": "thrown away"}
    became = f"; {_messages(done['messages'])} {words[done['mail']]}" if done["messages"] else ""
    tell(done, f"{login}: may send again{became}", as_json)


def _messages(number: int) -> str:
    return f"{number} message{'' if number == 1 else 's'}"


def _ask(settings: Settings, verb: str, **arguments: Any) -> Mapping[str, Any]:
    answer: Mapping[str, Any] = call(Path(settings.run_dir) / MAIL_SOCKET, verb, **arguments)
    return answer
