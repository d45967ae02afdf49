"""gatepost demo: a whole company's mail below one folder, on loopback, with a private directory."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from gateway.cli.web import FrontEnd
from gateway.service.demo import Demo, DemoProblem

READY_SECONDS = 60.0


@click.command(name="demo")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="folder that holds everything",
)
@click.option("--port-offset", type=int, default=0, show_default=True, help="added to every default port")
@click.option("--detach", is_flag=True, help="return once it serves")
@click.option("--no-web", is_flag=True, help="without the web front end")
@click.option("--json", "as_json", is_flag=True, help="print demo.json instead of the table")
def command(folder: Path, port_offset: int, detach: bool, no_web: bool, as_json: bool) -> None:
    """Start the demo; a second start prints the table or starts with what is there."""
    demo = Demo(folder.resolve(), port_offset, None if no_web else FrontEnd())
    if demo.is_live():
        click.echo(demo.json_text() if as_json else demo.table())
        return
    try:
        demo.prepare()
    except DemoProblem as problem:
        click.echo(problem, err=True)
        raise SystemExit(problem.exit_code) from None
    if not detach:
        raise SystemExit(_serve(demo, as_json))
    child = os.fork()
    if child == 0:
        os.setsid()
        log = os.open(demo.folder / "demo.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        os._exit(_serve(demo, as_json))
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if demo.is_live():
            click.echo(f"ready {demo.json_path}")
            click.echo(demo.json_text() if as_json else demo.table())
            return
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            tail = (demo.folder / "demo.log").read_text(errors="replace").splitlines()[-3:]
            click.echo("\n".join(tail), err=True)
            raise SystemExit(os.waitstatus_to_exitcode(status))
        time.sleep(0.02)
    raise SystemExit(4)


def _serve(demo: Demo, as_json: bool) -> int:
    def ready() -> None:
        click.echo(f"ready {demo.json_path}")
        click.echo(demo.json_text() if as_json else demo.table())

    try:
        return demo.serve(ready)
    except DemoProblem as problem:
        click.echo(problem, err=True)
        return problem.exit_code
