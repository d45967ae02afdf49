"""Executes what an IMAP session asks in order to change messages of the selected mailbox."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING

from directory.model import Condition, Deferred
from gateway.imap.flags import DELETED
from gateway.imap.ports import Copied, Copy, Expunge, Failure, Mode, Stored, StoreFlags
from gateway.imap.rights import allowed_flags
from gateway.service.imap_selecting import catch_up, rows_of
from gateway.service.imap_shared import Spot, mailbox_at
from gateway.store.errors import InvalidMailboxName, NoSuchMailbox
from gateway.store.flags import KEYWORDS, LETTERS
from gateway.store.repository import MailboxRow, MessageRow
from gateway.store.stores import Stores

if TYPE_CHECKING:
    from gateway.service.imap_executor import ImapExecutor


def no_right(spot: Spot | None) -> Failure:
    """Why it cannot be done there: the place is not known to the session, or a right is missing."""
    if spot is None:
        return Failure("NOPERM", "no such shared mailbox, or no right to it")
    if "l" not in spot.rights:
        return Failure("NOPERM", "no such shared mailbox, or no right to it")
    return Failure("NOPERM", "there is no right to do this here")


def too_many_keywords(executor: ImapExecutor, account: str, keywords: str) -> Failure | None:
    """Why messages of an account may not get these keywords. Reads all its messages: only for new keywords."""
    limit = executor.host.settings.imap.max_keywords
    known = {word.lower() for word in executor.host.stores.repository.keywords(account)}
    if len(known.union(keywords.lower().split())) > max(limit, len(known)):
        return Failure("LIMIT", f"an account has at most {limit} keywords")
    return None


async def _store_flags(executor: ImapExecutor, request: StoreFlags) -> Stored | Failure:
    contents, mailbox = executor.selected()
    spot, stores = executor.selected_spot(), executor.host.stores
    account = spot.holder.id
    letters, keywords = allowed_flags(request.letters, spot.rights), request.keywords if spot.may("w") else ""
    within = None if spot.may("stw") else allowed_flags(LETTERS, spot.rights) + (KEYWORDS if spot.may("w") else "")
    is_nothing = not (letters or keywords) and (request.letters or request.keywords or request.mode != "replace")
    if within == "" or (is_nothing and within is not None):
        return Failure("NOPERM", "there is no right to change these flags")
    if keywords and request.mode != "remove":
        known = {word.decode("ascii").lower() for word in contents.keywords()}
        if not known.issuperset(keywords.lower().split()):
            failure = await executor.in_pool(partial(too_many_keywords, executor, account, keywords))
            if failure is not None:
                return failure
    before = contents.modseq

    def change() -> tuple[list[MessageRow], list[int], int]:
        changed, failed = stores.repository.store_flags(
            account,
            mailbox.id,
            request.uids,
            request.mode,
            letters,
            keywords,
            request.unchanged_since,
            within,
            reader=contents.key[2],
        )
        stores.changed(account, mailbox.id, changed)
        latest = max((row.modseq for row in changed), default=0)
        if len(changed) < len(request.uids):  # the others are as asked already, or not as they are known here
            latest = mailbox_row(stores, account, mailbox.id).highestmodseq
        return changed, failed, latest

    changed, failed, latest = await executor.in_pool(change)
    modseqs = {row.modseq for row in changed}
    alone = not modseqs or max(modseqs) - before == len(modseqs)
    if modseqs and alone and contents.modseq == before:
        contents.apply(rows_of(changed), (), uidnext=contents.uidnext, modseq=max(modseqs))
    if contents.modseq < latest:
        await catch_up(executor, contents)
    return Stored(failed, before, alone, max(modseqs, default=before))


def mailbox_row(stores: Stores, account: str, mailbox: int) -> MailboxRow:
    """The mailbox as it is now: it may have been renamed. Raises Deferred when it is gone."""
    row = stores.repository.mailbox_by_id(account, mailbox)
    if row is None:
        raise Deferred(Condition.STORE_UNAVAILABLE, f"mailbox {mailbox} of {account} is gone")
    return row


async def _expunge(executor: ImapExecutor, request: Expunge) -> Failure | None:
    contents, mailbox = executor.selected()
    spot, stores = executor.selected_spot(), executor.host.stores
    if not spot.may("e"):
        return no_right(spot)
    holder = spot.holder
    await catch_up(executor, contents)
    uids = contents.flagged(DELETED)
    if request.uids is not None:
        wanted = set(request.uids)
        uids = [uid for uid in uids if uid in wanted]
    if uids:
        await executor.in_pool(lambda: stores.expunge(holder, mailbox_row(stores, holder.id, mailbox.id), uids))
        await catch_up(executor, contents)
    return None


def _restrain(stores: Stores, spot: Spot, target: MailboxRow, copies: list[MessageRow]) -> None:
    """Copies have no flags that one with these rights could not have set (RFC 4314 4). Raises Deferred."""
    allowed = allowed_flags(LETTERS, spot.rights)
    for row in copies:
        extra = "".join(letter for letter in row.flags if letter not in allowed)
        words = "" if spot.may("w") else row.keywords
        if extra or words:
            rows, _ = stores.repository.store_flags(spot.holder.id, target.id, [row.uid], "remove", extra, words)
            stores.changed(spot.holder.id, target.id, rows)


def take_seen(
    stores: Stores, spot: Spot, target: MailboxRow, rows: list[MessageRow], read: list[int], reader: str
) -> None:
    """Messages that came from elsewhere are seen there by whoever brought them, as far as they were seen before;
    where each has an own \\Seen by nobody else. Raises Deferred."""

    def mark(mode: Mode, uids: Collection[int], whose: str = "") -> None:
        changed, _ = stores.repository.store_flags(spot.holder.id, target.id, uids, mode, "S", "", reader=whose)
        stores.changed(spot.holder.id, target.id, changed)

    marked, wanted = {row.uid for row in rows if "S" in row.flags}, set(read) if spot.may("s") else set[int]()
    if reader:
        mark("remove", marked)
        mark("add", wanted, reader)
    else:
        mark("remove", marked - wanted)
        mark("add", wanted - marked)


async def _copy(executor: ImapExecutor, request: Copy) -> Copied | Failure:
    contents, mailbox = executor.selected()
    source, stores, spot = executor.selected_spot(), executor.host.stores, executor.spot(request.mailbox)
    if spot is None or not spot.may("i"):
        return no_right(spot)
    if request.is_move and not source.may("te"):
        return no_right(source)
    holder, into = source.holder, spot.holder

    def copy() -> Copied | Failure:
        target = mailbox_at(stores, spot)
        if target is None:
            return Failure("TRYCREATE", "no such mailbox")
        row = mailbox_row(stores, holder.id, mailbox.id)
        try:
            if request.is_move and (into.id, target.id) == (holder.id, row.id):
                raise InvalidMailboxName("the messages are there already")
            act = stores.move if request.is_move else stores.copy
            reader, seen = contents.key[2], set[int]()
            if reader and into.id != holder.id:
                seen = stores.repository.seen_by(holder.id, row.id, request.uids, reader)
            pairs = act(holder, row, request.uids, spot.mailbox, into=into)
            _restrain(stores, spot, target, [new for _, new in pairs])
            if into.id != holder.id:
                read = [new.uid for old, new in pairs if (old.uid in seen if reader else "S" in old.flags)]
                take_seen(stores, spot, target, [new for _, new in pairs], read, executor.reader(into))
        except NoSuchMailbox:
            return Failure("TRYCREATE", "no such mailbox")
        except InvalidMailboxName as error:
            return Failure("CANNOT", str(error))
        return Copied(target.uidvalidity, [(source.uid, new.uid) for source, new in pairs])

    try:
        return await executor.in_pool(copy)
    finally:
        # also when a part of them was moved before it failed
        if request.is_move or (into.id, spot.mailbox) == (holder.id, mailbox.name):
            await catch_up(executor, contents)


REQUESTS: dict[type, Callable[..., object]] = {StoreFlags: _store_flags, Expunge: _expunge, Copy: _copy}
