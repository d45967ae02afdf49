"""Directory and stores for verbs that work on them beside the running service, and whom ACCOUNT means."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.problems import NO
from gateway.cli.runs_as import mail_user_only
from gateway.config.load import load

if TYPE_CHECKING:
    from directory.model import MailboxHolder
    from gateway.service.host import Host

NUMBER = 98  # part of unique names; workers are numbered from 0


@contextmanager
def opened(path: Path) -> Iterator[Host]:
    """Directory and stores as a worker has them, under the workers' uid. Raises Deferred, OSError."""
    from gateway.service.worker import make_host

    settings = load(path)
    mail_user_only(settings, "open stores", becomes=True)
    host = make_host(settings, NUMBER)
    try:
        yield host
    finally:
        host.hints.close()
        host.stores.close()
        host.pools.shutdown()


def find_holder(host: Host, account: str) -> MailboxHolder | None:
    """Who has the store of ACCOUNT, an address, login or entry's id. Raises Deferred."""
    from directory.model import MailboxHolder

    owners = host.directory.owners(account.lower()) if "@" in account else ()
    found = owners[0] if owners else host.directory.by_id(account)
    if found is None:
        logins = host.directory.by_login(account)
        found = logins[0] if len(logins) == 1 else None
    return found if isinstance(found, MailboxHolder) else None


def holder_of(host: Host, account: str) -> MailboxHolder:
    """As `find_holder`; ends the verb where there is nobody. Raises Deferred."""
    found = find_holder(host, account)
    if found is None:
        click.echo(f"gatepost: {account} is nobody with a store in the directory", err=True)
        raise SystemExit(NO)
    return found
