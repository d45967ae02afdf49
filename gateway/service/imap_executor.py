"""Executes what an IMAP session asks. Each concern is a file with its own table of requests; here they meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from directory.model import Condition, Deferred, MailboxHolder
from directory.port import Login
from gateway.imap.ports import Authenticate
from gateway.imap.session import Session
from gateway.imap.view import Contents
from gateway.service import imap_changing, imap_contents, imap_mailboxes, imap_reading, imap_selecting
from gateway.service.host import Host
from gateway.service.login import Peer, log_in
from gateway.store.repository import MailboxRow

T = TypeVar("T")


class ImapExecutor:
    """One a session. A handler is `handler(executor, request)`, its answer may be awaitable."""

    __slots__ = ("host", "mailbox", "peer", "session")

    def __init__(self, session: Session, host: Host, peer: Peer | None = None) -> None:
        self.peer = peer
        self.session = session
        self.host = host
        #: the selected one, as it was when it was opened
        self.mailbox: MailboxRow | None = None

    def execute(self, request: object) -> object:
        return _EXECUTE[type(request)](self, request)

    def close(self) -> None:
        """The connection has ended."""

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

    async def in_pool(self, work: Callable[[], T]) -> T:
        return await self.host.in_pool(work)


async def _authenticate(executor: ImapExecutor, request: Authenticate) -> Login:
    address = executor.session.address
    return await log_in(executor.host, executor.peer, "imap", address, request.login, request.password)


_EXECUTE: dict[type, Callable[..., object]] = {
    Authenticate: _authenticate,
    **imap_selecting.REQUESTS,
    **imap_reading.REQUESTS,
    **imap_changing.REQUESTS,
    **imap_contents.REQUESTS,
    **imap_mailboxes.REQUESTS,
}
