"""gatepost undelete: expunged messages that are kept come back."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from gateway.cli.opened_stores import holder_of, opened
from gateway.cli.options import configuration_file, for_machines, in_seconds
from gateway.cli.problems import NO

if TYPE_CHECKING:
    from gateway.store.keeping import Kept


def _facts(message: Kept, *, subjects: bool) -> dict[str, Any]:
    facts = {"id": message.id, "mailbox": message.mailbox, "expunged_at": message.expunged_at, "octets": message.size}
    if subjects:
        from gateway.service.expunged_verbs import headline

        return {**facts, "subject": headline(message.path)[0]}
    return facts


@click.command(name="undelete")
@configuration_file
@click.argument("account")
@click.argument("messages", nargs=-1)
@click.option("--all", "is_all", is_flag=True, help="every message that --mailbox and --since leave")
@click.option("--mailbox", default="", help="only what was expunged from this mailbox")
@click.option("--since", callback=in_seconds, help="only what was expunged so long ago or later: 90m, 12h, 7d")
@click.option("--into", default="", help="the mailbox to put them into; else the one that each was in")
@click.option("--subjects", is_flag=True, help="show subjects too")
@for_machines
def command(
    path: Path,
    account: str,
    messages: tuple[str, ...],
    is_all: bool,
    mailbox: str,
    since: float | None,
    into: str,
    subjects: bool,
    as_json: bool,
) -> None:
    """Put expunged messages of ACCOUNT (an address, login, or entry's id) back: MESSAGES, or --all.

    Without either shows what can come back: what was expunged within store.keep_expunged.
    """
    from directory.model import Refused
    from gateway.store.errors import InvalidMailboxName

    earliest = 0.0 if since is None else time.time() - since
    failed = 0
    shown: list[dict[str, Any]] = []
    with opened(path) as host:
        holder = holder_of(host, account)
        if host.stores.repository.account(holder.id) is None:
            click.echo(f"gatepost: {account} has no store", err=True)
            raise SystemExit(NO)
        found = [
            message
            for message in host.stores.expunged_messages(holder)
            if message.expunged_at >= earliest and mailbox in ("", message.mailbox)
        ]
        if not (messages or is_all):
            shown = [_facts(message, subjects=subjects) for message in found]
        else:
            known = {message.id: message for message in found}
            for unknown in (name for name in messages if name not in known):
                click.echo(f"gatepost: no message {unknown} is kept", err=True)
                failed += 1
            wanted = found[::-1] if is_all else [known[name] for name in messages if name in known]
            for message in wanted:
                try:
                    done = host.stores.undelete(holder, message, into)
                except (Refused, InvalidMailboxName) as error:
                    why = error.text if isinstance(error, Refused) else error
                    click.echo(f"gatepost: {message.id}: {why}", err=True)
                    failed += 1
                    continue
                if done is not None:
                    shown.append(_facts(message, subjects=subjects) | {"into": done[0], "uid": done[1].uid})
    if as_json:
        click.echo(msgspec.json.encode(shown))
    for facts in shown if not as_json else ():
        moment = datetime.fromtimestamp(facts["expunged_at"]).strftime("%Y-%m-%d %H:%M:%S")
        to = f"  -> {facts['into']}, UID {facts['uid']}" if "into" in facts else ""
        subject = f"  {facts['subject']}" if facts.get("subject") else ""
        click.echo(f"{facts['id']}  {moment}  {facts['mailbox']}  {facts['octets']} octets{subject}{to}")
    if failed:
        raise SystemExit(NO)
