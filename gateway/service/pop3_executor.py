"""Executes what a POP3 session asks: the login, the maildrop's lock, its messages, their removal.

The lock is a row with a lease in the index. It is renewed while the session lives and given back when the
connection ends, however it ends; a worker that is killed leaves it until the lease is over.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from array import array
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

from directory.model import Condition, Deferred, MailboxHolder
from gateway.files.names import host_id
from gateway.pop3.ports import Content, Login, Maildrop, More, Piece, StartTls, TooSoon, Update
from gateway.pop3.session import Session
from gateway.service.driver import UPGRADE, Upgrade
from gateway.service.host import Host
from gateway.service.login import Peer, log_in
from gateway.store.repository import INBOX, MailboxRow, MessageRow
from gateway.store.stores import LfPieces

WHOLE = 256 * 1024  # octets; what is larger is read and sent in pieces
AHEAD = 64  # messages read in one go, WHOLE octets at most together
RENEWALS = 3  # in the time of a lease
EXPIRED = 10_000  # messages that are removed for their age when a session ends
_DELAYED = "\tlogin"  # behind an account: the row that keeps its next login off
_numbers = itertools.count(1)


class Pop3Executor:
    """One a session."""

    __slots__ = (
        "_ahead",
        "_closed",
        "_holder",
        "_host",
        "_last",
        "_locked",
        "_mailbox",
        "_maildrop",
        "_owner",
        "_peer",
        "_renewal",
        "_rest",
        "_session",
    )

    def __init__(self, session: Session, host: Host, peer: Peer | None = None) -> None:
        self._peer = peer
        self._session = session
        self._host = host
        self._owner = ""
        self._holder: MailboxHolder | None = None
        self._mailbox: MailboxRow | None = None
        self._maildrop: Maildrop | None = None
        #: messages read ahead, at most WHOLE octets
        self._ahead: dict[int, bytes] = {}
        self._last = 0
        self._rest: Iterator[bytes] | None = None
        self._renewal: asyncio.TimerHandle | None = None
        self._locked = self._closed = False

    def execute(self, request: object) -> object:
        return _EXECUTE[type(request)](self, request)

    def close(self) -> None:
        self._closed = True
        self._rest = None
        self._ahead.clear()
        if self._renewal is not None:
            self._renewal.cancel()
            self._renewal = None
        if self._locked:
            self._host.pool.submit(self._unlock)

    def _start_tls(self, request: StartTls) -> Upgrade:
        return UPGRADE

    async def _login(self, request: Login) -> Maildrop | TooSoon:
        login = await log_in(self._host, self._peer, "pop3", self._session.address, request.name, request.password)
        entry = self._host.directory.by_id(login.account)
        if not isinstance(entry, MailboxHolder):
            raise Deferred(Condition.DIRECTORY_UNAVAILABLE, f"{login.account} is gone")
        maildrop = await self._host.in_pool(partial(self._open, entry), self._host.stores.volume_name(entry))
        if isinstance(maildrop, Maildrop):
            self._renew_later()
        return maildrop

    def _volume(self) -> str:
        assert self._holder is not None
        return self._host.stores.volume_name(self._holder)

    # the lock

    def _lock(self) -> bool:
        assert self._holder is not None
        now = time.time()
        until = now + self._session.settings.lock_lease
        return self._host.stores.repository.lock_maildrop(self._holder.id, self._owner, now, until)

    def _unlock(self) -> None:
        assert self._holder is not None
        try:
            self._host.stores.repository.unlock_maildrop(self._holder.id, self._owner)
        except Deferred:
            pass  # the lease ends

    def _renew_later(self) -> None:
        if not self._closed:
            self._renewal = asyncio.get_running_loop().call_later(
                self._session.settings.lock_lease / RENEWALS, self._renew
            )

    def _renew(self) -> None:
        asyncio.get_running_loop().run_in_executor(self._host.pool, self._try_renewal)
        self._renew_later()

    def _try_renewal(self) -> None:
        try:
            self._lock()
        except Deferred:
            pass  # tried again soon; whoever took it meanwhile is found at the update
        if self._closed or not self._locked:  # given back meanwhile
            self._unlock()

    # the maildrop

    def _is_too_soon(self, holder: MailboxHolder) -> bool:
        """True when the account has logged in within `login_delay`; else the next ones are. On every worker."""
        delay = self._session.settings.login_delay
        if not delay:
            return False
        now = time.time()
        return not self._host.stores.repository.lock_maildrop(f"{holder.id}{_DELAYED}", self._owner, now, now + delay)

    def _open(self, holder: MailboxHolder) -> Maildrop | TooSoon:
        stores = self._host.stores
        self._holder, self._owner = holder, f"{host_id()}:{os.getpid()}:{next(_numbers)}"
        stores.open(holder)
        if not self._lock():
            raise Deferred(Condition.MAILDROP_IN_USE)
        self._locked = True
        try:
            if self._is_too_soon(holder):
                self._locked = False
                self._unlock()
                return TooSoon()
            self._mailbox = stores.open_mailbox(holder, INBOX)
            rows = stores.repository.outline(holder.id, self._mailbox.id)
            uidls = stores.unique_ids(holder, self._mailbox)
        except BaseException:
            self._locked = False
            self._unlock()
            raise
        finally:
            if self._closed:  # the client has gone meanwhile; `close` may have been too early to see the lock
                self._unlock()
        uids, sizes = array("I", (row[0] for row in rows)), array("Q", (row[4] for row in rows))
        self._maildrop = Maildrop(self._mailbox.uidvalidity, uids, sizes, uidls)
        return self._maildrop

    def _content(self, request: Content) -> Piece | Awaitable[Piece | None]:
        self._rest = None
        octets = self._ahead.pop(request.uid, None)
        if octets is not None:
            self._last = request.uid
            return Piece(octets, is_last=True)
        return self._fetch(request.uid)

    async def _fetch(self, uid: int) -> Piece | None:
        self._ahead.clear()
        uids = self._together(uid)
        self._last = uid
        try:
            return await self._host.in_pool(partial(self._read, uids), self._volume())
        except FileNotFoundError:
            return None

    def _together(self, uid: int) -> list[int]:
        """What is read in one go: the message, and those behind it when the client reads one after the other."""
        assert self._maildrop is not None
        uids, sizes = self._maildrop.uids, self._maildrop.sizes
        place = bisect_left(uids, uid)
        if place == 0 or uids[place - 1] != self._last:
            return [uid]
        end, room = place + 1, WHOLE - sizes[place]
        while end < min(len(uids), place + AHEAD) and room >= sizes[end]:
            room -= sizes[end]
            end += 1
        return list(uids[place:end])

    def _read(self, uids: list[int]) -> Piece | None:
        assert self._holder is not None
        assert self._mailbox is not None
        stores, account = self._host.stores, self._holder.id
        rows = stores.repository.messages_of(account, self._mailbox.id, uids)
        if not rows or rows[0].uid != uids[0]:
            return None
        piece = self._begin(rows[0])
        try:
            for row in rows[1:]:
                self._ahead[row.uid] = stores.read(account, self._mailbox, row)
        except (FileNotFoundError, Deferred):
            pass  # found again when it is asked for
        return piece

    def _begin(self, row: MessageRow) -> Piece:
        assert self._holder is not None
        assert self._mailbox is not None
        stores, account = self._host.stores, self._holder.id
        if row.size > WHOLE:
            pieces = iter(LfPieces(Path(stores.path_of(account, self._mailbox, row))))
            try:
                piece = Piece(next(pieces, b""), is_last=False)
            except FileNotFoundError:
                pass  # another program has renamed it: `read` finds it
            else:
                self._rest = pieces
                return piece
        return Piece(stores.read(account, self._mailbox, row), is_last=True)

    async def _more(self, request: More) -> Piece:
        rest = self._rest
        assert rest is not None
        try:
            octets = await self._host.in_pool(lambda: next(rest, None), self._volume())
        except OSError as error:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"reading for POP3: {error}") from error
        return Piece(octets or b"", is_last=octets is None)

    async def _update(self, request: Update) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
            self._renewal = None
        await self._host.in_pool(partial(self._finish, request.uids), self._volume())

    def _finish(self, uids: tuple[int, ...]) -> None:
        """Remove what was marked and give the lock back, before the client is told: it may come again at once."""
        try:
            if uids := self._expired(uids):
                self._remove(uids)
        finally:
            self._locked = False
            self._unlock()

    def _expired(self, uids: tuple[int, ...]) -> tuple[int, ...]:
        """With the messages of the maildrop that have been there for longer than `expire`, the oldest of them."""
        expire = self._session.settings.expire
        if not expire:
            return uids
        assert self._holder is not None
        assert self._mailbox is not None
        assert self._maildrop is not None
        repository = self._host.stores.repository
        old = repository.saved_before(self._holder.id, self._mailbox.id, time.time() - expire, EXPIRED)
        return tuple(sorted({*uids, *set(old).intersection(self._maildrop.uids)}))

    def _remove(self, uids: tuple[int, ...]) -> None:
        assert self._holder is not None
        assert self._mailbox is not None
        if not self._lock():
            raise Deferred(Condition.MAILDROP_IN_USE, f"{self._holder.dn}: the lock was lost")
        self._host.stores.expunge(self._holder, self._mailbox, uids)


_EXECUTE: dict[type, Callable[..., object]] = {
    Login: Pop3Executor._login,
    StartTls: Pop3Executor._start_tls,
    Content: Pop3Executor._content,
    More: Pop3Executor._more,
    Update: Pop3Executor._update,
}
