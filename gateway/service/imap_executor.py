"""Executes what an IMAP session asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from directory.model import Condition, Deferred, MailboxHolder, Refused
from directory.port import Login
from gateway.imap.ports import Authenticate, Body, Figures, ListMailboxes, Message, Opened, OpenMailbox, Status
from gateway.imap.session import Session
from gateway.observe import maillog
from gateway.service.host import Host
from gateway.store.errors import InvalidMailboxName, NoSuchMailbox
from gateway.store.repository import MailboxRow, MessageRow


class ImapExecutor:
    """One a session."""

    def __init__(self, session: Session, host: Host) -> None:
        self._session = session
        self._host = host
        self._mailbox: MailboxRow | None = None
        self._rows: dict[int, MessageRow] = {}

    def execute(self, request: object) -> object:
        return _EXECUTE[type(request)](self, request)

    def close(self) -> None:
        """The connection has ended."""

    async def _authenticate(self, request: Authenticate) -> Login:
        try:
            login = await self._host.authenticator.authenticate(
                request.login, request.password, "imap", self._session.address
            )
        except (Deferred, Refused) as error:
            maillog.login(
                login=request.login,
                client=self._session.address,
                service="imap",
                outcome=error.condition.name.lower(),
                detail=error.detail,
            )
            raise
        maillog.login(login=request.login, client=self._session.address, service="imap", outcome="ok")
        return login

    def _holder(self) -> MailboxHolder:
        assert self._session.login is not None
        entry = self._host.directory.by_id(self._session.login.account)
        if not isinstance(entry, MailboxHolder):
            raise Deferred(Condition.DIRECTORY_UNAVAILABLE, f"{self._session.login.account} is gone")
        return entry

    async def _open_mailbox(self, request: OpenMailbox) -> Opened | None:
        holder = self._holder()
        return await self._host.in_pool(lambda: self._open(holder, request))

    def _open(self, holder: MailboxHolder, request: OpenMailbox) -> Opened | None:
        try:
            row = self._host.stores.open_mailbox(holder, request.name)
        except (NoSuchMailbox, InvalidMailboxName):
            return None
        rows = self._host.stores.repository.messages(holder.id, row.id)
        self._mailbox = row
        self._rows = {message.uid: message for message in rows}
        messages = [Message(m.uid, (), m.crlf, m.internaldate, m.modseq) for m in rows]
        return Opened(row.name, row.uidvalidity, row.uidnext, row.highestmodseq, request.read_only, messages)

    async def _list(self, _: ListMailboxes) -> tuple[str, ...]:
        holder = self._holder()
        return await self._host.in_pool(lambda: self._names(holder))

    def _names(self, holder: MailboxHolder) -> tuple[str, ...]:
        self._host.stores.open(holder)
        return tuple(row.name for row in self._host.stores.repository.mailboxes(holder.id))

    async def _status(self, request: Status) -> Figures | None:
        holder = self._holder()
        return await self._host.in_pool(lambda: self._figures(holder, request.name))

    def _figures(self, holder: MailboxHolder, name: str) -> Figures | None:
        self._host.stores.open(holder)
        row = self._host.stores.repository.mailbox(holder.id, name)
        if row is None:
            return None
        rows = self._host.stores.repository.messages(holder.id, row.id)
        unseen = sum("S" not in message.flags for message in rows)
        return Figures(len(rows), unseen, row.uidnext, row.uidvalidity)

    async def _body(self, request: Body) -> bytes | None:
        assert self._session.login is not None
        account, mailbox, row = self._session.login.account, self._mailbox, self._rows.get(request.uid)
        if row is None or mailbox is None:
            return None
        try:
            return await self._host.in_pool(lambda: self._host.stores.read(account, mailbox, row))
        except FileNotFoundError:
            return None


_EXECUTE: dict[type, Callable[..., Awaitable[object]]] = {
    Authenticate: ImapExecutor._authenticate,
    OpenMailbox: ImapExecutor._open_mailbox,
    Body: ImapExecutor._body,
    ListMailboxes: ImapExecutor._list,
    Status: ImapExecutor._status,
}
