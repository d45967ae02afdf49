"""gatepost migrate: leave another mail system without losing what it has taken."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click
import msgspec

from gateway.cli.migrate_drain import run_queues, stop
from gateway.cli.migrate_found import Found, look
from gateway.cli.migrate_imap import imap
from gateway.cli.options import for_machines, in_seconds
from gateway.cli.problems import NO, NOT_ALLOWED, TEMPORARY
from gateway.cli.setup import own_program
from gateway.cli.setup_links import drop_set_id, links

DRAINING = """\
postconf -e master_service_disable=inet && postfix reload   (takes nothing new, goes on delivering)"""


@click.group(name="migrate")
def command() -> None:
    """Leave another mail system without losing what it has taken."""


command.add_command(imap)


def _plan(found: Found) -> Iterator[tuple[bool, str, list[str]]]:
    """Every step: whether it is done, what is the matter, and the orders that do it."""
    orders = []
    for daemon in found.daemons:
        orders += [f"{daemon.kind} runs: {daemon.pid} ({daemon.command})"]
        if daemon.kind == "sendmail":
            orders += [
                f"kill -STOP {daemon.pid}; wait until it has no children; kill -TERM {daemon.pid}; kill -CONT {daemon.pid}"
            ]
        else:
            orders += [DRAINING, "postfix stop   (once the queue is empty)"]
    yield not found.daemons, "no old daemon runs", orders
    yield not found.boot, "none starts at boot", list(found.boot)
    orders = [f"{queue.path}: {queue.waiting} messages" for queue in found.queues if queue.waiting]
    if orders:
        orders.append("gatepost migrate sendmail --drain --run   (may take days: hosts that do not answer)")
    yield not found.waiting, "the old queue is empty", orders
    for queue in found.queues:
        if queue.stuck:
            yield False, f"{queue.stuck} messages in {queue.path} do not leave by themselves", ["look at them by hand"]
    yield not found.set_id, "no old program is set-uid or set-gid", [f"chmod ug-s {path}" for path in found.set_id]
    yield not found.links, "sendmail, mailq and newaliases are gatepost", [*found.links]


def _tell(found: Found, as_json: bool) -> None:
    if as_json:
        facts = asdict(found) | {"waiting": found.waiting, "drained": found.is_drained, "gone": found.is_gone}
        click.echo(msgspec.json.encode(facts).decode())
        return
    for number, (is_done, text, orders) in enumerate(_plan(found), 1):
        click.echo(f"{number}. {'done  ' if is_done else 'TO DO '} {text}")
        for order in () if is_done else orders:
            click.echo(f"          {order}")


@command.command(name="sendmail")
@click.option("--drain", is_flag=True, help="the old daemon and its queue only: exit code 0 once both are gone")
@click.option("--retire", is_flag=True, help="the old programs only: set-uid bits, names; needs an empty queue")
@click.option("--run", "do_it", is_flag=True, help="do it; without it nothing is changed")
@click.option("--wait", default="1h", show_default=True, callback=in_seconds, help="how long --drain runs the queue")
@click.option("--every", default="5m", show_default=True, callback=in_seconds, help="pause between two runs of it")
@click.option("--root", type=click.Path(path_type=Path, file_okay=False, exists=True), default=Path("/"),
              show_default=True, help="stands before every path")  # fmt: skip
@click.option("--program", type=click.Path(path_type=Path), help="the gatepost command that takes the names over")
@for_machines
def sendmail(
    drain: bool, retire: bool, do_it: bool, wait: float, every: float, root: Path, program: Path | None, as_json: bool
) -> None:
    """Show what is left of Sendmail (or Postfix) and in which order it goes; exit code 1 while something is.

    --drain --run stops Sendmail's daemon between two deliveries and runs the old queue until it is empty (exit code 4:
    not yet, call it again); --retire --run takes the names over, and set-uid bits away. Nothing else changes anything.
    """
    if drain and retire:
        raise click.UsageError("first --drain, and when nothing waits any more --retire")
    if do_it and not (drain or retire):
        raise click.UsageError("--run needs --drain or --retire: what shall be done?")
    if do_it and os.getuid() != 0:
        click.echo("gatepost: migrate sendmail --run must be run as root", err=True)
        raise SystemExit(NOT_ALLOWED)
    program = program or own_program()
    if do_it and drain:
        _drain(root, program, wait, every)
    if do_it and retire:
        _retire(root, program)
    found = look(root, program)
    _tell(found, as_json)
    done = found.is_drained if drain else found.is_gone
    if not done:
        raise SystemExit(TEMPORARY if do_it and drain else NO)


def _say(text: str) -> None:
    click.echo(text, err=True)


def _drain(root: Path, program: Path, wait: float, every: float) -> None:
    found = look(root, program)
    for daemon in found.daemons:
        if daemon.kind == "sendmail" and not stop(daemon, _say):
            raise SystemExit(TEMPORARY)
        if daemon.kind == "postfix":
            _say(f"Postfix delivers its queue itself and is not stopped here; it takes nothing new after: {DRAINING}")
    try:
        run_queues(root, found.binary, _say, wait, every)
    except KeyboardInterrupt:
        _say("interrupted: the same command goes on where this one stopped")


def _retire(root: Path, program: Path) -> None:
    found = look(root, program)
    if not found.is_drained:
        _tell(found, as_json=False)
        _say("gatepost: the old queue is not empty, or its daemon runs: first gatepost migrate sendmail --drain --run")
        raise SystemExit(NO)
    for step in links(root, program):
        _say(step.text)
        step.act()
    for path in look(root, program).set_id:
        _say(f"chmod ug-s {path}")
        drop_set_id(Path(path))
