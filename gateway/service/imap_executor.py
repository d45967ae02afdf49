"""Executes what an IMAP session asks. Each concern is a file with its own table of requests; here they meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from directory.model import Condition, Deferred, MailboxHolder, Refused, SharedMailbox
from directory.port import Login, groups_of
from gateway.imap.names import SEPARATOR
from gateway.imap.ports import Authenticate, Compress, Known, LogOut, StartTls, WhoIs
from gateway.imap.session import Session
from gateway.imap.switches import group_name
from gateway.imap.view import Contents
from gateway.service import (
    imap_access,
    imap_appending,
    imap_changing,
    imap_contents,
    imap_mailboxes,
    imap_metadata,
    imap_notify,
    imap_reading,
    imap_selecting,
)
from gateway.service.driver import COMPRESSION, UPGRADE, Upgrade
from gateway.service.host import Host
from gateway.service.imap_incoming import Incoming
from gateway.service.imap_notify import MAX_PENDING, Watched
from gateway.service.imap_shared import OTHERS, SHARED, SharedStores, Spot, prefix_of
from gateway.service.login import Peer, log_in
from gateway.store.repository import MailboxRow

T = TypeVar("T")


class ImapExecutor:
    """One a session. A handler is `handler(executor, request)`, its answer may be awaitable."""

    __slots__ = ("host", "incoming", "mailbox", "notifying", "owner", "peer", "session", "wake", "watched")

    def __init__(
        self, session: Session, host: Host, peer: Peer | None = None, wake: Callable[[], None] = lambda: None
    ) -> None:
        self.peer = peer
        self.session = session
        self.host = host
        #: lets the session say what is new
        self.wake = wake
        self.watched: Contents | None = None
        self.notifying: Watched | None = None
        self.incoming: Incoming | None = None
        #: the selected one, as it was when it was opened
        self.mailbox: MailboxRow | None = None
        #: the id of the entry in whose store that is
        self.owner = ""

    def execute(self, request: object) -> object:
        return _EXECUTE[type(request)](self, request)

    def close(self) -> None:
        """The connection has ended."""
        self.unwatch()
        self.stop_watching()
        self.drop_incoming()

    def unwatch(self) -> None:
        """The session is not to be woken any more."""
        if self.watched is not None:
            self.host.open_mailboxes.unwatch(self.watched, self.wake)
            self.watched = None

    def watch_accounts(self, watched: Watched) -> None:
        """Hear of every change in the stores of these accounts."""
        self.notifying = watched
        for account in watched.accounts:
            self.host.open_mailboxes.listen(account, self._heard)

    def follow_selected(self) -> None:
        """Hear of changes in the mailbox that was selected, where NOTIFY wants that."""
        watched = self.notifying
        if watched is not None and watched.request.selected and self.owner not in watched.accounts:
            watched.accounts.add(self.owner)
            self.host.open_mailboxes.listen(self.owner, self._heard)

    def stop_watching(self) -> None:
        """NOTIFY has ended."""
        if self.notifying is not None:
            for account in self.notifying.accounts:
                self.host.open_mailboxes.unlisten(account, self._heard)
            self.notifying = None

    def _heard(self, account: str, mailbox: int) -> None:
        watched = self.notifying
        if watched is not None:
            if not mailbox:
                watched.pending.update(key for key in watched.known if key[0] == account)
            elif len(watched.pending) < MAX_PENDING:
                watched.pending.add((account, mailbox))
            self.wake()

    def drop_incoming(self) -> None:
        """Forget a message that was on its way in."""
        if self.incoming is not None:
            self.incoming.drop()
            self.incoming = None

    def selected(self) -> tuple[Contents, MailboxRow]:
        """What the session has selected."""
        assert self.session.selected is not None
        assert self.mailbox is not None
        return self.session.selected.view.contents, self.mailbox

    def holder(self) -> MailboxHolder:
        """The entry that is logged in, as it is now. Raises Deferred."""
        assert self.session.login is not None
        entry = self.host.directory.by_id(self.session.login.account)
        if not isinstance(entry, MailboxHolder):
            raise Deferred(Condition.DIRECTORY_UNAVAILABLE, f"{self.session.login.account} is gone")
        return entry

    def shared(self) -> SharedStores:
        """What is shared with who is logged in, as it is now. Raises Deferred."""
        host, settings = self.host, self.host.settings
        return SharedStores(host.directory, self.holder(), settings.hostname, host.stores.repository, settings.imap)

    def spot(self, name: str) -> Spot | None:
        """Where a mailbox name leads, None when it is nothing that the session may see. Raises Deferred."""
        if name.partition(SEPARATOR)[0] in (SHARED, OTHERS):
            return self.shared().spot(name)
        return Spot(self.holder(), name)

    def reader(self, holder: MailboxHolder) -> str:
        """Whose own \\Seen messages of a store show to the session; "" where they show the same to all."""
        assert self.session.login is not None
        own = self.host.settings.imap.own_seen and isinstance(holder, SharedMailbox)
        return self.session.login.account if own else ""

    def rights(self, spot: Spot, row: MailboxRow) -> str:
        """The rights to the mailbox that was found there. Raises Deferred."""
        return self.shared().rights(spot.holder, row) if spot.prefix else spot.rights

    def selected_spot(self) -> Spot:
        """The selected mailbox with the rights to it, as it is now. Raises Refused, Deferred."""
        own = self.holder()
        assert self.mailbox is not None
        if self.owner == own.id:
            return Spot(own, self.mailbox.name)
        entry = self.host.directory.by_id(self.owner)
        if isinstance(entry, MailboxHolder):
            row = self.host.stores.repository.mailbox_by_id(entry.id, self.mailbox.id) or self.mailbox
            rights = self.shared().rights(entry, row)
            if "r" in rights:
                return Spot(entry, row.name, rights, prefix_of(entry))
        raise Refused(Condition.SERVICE_NOT_ALLOWED, f"{own.dn}: {self.owner} is not shared any more")

    def selected_holder(self) -> MailboxHolder:
        """The entry in whose store the selected mailbox is, as it is now. Raises Refused, Deferred."""
        return self.selected_spot().holder

    async def in_pool(self, work: Callable[[], T]) -> T:
        return await self.host.in_pool(work, self.host.stores.volume_name(self.holder()))


async def _authenticate(executor: ImapExecutor, request: Authenticate) -> Login:
    address = executor.session.address
    return await log_in(executor.host, executor.peer, "imap", address, request.login, request.password)


def _who_is(executor: ImapExecutor, request: WhoIs) -> Known:
    directory = executor.host.directory
    entry = directory.by_id(request.account)
    if entry is None:
        return Known(frozenset({request.account.casefold()}), frozenset())
    names = (entry.id, *getattr(entry, "logins", ()), *getattr(entry, "addresses", ()))
    above = (directory.by_id(group) for group in groups_of(directory, entry.dn))
    return Known(
        frozenset(map(str.casefold, names)), frozenset(group_name(group.dn) for group in above if group is not None)
    )


def _log_out(executor: ImapExecutor, _: LogOut) -> None:
    executor.close()
    executor.mailbox, executor.owner = None, ""
    if executor.peer is not None:
        executor.peer.log_out()


def _start_tls(_: ImapExecutor, __: StartTls) -> Upgrade:
    return UPGRADE


def _compress(_: ImapExecutor, __: Compress) -> Upgrade:
    return COMPRESSION


_EXECUTE: dict[type, Callable[..., object]] = {
    Authenticate: _authenticate,
    Compress: _compress,
    LogOut: _log_out,
    StartTls: _start_tls,
    WhoIs: _who_is,
    **imap_appending.REQUESTS,
    **imap_selecting.REQUESTS,
    **imap_reading.REQUESTS,
    **imap_changing.REQUESTS,
    **imap_contents.REQUESTS,
    **imap_mailboxes.REQUESTS,
    **imap_access.REQUESTS,
    **imap_notify.REQUESTS,
    **imap_metadata.REQUESTS,
}
