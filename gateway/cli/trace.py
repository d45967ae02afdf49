"""gatepost trace: what happened to a message."""

from __future__ import annotations

import os
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from gateway.cli.options import configuration_file, for_machines, in_seconds
from gateway.cli.problems import NO, NOT_ALLOWED
from gateway.cli.runs_as import mail_user_only
from gateway.config.load import load

if TYPE_CHECKING:
    from gateway.files.trail_search import Story


def _told(event: dict[str, Any]) -> str:
    """An event in words."""
    name, to = event["event"], event.get("recipient", "")
    if name == "received":
        recipients = event.get("recipients") or []
        more = f" and {len(recipients) - 3} more" if len(recipients) > 3 else ""
        who = f" as {event['login']}" if event.get("login") else ""
        return f"by {event['service']} from {event['client']}{who}, for {', '.join(recipients[:3])}{more}"
    if name == "accepted":
        return "the client got 250"
    if name == "delivered":
        return f"{to}: in the store of {event['account']}, UID {event['uid']}"
    if name == "queued":
        return f"{event['targets']} target{'s' if event['targets'] != 1 else ''}"
    if name == "journalled":
        return f"a copy for {', '.join(event.get('recipients') or [])}"
    if name == "attempted":
        return f"{to}: {event['state']}{': ' + event['reply'] if event.get('reply') else ''}"
    if name in ("refused", "deferred"):
        why = f" ({event['detail']})" if event.get("detail") else ""
        return f"{to}: {event['reply']}{why}"
    if name in ("reported", "double-bounce"):
        return f"{', '.join(event.get('actions') or [])}: told {to}"
    if name == "not-reported":
        return f"{to}: nobody is told, {event['reason']}"
    if name == "vacation":
        return f"{to}: {event['outcome']}"
    rest = (f"{key}={value}" for key, value in event.items() if key not in ("at", "event", "id", "parent"))
    return " ".join(rest)


def _show(story: Story, *, subjects: bool) -> None:
    first = story.events[0]
    head = [story.id or "(taken from nobody)", f"from {first['return_path']}" if "return_path" in first else ""]
    head.append(f"Message-ID {first['message_id']}" if "message_id" in first else "")
    head.append(f"{first['size']} octets" if "size" in first else "")
    click.echo("  ".join(part for part in head if part))
    if subjects and "subject" in first:
        click.echo(f"  Subject: {first['subject']}")
    for event in story.events:
        moment = datetime.fromtimestamp(event["at"]).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        other = f"[{event['id']}] " if event.get("id", story.id) != story.id else ""
        click.echo(f"  {moment}  {event['event']:<10} {other}{_told(event)}")


@click.command(name="trace")
@click.argument("query")
@configuration_file
@click.option("--since", default="7d", show_default=True, callback=in_seconds, help="how far back: 90m, 12h, 7d")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="newest messages shown")
@click.option("--subjects", is_flag=True, help="show subjects too; root only")
@for_machines
def command(query: str, path: Path, since: float, limit: int, subjects: bool, as_json: bool) -> None:
    """Everything that happened to the messages that QUERY names.

    QUERY is a sender, a recipient, a part of one such as @example.com, a Message-ID, or the id that the client
    got with its 250. Exit code 1: there is none.
    """
    from gateway.files.trail_search import search
    from gateway.service.trail import trail_folder

    settings = load(path)
    if subjects and os.getuid() != 0:
        click.echo("gatepost: only root may see this", err=True)
        raise SystemExit(NOT_ALLOWED)
    mail_user_only(settings, "see this")
    now = time.time()
    stories = search(trail_folder(settings), query.strip("<>"), since=max(now - since, 0.0), until=now, limit=limit)
    if not subjects:
        for story in stories:
            for event in story.events:
                event.pop("subject", None)
    if as_json:
        click.echo(msgspec.json.encode([{"id": s.id, "events": s.events} for s in stories]).decode())
    else:
        for number, story in enumerate(stories):
            if number:
                click.echo()
            _show(story, subjects=subjects)
    if not stories:
        if not as_json:
            click.echo(
                f"nothing about {query} in the last {since / 3600:g} hours (trace.keep and --since say how far back)"
            )
        raise SystemExit(NO)
