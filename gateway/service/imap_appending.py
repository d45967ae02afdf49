"""Executes APPEND: the message stays in memory while it is small, else in a file of the spool folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from directory.model import Condition, Deferred
from gateway.imap.ports import Appended, AppendPiece, BeginAppend, DropAppend, Failure, FinishAppend
from gateway.imap.rights import allowed_flags
from gateway.service.imap_changing import no_right, too_many_keywords
from gateway.service.imap_selecting import catch_up
from gateway.service.imap_shared import mailbox_at
from gateway.store.errors import InvalidMailboxName, NoSuchMailbox

if TYPE_CHECKING:
    from gateway.service.imap_executor import ImapExecutor

IN_MEMORY = 256 * 1024  # octets; what comes behind is written in pieces of this size


class Incoming:
    """A message on its way in."""

    __slots__ = ("_folder", "_pieces", "_size", "path")

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pieces: list[bytes] = []
        self._size = 0
        self.path: Path | None = None

    def add(self, octets: bytes) -> bool:
        """Keep octets. True when it is time to `spool`."""
        self._pieces.append(octets)
        self._size += len(octets)
        return self._size > IN_MEMORY

    def spool(self) -> None:
        """Write what is in memory to the file. Raises Deferred."""
        try:
            if self.path is None:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                descriptor, name = tempfile.mkstemp(prefix="imap-", dir=self._folder)
                os.close(descriptor)
                self.path = Path(name)
            with self.path.open("ab") as file:
                file.writelines(self._pieces)
        except OSError as error:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"spool: {error}") from error
        self._pieces.clear()
        self._size = 0

    def source(self) -> list[bytes] | Path:
        """The message. Raises Deferred."""
        if self.path is None:
            return self._pieces
        if self._pieces:
            self.spool()
        return self.path

    def drop(self) -> None:
        """The file is needed no more."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
            self.path = None


async def _begin(executor: ImapExecutor, request: BeginAppend) -> Failure | None:
    stores, spot = executor.host.stores, executor.spot(request.mailbox)
    if spot is None or not spot.may("i"):
        return no_right(spot)
    holder = spot.holder

    def check() -> Failure | None:
        if mailbox_at(stores, spot) is None:
            return Failure("TRYCREATE", "no such mailbox")
        account, limits = stores.repository.account(holder.id), stores.limits(holder)
        # stored it may be half as large, when every line is empty; the exact answer comes at the end
        half = request.size // 2
        if account is not None and limits.are_over(account.used_bytes + half, account.used_messages + 1, half):
            raise limits.refusal(half)
        return too_many_keywords(executor, holder.id, request.keywords) if request.keywords else None

    failure = await executor.in_pool(check)
    if failure is None:
        executor.incoming = Incoming(Path(executor.host.settings.state_dir) / "spool")
    return failure


def _piece(executor: ImapExecutor, request: AppendPiece) -> object:
    assert executor.incoming is not None
    return executor.in_pool(executor.incoming.spool) if executor.incoming.add(request.octets) else None


def _drop(executor: ImapExecutor, request: DropAppend) -> None:
    executor.drop_incoming()


async def _finish(executor: ImapExecutor, request: FinishAppend) -> Appended | Failure:
    stores, incoming, spot = executor.host.stores, executor.incoming, executor.spot(request.mailbox)
    assert incoming is not None
    if spot is None or not spot.may("i"):
        executor.drop_incoming()
        return no_right(spot)
    holder = spot.holder
    letters, keywords = allowed_flags(request.letters, spot.rights), request.keywords if spot.may("w") else ""

    def put() -> tuple[int, Appended] | Failure:
        try:
            row = stores.append(holder, spot.mailbox, incoming.source(), letters, keywords, request.internaldate)
        except NoSuchMailbox:
            return Failure("TRYCREATE", "no such mailbox")
        except InvalidMailboxName as error:
            return Failure("CANNOT", str(error))
        mailbox = stores.repository.mailbox(holder.id, spot.mailbox)
        return (
            (mailbox.id, Appended(mailbox.uidvalidity, row.uid, stores.is_over_soft(holder)))
            if mailbox
            else Failure("TRYCREATE", "it is gone")
        )

    try:
        done = await executor.in_pool(put)
    finally:
        executor.drop_incoming()
    if isinstance(done, Failure):
        return done
    if executor.session.selected is not None:
        contents, selected = executor.selected()
        if (executor.owner, selected.id) == (holder.id, done[0]):
            await catch_up(executor, contents, holder.id, done[0])
    return done[1]


REQUESTS: dict[type, Callable[..., object]] = {
    BeginAppend: _begin,
    AppendPiece: _piece,
    DropAppend: _drop,
    FinishAppend: _finish,
}
