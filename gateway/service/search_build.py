"""Fills the search files of accounts: a portion at a time, in the background, from where it stopped last.

Delivery knows nothing of it: a message that is not in the file yet is looked into by the search itself. What goes wrong
here costs time of searches and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from functools import partial

from directory.model import Condition, Deferred, MailboxHolder
from gateway.imap.content import Octets
from gateway.imap.search_subject import folded
from gateway.mime import decoded_text
from gateway.observe import maillog, metrics
from gateway.observe.log import fields
from gateway.service.host import Host
from gateway.service.imap_contents import Reader, search_files, stored
from gateway.store.objectid import email_id
from gateway.store.repository import MailboxRow, MessageRow, Repository
from gateway.store.search_file import Damaged, Kept, Progress, SearchBuild, SearchFiles

WISH_SECONDS = 2.0  # between two looks at what was asked for
ACCOUNTS = 500
PAGE = 1_000  # rows of the index that are read at once
BATCH = 64  # messages that become one transaction
BATCH_OCTETS = 4 << 20  # stored octets of them, unless it is one message
SLICE_SECONDS = 1.0  # until the thread is given back
_log = logging.getLogger("gatepost.store")


class SearchBuilder:
    """Builds files; its calls belong in the pool."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.files: SearchFiles = search_files(host)
        self._settings = host.stores.settings.search
        self._piece = host.settings.imap.piece

    def build(self, account: str, seconds: float = SLICE_SECONDS) -> bool:
        """Work at an account's file for about so long; True when it is up to date, or as large as it may be.

        Raises Deferred.
        """
        until = time.monotonic() + seconds
        try:
            return self._build(account, until)
        except Damaged as error:
            _log.warning("%s", fields(event="search-file-removed", account=account, detail=str(error)))
            self.files.remove(account)
        try:
            return self._build(account, until)
        except Damaged as error:  # a new one, too: this SQLite cannot do it, or the disk is broken
            raise Deferred(Condition.STORE_UNAVAILABLE, str(error)) from error

    def _build(self, account: str, until: float) -> bool:
        repository = self._host.stores.repository
        mailboxes = repository.mailboxes(account)
        with self.files.building(account) as build:
            build.forget_mailboxes([row.id for row in mailboxes])
            for row in mailboxes:
                progress = build.progress(row.id, row.uidvalidity)
                while progress.modseq < row.highestmodseq:
                    if self.files.octets(account) > self._settings.max_file:
                        self._forget_expunged(repository, build, account, row, progress.modseq)
                        break  # it may only lose something
                    if time.monotonic() > until:
                        return False
                    progress = self._step(repository, build, account, row, progress, until)
            is_bloated = build.is_bloated()
        if is_bloated:
            self.files.remove(account)
        return not is_bloated

    def _step(
        self,
        repository: Repository,
        build: SearchBuild,
        account: str,
        row: MailboxRow,
        progress: Progress,
        until: float,
    ) -> Progress:
        """The next page of a mailbox, or as much of it as there is time for; where it stands then."""
        since, goal, last = progress
        if not goal:
            self._forget_expunged(repository, build, account, row, since)
            goal, last = row.highestmodseq, 0
        page = repository.outline(account, row.id, after_modseq=since, after_uid=last, limit=PAGE)
        uids = [each[0] for each in page]
        rows = repository.messages_of(account, row.id, build.missing(row.id, uids))
        for batch in _batches(rows):
            if time.monotonic() > until:
                last = batch[0].uid - 1
                break
            build.add(row.id, self._kept(build, account, row, batch))
            metrics.count(metrics.SEARCH_INDEXED, number=len(batch))
        else:
            last = uids[-1] if uids else last
            if len(uids) < PAGE:
                since, goal, last = goal, 0, 0
        progress = Progress(since, goal, last)
        build.set_progress(row.id, progress)
        return progress

    @staticmethod
    def _forget_expunged(repository: Repository, build: SearchBuild, account: str, row: MailboxRow, since: int) -> None:
        # tombstones that are pruned leave a place behind, which no view asks for
        if since:
            build.forget(row.id, [uid for uid, _ in repository.expunged(account, row.id, since)])

    def _kept(self, build: SearchBuild, account: str, row: MailboxRow, batch: Sequence[MessageRow]) -> list[Kept]:
        names = {each.uid: f"{email_id(each)} {each.size}" for each in batch}
        unknown = [uid for uid, name in names.items() if not build.has(name)]
        texts = self._texts(account, row.id, unknown)
        return [Kept(uid, name, texts.get(uid)) for uid, name in names.items()]

    def _texts(self, account: str, mailbox: int, uids: Sequence[int]) -> dict[int, str]:
        """All text of each message as searches compare it; of those that are gone or have too much none."""
        found: dict[int, str] = {}
        contents = Reader(self._host.stores, account, mailbox, self._piece).contents(uids, Octets.ALL, parsed=True)
        for uid in uids:
            content = contents.pop(uid, None)
            if content is None or content.parsed is None:
                continue
            texts: list[str] = []
            size = 0
            for text in decoded_text(partial(stored, content), content.parsed, headers=True):
                texts.append(folded(text))
                size += len(texts[-1])
                if size > self._settings.max_text:
                    break
            else:
                found[uid] = "\n".join(texts)
        return found


def _batches(rows: Sequence[MessageRow]) -> list[list[MessageRow]]:
    batches: list[list[MessageRow]] = []
    octets = 0
    for row in rows:
        if not batches or len(batches[-1]) == BATCH or octets + row.size > BATCH_OCTETS:
            batches.append([])
            octets = 0
        batches[-1].append(row)
        octets += row.size
    return batches


async def build_whole(host: Host, builder: SearchBuilder, account: str) -> None:
    """Bring an account's file up to date, with as much rest as work between. Raises Deferred."""
    entry = host.directory.by_id(account)
    volume = host.stores.volume_name(entry) if isinstance(entry, MailboxHolder) else ""
    while True:
        begun = time.monotonic()
        if await host.in_pool(partial(builder.build, account), volume):
            return
        await asyncio.sleep(min(time.monotonic() - begun, 2 * SLICE_SECONDS))


async def build_for_ever(host: Host) -> None:
    """Build what searches ask for, and keep up to date what is there. What goes wrong with one account does not keep the
    others waiting."""
    if not host.stores.has_index:
        return
    builder = SearchBuilder(host)
    next_round = time.monotonic() + host.settings.store.sweep
    while True:
        await asyncio.sleep(WISH_SECONDS)
        try:
            await _fulfil_all(host, builder)
            if time.monotonic() >= next_round:
                await go_round(host, builder)
                next_round = time.monotonic() + host.settings.store.sweep
        except (Deferred, OSError) as error:
            _log.warning("%s", fields(event="search-files", detail=str(error)))


async def go_round(host: Host, builder: SearchBuilder) -> None:
    """Bring every account's file up to date and forget those of accounts that are gone. Raises Deferred, OSError."""
    wanted, names, after = host.stores.settings.search.accounts, set[str](), ""
    while rows := await host.in_pool(partial(host.stores.repository.accounts, after, ACCOUNTS)):
        after = rows[-1].account
        for row in rows:
            if wanted == "none":
                continue
            names.add(builder.files.name(row.account))
            if wanted == "all" or builder.files.exists(row.account):
                await _fulfil(host, builder, row.account)
                await _fulfil_all(host, builder)
    await host.in_pool(partial(builder.files.keep_only, names))


async def _fulfil_all(host: Host, builder: SearchBuilder) -> None:
    for account in await host.in_pool(builder.files.wished):
        await _fulfil(host, builder, account)


async def _fulfil(host: Host, builder: SearchBuilder, account: str) -> None:
    try:
        # what is asked for while it is built is asked for anew
        await host.in_pool(partial(builder.files.fulfilled, account))
        await build_whole(host, builder, account)
    except Deferred as error:
        _log.warning("%s", fields(event="search-not-built", account=account, detail=str(error)))
    except Exception:
        maillog.bug(where=f"building the search file of {account}")
