"""gatepost store export and import: one store in one file."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from gateway.cli.opened_stores import holder_of, opened
from gateway.cli.options import configuration_file, for_machines, tell
from gateway.cli.problems import NO
from gateway.config.load import load

if TYPE_CHECKING:
    from gateway.store.exporting import Carried

SHOWN_SECONDS = 0.5


def _progress(total: int, what: str) -> tuple[Callable[[Carried], None], Callable[[], None]]:
    """What shows on a terminal how far it is, and what clears that line."""
    shown = 0.0

    def show(done: Carried) -> None:
        nonlocal shown
        if time.monotonic() - shown >= SHOWN_SECONDS:
            shown = time.monotonic()
            of = f" of {total}" if total else ""
            click.echo(f"\r{what}: {done.messages}{of} messages, {done.octets >> 20} MiB\033[K", err=True, nl=False)

    def clear() -> None:
        if shown:
            click.echo("\r\033[K", err=True, nl=False)

    if not sys.stderr.isatty():
        return lambda _: None, lambda: None
    return show, clear


def _created(file: Path, overwrite: bool) -> IO[bytes]:
    """The file, for nobody but its owner. Ends the verb where it is there already."""
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_TRUNC if overwrite else os.O_EXCL)
        return os.fdopen(os.open(file, flags, 0o600), "wb")
    except FileExistsError:
        click.echo(f"gatepost: {file} is there already; --overwrite writes it anew", err=True)
        raise SystemExit(NO) from None


@click.command(name="export")
@configuration_file
@click.argument("account")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--overwrite", is_flag=True, help="write FILE anew where it is there already")
@for_machines
def export(path: Path, account: str, file: Path, overwrite: bool, as_json: bool) -> None:
    """Write the store of ACCOUNT (an address, login, or entry's id) to FILE, a tar of its Maildir; - is standard output.

    The service may run. A name that ends in gz compresses.
    """
    load(path)
    is_pipe = str(file) == "-"
    # root opens it before it goes on as the user of the mail processes, who may not write there
    out: IO[bytes] = sys.stdout.buffer if is_pipe else _created(file, overwrite)
    is_done = False
    try:
        with opened(path) as host:
            holder = holder_of(host, account)
            row = host.stores.repository.account(holder.id)
            if row is None:
                click.echo(f"gatepost: {account} has no store", err=True)
                raise SystemExit(NO)
            show, clear = _progress(row.used_messages, account)
            done = host.stores.export(holder, out, is_gzip=file.name.endswith("gz"), on_progress=show)
            clear()
            out.flush()
            if not is_pipe:
                os.fsync(out.fileno())
            is_done = True
    finally:
        if not is_pipe:
            out.close()
            if not is_done:
                with contextlib.suppress(OSError):  # what stays is not taken for an export: its end is missing
                    os.truncate(file, 0)
                    file.unlink()
    facts: dict[str, Any] = {
        "account": holder.id,
        "file": str(file),
        "mailboxes": done.mailboxes,
        "messages": done.messages,
        "octets": done.octets,
    }
    if not is_pipe or not as_json:
        text = f"{account}: {done.messages} messages in {done.mailboxes} mailboxes, {done.octets} octets"
        if is_pipe:
            click.echo(text, err=True)
        else:
            tell(facts, text, as_json)


@click.command(name="import")
@configuration_file
@click.argument("account")
@click.argument("file", type=click.File("rb"))
@click.option("--replace", is_flag=True, help="also where the store holds mail; that is kept beside the new one")
@for_machines
def import_(path: Path, account: str, file: IO[bytes], replace: bool, as_json: bool) -> None:
    """Make FILE, which `gatepost store export` wrote, the store of ACCOUNT; - is standard input.

    All of it or nothing. UIDs, flags, dates, rights and subscriptions are those of FILE, so that mail programs fetch
    nothing anew. Sessions that are open see another mailbox: it is quietest while nobody is logged in.
    """
    from gateway.store.archive import ArchiveProblem
    from gateway.store.errors import StoreHoldsMail

    with opened(path) as host:
        holder = holder_of(host, account)
        show, clear = _progress(0, account)
        try:
            done = host.stores.import_(holder, file, replace=replace, on_progress=show)
        except (ArchiveProblem, StoreHoldsMail) as error:
            clear()
            more = "; --replace puts it aside" if isinstance(error, StoreHoldsMail) else ""
            click.echo(f"gatepost: {error if more else f'{file.name}: {error}'}{more}; nothing was changed", err=True)
            raise SystemExit(NO) from None
        clear()
        findings = host.stores.check(holder.id)
    facts: dict[str, Any] = {
        "account": holder.id,
        "was_of": done.account,
        "mailboxes": done.mailboxes,
        "messages": done.messages,
        "octets": done.octets,
        "replaced": done.replaced,
        "came_meanwhile": done.came,
        "findings": [f"{each.mailbox}: {each.detail}" for each in findings],
    }
    text = f"{account}: {done.messages} messages in {done.mailboxes} mailboxes, {done.octets} octets"
    if done.account != holder.id:
        text += f"; the file was of {done.account}"
    if done.replaced:
        text += f"; what stood there is in {done.replaced}"
    tell(facts, "\n".join([text, *facts["findings"]]), as_json)
    if findings:
        raise SystemExit(NO)
