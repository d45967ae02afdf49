"""gatepost adopt: the mail store of another server becomes an account's store here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from gateway.cli.opened_stores import holder_of, opened
from gateway.cli.options import configuration_file, for_machines
from gateway.cli.problems import NO

if TYPE_CHECKING:
    from gateway.store.foreign.reading import ForeignStore
    from gateway.store.taking_over import Adoption

Command = Callable[..., Any]
FOLDER = click.Path(file_okay=False, path_type=Path)
MAX_TOLD = 20


@click.group(name="adopt")
def command() -> None:
    """The mail store of another server becomes the store of an account here; mail programs fetch nothing again.

    Stop the other server for the account first. Its files stay as they are: what is made here are links to them, or
    copies where the file system is another one.
    """


def _shared(run: Command) -> Command:
    """Options and arguments that every kind has."""
    for option in (
        for_machines,
        click.option(
            "--merge", is_flag=True, help="keep what ACCOUNT has received here: behind the rest, with new UIDs"
        ),
        click.option("--dry-run", is_flag=True, help="read everything and show what would come over; nothing changes"),
        click.argument("folder", metavar="PATH", type=FOLDER),
        click.argument("account"),
        configuration_file,
    ):
        run = option(run)
    return run


def _tell(told: Adoption, account: str, *, dry_run: bool) -> None:
    for name, count in sorted(told.messages.items()):
        click.echo(f"{name}: {count}")
    for was, name in sorted(told.renamed.items()):
        click.echo(f"warning: the folder {was!r} is called {name!r} here, its name is no mailbox's", err=True)
    for path in told.oddities[:MAX_TOLD]:
        click.echo(f"warning: {path} is no file and stays behind", err=True)
    if len(told.oddities) > MAX_TOLD:
        click.echo(f"warning: and {len(told.oddities) - MAX_TOLD} more", err=True)
    if told.copied:
        click.echo(f"{told.copied} files were copied, since they could not be linked", err=True)
    total = f"{sum(told.messages.values())} messages in {len(told.messages)} mailboxes"
    if dry_run:
        click.echo(f"{account} would get {total}")
    else:
        click.echo(f"{account} has {total}{', adopted before' if told.was_done else ''}: {told.path}")


def _adopt(path: Path, account: str, foreign: ForeignStore, *, merge: bool, dry_run: bool, as_json: bool) -> None:
    from gateway.store.foreign.records import Unreadable
    from gateway.store.taking_over import StoreInUse

    with opened(path) as host:
        holder = holder_of(host, account)
        try:
            told = host.stores.survey(foreign) if dry_run else host.stores.take_over(holder, foreign, merge=merge)
        except Unreadable as error:
            click.echo(f"gatepost: {error}", err=True)
            raise SystemExit(NO) from None
        except StoreInUse:
            click.echo(
                f"gatepost: {account} has received messages here already; with --merge they come behind the adopted ones, "
                "under new UIDs: programs that have fetched them fetch them again",
                err=True,
            )
            raise SystemExit(NO) from None
    if as_json:
        click.echo(msgspec.json.encode(msgspec.to_builtins(told)))
    else:
        _tell(told, account, dry_run=dry_run)


def _hand_back(path: Path, account: str, folder: Path, uidl: str, *, as_json: bool) -> None:
    from gateway.store.foreign.records import Unreadable

    with opened(path) as host:
        holder = holder_of(host, account)
        if host.stores.repository.account(holder.id) is None:
            click.echo(f"gatepost: {account} has no store", err=True)
            raise SystemExit(NO)
        try:
            done = host.stores.hand_back(holder, str(folder), uidl)
        except Unreadable as error:
            click.echo(f"gatepost: {error}", err=True)
            raise SystemExit(NO) from None
    if as_json:
        click.echo(msgspec.json.encode(msgspec.to_builtins(done)))
        return
    for name, words in sorted(done.left_out.items()):
        click.echo(f"warning: {name}: Dovecot has no letters for the keywords {', '.join(words)}", err=True)
    if done.copied:
        click.echo(f"{done.copied} files were copied, since they could not be linked", err=True)
    click.echo(f"{sum(done.messages.values())} messages in {len(done.messages)} mailboxes for Dovecot: {done.path}")


@command.command(name="dovecot")
@_shared
@click.option(
    "--hand-back", is_flag=True, help="the other way: make PATH, which is not there yet, a Maildir for Dovecot"
)
@click.option("--control", type=FOLDER, help="Dovecot's CONTROL folder, when it is not PATH")
@click.option("--pop3-uidl", "uidl", default="%08Xu%08Xv", show_default=True, help="Dovecot's pop3_uidl_format")
def dovecot(
    path: Path,
    account: str,
    folder: Path,
    dry_run: bool,
    merge: bool,
    as_json: bool,
    control: Path | None,
    hand_back: bool,
    uidl: str,
) -> None:
    """Take over the Maildir of Dovecot in PATH (the folder that holds cur), or hand ACCOUNT back to Dovecot.

    UIDs, UIDVALIDITY, flags, keywords, dates, subscriptions and POP3 unique-ids stay, both ways. Called again after it was
    cut off, it goes on.
    """
    from gateway.store.foreign.reading import ForeignStore

    if hand_back:
        if merge or dry_run or control:
            raise click.UsageError("--hand-back goes with --pop3-uidl only")
        _hand_back(path, account, folder, uidl, as_json=as_json)
        return
    foreign = ForeignStore("dovecot", str(folder), str(control or ""), uidl)
    _adopt(path, account, foreign, merge=merge, dry_run=dry_run, as_json=as_json)


@command.command(name="courier")
@_shared
def courier(path: Path, account: str, folder: Path, dry_run: bool, merge: bool, as_json: bool) -> None:
    """Take over the Maildir of Courier in PATH (the folder that holds cur).

    UIDs, UIDVALIDITY, flags, keywords, dates, subscriptions and POP3 unique-ids stay; `INBOX.Work` is called `Work`.
    """
    from gateway.store.foreign.reading import ForeignStore

    foreign = ForeignStore("courier", str(folder))
    _adopt(path, account, foreign, merge=merge, dry_run=dry_run, as_json=as_json)


@command.command(name="maildir")
@_shared
def maildir(path: Path, account: str, folder: Path, dry_run: bool, merge: bool, as_json: bool) -> None:
    """Take over a Maildir in PATH that no server has given UIDs (qmail, procmail), folders of Maildir++ too."""
    from gateway.store.foreign.reading import ForeignStore

    foreign = ForeignStore("maildir", str(folder))
    _adopt(path, account, foreign, merge=merge, dry_run=dry_run, as_json=as_json)
