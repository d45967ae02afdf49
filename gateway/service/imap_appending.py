"""Executes APPEND and REPLACE."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from directory.model import Condition, Deferred
from gateway.imap.content import Content, Octets
from gateway.imap.ports import Appended, AppendPart, AppendPiece, BeginAppend, DropAppend, Failure, FinishAppend
from gateway.imap.rights import allowed_flags
from gateway.imap.urls import WHOLE
from gateway.mime import What, header_end, locate, selected_fields
from gateway.service.imap_changing import mailbox_row, no_right, take_seen, too_many_keywords
from gateway.service.imap_contents import Reader, stored
from gateway.service.imap_incoming import READ, Incoming
from gateway.service.imap_selecting import catch_up
from gateway.service.imap_shared import Spot, mailbox_at
from gateway.store.errors import InvalidMailboxName, NoSuchMailbox
from gateway.store.repository import Limits, MessageRow

if TYPE_CHECKING:
    from gateway.service.imap_executor import ImapExecutor


async def _begin(executor: ImapExecutor, request: BeginAppend) -> Failure | None:
    stores, spot = executor.host.stores, executor.spot(request.mailbox)
    if spot is None or not spot.may("i"):
        return no_right(spot)
    holder = spot.holder
    letters, keywords = allowed_flags(request.letters, spot.rights), request.keywords if spot.may("w") else ""
    incoming = executor.incoming or Incoming(Path(executor.host.settings.state_dir) / "spool")

    def check() -> Failure | None:
        if mailbox_at(stores, spot) is None:
            return Failure("TRYCREATE", "no such mailbox")
        account, limits = stores.repository.account(holder.id), stores.limits(holder)
        if request.replaces and executor.owner == holder.id:
            replaced = stores.repository.message(holder.id, executor.selected()[1].id, request.replaces)
            limits = _with_room_of(limits, replaced) if replaced is not None else limits
        # stored it may be half as large, when every line is empty; the exact answer comes at the end
        half = (incoming.announced + request.size) // 2
        if account is not None and limits.are_over(
            account.used_bytes + half, account.used_messages + len(incoming) + 1, half
        ):
            raise limits.refusal(half)
        return too_many_keywords(executor, holder.id, keywords) if keywords else None

    failure = await executor.in_pool(check)
    if failure is None:
        incoming.begin(request.size, letters, keywords, request.internaldate)
        executor.incoming = incoming
    return failure


def _piece(executor: ImapExecutor, request: AppendPiece) -> object:
    assert executor.incoming is not None
    return executor.in_pool(executor.incoming.spool) if executor.incoming.add(request.octets) else None


def _drop(executor: ImapExecutor, request: DropAppend) -> None:
    executor.drop_incoming()


async def _part(executor: ImapExecutor, request: AppendPart) -> int | None:
    incoming, spot = executor.incoming, executor.spot(request.url.mailbox)
    assert incoming is not None
    if spot is None:
        return None

    def add() -> int | None:
        pieces = _octets_of(executor, spot, request)
        size = 0
        for piece in pieces or ():
            size += len(piece)
            if size > request.room:
                return size
            if incoming.add(piece):
                incoming.spool()
        return None if pieces is None else size

    return await executor.in_pool(add)


def _octets_of(executor: ImapExecutor, spot: Spot, request: AppendPart) -> Iterator[bytes] | None:
    """The octets that the URL names, with CRLF line ends; None when there are none. Raises Deferred."""
    host, url = executor.host, request.url
    row = mailbox_at(host.stores, spot)
    if row is None or "r" not in executor.rights(spot, row):
        return None
    if url.uidvalidity and url.uidvalidity != row.uidvalidity:
        return None
    section = url.section
    reader = Reader(host.stores, spot.holder.id, row.id, host.settings.imap.piece)
    content = reader.contents((url.uid,), Octets.ALL, parsed=bool(section.path)).get(url.uid)
    if content is None:
        return None
    start, end = 0, content.size
    if section != WHOLE and content.parsed is not None:
        found = locate(content.parsed, section)
        if found is None:
            return None
        start, end = found
    elif section.in_header:
        end = header_end(content.data)
    elif section.what is What.TEXT:
        start = header_end(content.data)
    pieces = _stored(content, start, end)
    if section.what is What.FIELDS:  # of a header larger than that only its beginning is looked at, as by FETCH
        pieces = iter([selected_fields(next(pieces, b""), section.names, invert=section.invert)])
    else:
        pieces = (piece.replace(b"\n", b"\r\n") for piece in pieces)
    return pieces if url.span is None else _within(pieces, *url.span)


def _stored(content: Content, start: int, end: int) -> Iterator[bytes]:
    """Stored octets. Raises Deferred, also where the file has become shorter meanwhile."""
    for at in range(start, end, READ):
        piece = stored(content, at, min(end, at + READ))
        if len(piece) != min(end, at + READ) - at:
            raise Deferred(Condition.STORE_UNAVAILABLE, "a message has become shorter")
        yield piece


def _within(pieces: Iterator[bytes], first: int, length: int | None) -> Iterator[bytes]:
    """`length` octets from `first` on, all from there where it is None."""
    end = None if length is None else first + length
    at = 0
    for piece in pieces:
        if part := piece[max(0, first - at) : None if end is None else max(0, end - at)]:
            yield part
        at += len(piece)
        if end is not None and at >= end:
            return


def _with_room_of(limits: Limits, replaced: MessageRow) -> Limits:
    """The limits of a store that loses a message when it gets the new one (RFC 8508 5)."""
    return replace(
        limits,
        bytes=limits.bytes and limits.bytes + replaced.size,
        messages=limits.messages and limits.messages + 1,
        room=None if limits.room is None else limits.room + replaced.size,
    )


async def _finish(executor: ImapExecutor, request: FinishAppend) -> Appended | Failure:
    incoming, executor.incoming = executor.incoming, None
    assert incoming is not None
    try:
        return await _put(executor, request, incoming)
    finally:
        incoming.drop()


async def _put(executor: ImapExecutor, request: FinishAppend, incoming: Incoming) -> Appended | Failure:
    stores, spot = executor.host.stores, executor.spot(request.mailbox)
    if spot is None or not spot.may("i"):
        return no_right(spot)
    holder = spot.holder
    source = executor.selected_spot() if request.replaces else spot
    if request.replaces and not source.may("te"):
        return no_right(source)
    reader = executor.reader(holder)

    def put() -> tuple[int, Appended] | Failure:
        limits = stores.limits(holder)
        if request.replaces:
            _, selected = executor.selected()
            replaced = stores.repository.message(source.holder.id, selected.id, request.replaces)
            if replaced is None:
                return Failure("EXPUNGEISSUED", "the message to replace is gone")
            limits = _with_room_of(limits, replaced) if source.holder.id == holder.id else limits
        try:
            given = incoming.contents()
            kept = [replace(each, flags=each.flags.replace("S", "")) for each in given] if reader else given
            rows = stores.append_all(holder, spot.mailbox, kept, limits)
        except NoSuchMailbox:
            return Failure("TRYCREATE", "no such mailbox")
        except InvalidMailboxName as error:
            return Failure("CANNOT", str(error))
        if request.replaces:
            stores.expunge(source.holder, mailbox_row(stores, source.holder.id, selected.id), [request.replaces])
        mailbox = stores.repository.mailbox(holder.id, spot.mailbox)
        if mailbox is None:
            return Failure("TRYCREATE", "it is gone")
        uids = [row.uid for row in rows]
        if read := [row.uid for row, each in zip(rows, given, strict=True) if reader and "S" in each.flags]:
            take_seen(stores, spot, mailbox, rows, read, reader)
        return mailbox.id, Appended(mailbox.uidvalidity, uids, stores.is_over_soft(holder))

    done = await executor.in_pool(put)
    if isinstance(done, Failure):
        return done
    if executor.session.selected is not None:
        contents, selected = executor.selected()
        if request.replaces or (executor.owner, selected.id) == (holder.id, done[0]):
            await catch_up(executor, contents)
    return done[1]


REQUESTS: dict[type, Callable[..., object]] = {
    BeginAppend: _begin,
    AppendPiece: _piece,
    AppendPart: _part,
    DropAppend: _drop,
    FinishAppend: _finish,
}
