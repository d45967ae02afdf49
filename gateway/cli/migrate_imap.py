"""gatepost migrate imap: accounts of a live IMAP server become accounts here, several at once."""

from __future__ import annotations

import ssl
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import msgspec

from gateway.cli.opened_stores import holder_of, opened
from gateway.cli.options import configuration_file, for_machines
from gateway.cli.problems import NO, TEMPORARY
from gateway.config.load import load

if TYPE_CHECKING:
    from directory.model import MailboxHolder
    from gateway.imports.imap_mirror import Mirrored
    from gateway.service.host import Host

BAR = 30  # characters
_PASSING = ("[UNAVAILABLE]", "[INUSE]", "[LIMIT]", "[SERVERBUG]", "[CONTACTADMIN]")
SHOWN_SECONDS = 0.2
TIMEOUT = 120.0  # seconds that the other server may take for an answer
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class Source(NamedTuple):
    """Whose mail is fetched, and how to log in for it."""

    account: str
    user: str
    password: str
    master: str = ""


class Server(NamedTuple):
    """The other server."""

    host: str
    port: int
    tls: str
    ca_file: Path | None


def _sources(accounts: tuple[str, ...], user: str, listed: Path | None, secret: str, master: str) -> list[Source]:
    """Raises UsageError."""
    found = []
    lines = listed.read_text("utf-8").splitlines() if listed is not None else []
    for number, line in enumerate(lines, 1):
        words = line.split(None, 2)
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 3 and not secret:
            raise click.UsageError(f"{listed}:{number}: ACCOUNT USER PASSWORD, or --password-file for all of them")
        found.append(
            Source(
                words[0],
                (words + words)[1] if len(words) > 1 else words[0],
                words[2] if len(words) > 2 else secret,
                master,
            )
        )
    for account in accounts:
        if not secret:
            raise click.UsageError("--password-file says the password")
        found.append(Source(account, user or account, secret, master))
    if not found:
        raise click.UsageError("name ACCOUNTS, or a --list of them")
    if user and len(accounts) != 1:
        raise click.UsageError("--user goes with one ACCOUNT")
    return found


def _fetch(server: Server, source: Source, root: str, bar: _Bar) -> Mirrored:
    """Raises OSError, IMAPClientError."""
    from imapclient import IMAPClient

    from gateway.imports.imap_mirror import mirror

    context = ssl.create_default_context(cafile=str(server.ca_file) if server.ca_file else None)
    with IMAPClient(
        server.host, server.port, ssl=server.tls == "implicit", ssl_context=context, timeout=TIMEOUT
    ) as client:
        client.normalise_times = False
        if server.tls == "starttls":
            client.starttls(context)
        if source.master:
            client.plain_login(source.master, source.password, source.user)
        else:
            client.login(source.user, source.password)
        return mirror(client, root, f"{server.host}\0{source.user}", bar.on_progress)


class _Bar:
    """One line on a terminal that shows how far all accounts are; threads fetch them."""

    def __init__(self) -> None:
        self._is_seen = sys.stderr.isatty()
        self._lock = threading.Lock()
        self._done = self._total = 0
        self._shown = 0.0

    def on_progress(self, more: int, done: int) -> None:
        """So much more is to be done, so much is done."""
        with self._lock:
            self._total += more
            self._done += done
            if self._is_seen and time.monotonic() - self._shown >= SHOWN_SECONDS:
                self._shown = time.monotonic()
                filled = BAR * self._done // max(self._total, 1)
                bar = "#" * filled + "-" * (BAR - filled)
                click.echo(f"\r[{bar}] {self._done} of {self._total} messages\033[K", err=True, nl=False)

    def close(self) -> None:
        """Clear the line."""
        if self._shown:
            click.echo("\r\033[K", err=True, nl=False)


def _migrate(
    host: Host,
    server: Server,
    found: list[tuple[Source, MailboxHolder]],
    at_once: int,
    *,
    fetch_only: bool,
    merge: bool,
) -> list[dict[str, Any]]:
    from imapclient.exceptions import IMAPClientError, LoginError

    from directory.model import Deferred
    from gateway.store.foreign.reading import ForeignStore
    from gateway.store.foreign.records import Unreadable
    from gateway.store.taking_over import StoreInUse

    results: list[dict[str, Any]] = []
    bar = _Bar()
    with ThreadPoolExecutor(at_once) as pool:
        waiting = {}
        for source, holder in found:
            root = host.stores.mirror_of(holder)
            if root:
                waiting[pool.submit(_fetch, server, source, root, bar)] = source, holder, root
            else:
                results.append({"account": source.account, "done": True, "text": "was migrated before"})
        for each in as_completed(waiting):
            source, holder, root = waiting[each]
            result: dict[str, Any] = {"account": source.account, "done": False, "temporary": False}
            try:
                done = each.result()
                result |= {"messages": done.messages, "fetched": done.fetched, "skipped": done.skipped}
                if not fetch_only:
                    host.stores.take_over(holder, ForeignStore("courier", root), merge=merge)
                    host.stores.drop_mirror(holder)
                result |= {"done": True, "text": f"{done.messages} messages, {done.fetched} of them fetched now"}
            except LoginError as error:
                # RFC 5530 3: trouble that passes is no wrong password
                result["temporary"] = any(code in str(error).upper() for code in _PASSING)
                result["text"] = f"{server.host} does not let {source.user} in: {error}"
            except StoreInUse:
                result["text"] = "has received messages here already: --merge puts them behind those that are migrated"
            except Unreadable as error:
                result["text"] = str(error)
            except (OSError, IMAPClientError, Deferred) as error:
                detail = error.detail if isinstance(error, Deferred) else str(error)
                result |= {"temporary": True, "text": f"{detail}; the same command goes on"}
            results.append(result)
    bar.close()
    return results


@click.command(name="imap")
@configuration_file
@click.argument("accounts", nargs=-1)
@click.option("--host", "host_name", required=True, help="the other server")
@click.option("--port", type=click.IntRange(1, 65535), help="its port  [default: 993, without implicit TLS 143]")
@click.option("--tls", type=click.Choice(["implicit", "starttls", "none"]), default="implicit", show_default=True)
@click.option("--ca-file", type=FILE, help="certificates to believe, else those of this host")
@click.option("--user", default="", help="who ACCOUNT is there, where it is called otherwise")
@click.option("--master-user", "master", default="", help="logs in for everybody (SASL PLAIN); then it is his password")
@click.option("--password-file", type=FILE, help="the password is its first line")
@click.option("--list", "listed", type=FILE, help="lines of ACCOUNT [USER [PASSWORD]]")
@click.option("--at-once", type=click.IntRange(1, 32), default=4, show_default=True, help="accounts at the same time")
@click.option("--fetch-only", is_flag=True, help="fetch ahead; the accounts stay as they are until a call without it")
@click.option("--merge", is_flag=True, help="keep what an account has received here: behind the rest, with new UIDs")
@for_machines
def imap(
    path: Path,
    accounts: tuple[str, ...],
    host_name: str,
    port: int | None,
    tls: str,
    ca_file: Path | None,
    user: str,
    master: str,
    password_file: Path | None,
    listed: Path | None,
    at_once: int,
    fetch_only: bool,
    merge: bool,
    as_json: bool,
) -> None:
    """Fetch the mail of ACCOUNTS from an IMAP server and make it their stores here.

    UIDs, UIDVALIDITY, flags, keywords, dates and subscriptions stay. Fetched is what is not here yet, so that a call that was
    cut off, or one after --fetch-only, only does the rest.
    """
    load(path)
    lines = password_file.read_text("utf-8").splitlines() if password_file is not None else []
    sources = _sources(accounts, user, listed, lines[0] if lines else "", master)
    server = Server(host_name, port or (993 if tls == "implicit" else 143), tls, ca_file)
    with opened(path) as host:
        found = [(source, holder_of(host, source.account)) for source in sources]
        results = _migrate(host, server, found, at_once, fetch_only=fetch_only, merge=merge)
    if as_json:
        click.echo(msgspec.json.encode(results))
    for result in results if not as_json else ():
        click.echo(f"{result['account']}: {result['text']}", err=not result["done"])
        for name in result.get("skipped", ()):
            click.echo(
                f"warning: {result['account']}: {name} shows messages of other mailboxes and is left out", err=True
            )
    if not all(result["done"] for result in results):
        raise SystemExit(TEMPORARY if any(result.get("temporary") for result in results) else NO)
