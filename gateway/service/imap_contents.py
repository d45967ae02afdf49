"""Executes what FETCH and SEARCH ask about the content of messages.

The MIME scanner runs once in a message's life, at first sight; its result is kept in the repository's
cache. A message larger than `ImapSettings.piece` is never held whole, except to be scanned.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from directory.model import Condition, Deferred
from gateway.imap.content import (
    Candidates,
    Clock,
    Compute,
    Content,
    CountLines,
    Facts,
    FindCandidates,
    Octets,
    Pause,
    ReadContents,
    ReadFacts,
    ReadSpan,
    SearchContents,
    SkipOctets,
)
from gateway.imap.search_subject import Subject
from gateway.imap.view import Contents
from gateway.mime import PARSER_VERSION, Parsed, header_end, scan
from gateway.mime.line_ends import after_octets, crlf_length
from gateway.observe import metrics
from gateway.store.objectid import email_id
from gateway.store.repository import MailboxRow, MessageRow
from gateway.store.search_file import SearchFiles
from gateway.store.stores import Stores

if TYPE_CHECKING:
    from gateway.service.host import Host
    from gateway.service.imap_executor import ImapExecutor

HEAD = 16_384  # holds nearly every header; one that is longer costs a second read
READ = 262_144
AT_ONCE = 32  # messages of which the loop itself reads what is parsed
UNKNOWN = 200  # messages that a search has to look into, for which it is worth to bring the search file up to date
_WHOLE = threading.BoundedSemaphore(2)


class _Source:
    """An open file; closed when the last reference goes."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)


def _pread(fd: int, start: int, end: int) -> bytes:
    """[start, end) of a file, shorter only at its end. Raises Deferred."""
    pieces: list[bytes] = []
    try:
        while start < end and (piece := os.pread(fd, end - start, start)):
            pieces.append(piece)
            start += len(piece)
    except OSError as error:
        raise Deferred(Condition.STORE_UNAVAILABLE, f"reading a message: {error}") from error
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _pieces(fd: int, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    while start < end and (piece := _pread(fd, start, min(end, start + READ))):
        yield start, piece
        start += len(piece)


def _span(source: _Source, request: ReadSpan) -> bytes:
    return _pread(source.fd, request.start, request.end)


def _lines(source: _Source, request: CountLines) -> int:
    return sum(piece.count(b"\n") for _, piece in _pieces(source.fd, request.start, request.end))


def _skip(source: _Source, request: SkipOctets) -> tuple[int, bool]:
    octets = request.octets
    for at, piece in _pieces(source.fd, request.start, request.end):
        length = crlf_length(piece)
        if length > octets:
            further, half = after_octets(piece, octets)
            return at + further, half
        octets -= length
    return request.end, False


def _scan_whole(fd: int, size: int) -> Parsed:
    """Scan a message larger than a piece; only a few at the same time, since each is held whole."""
    with _WHOLE:
        return scan(_pread(fd, 0, size))


class Reader:
    """Reads messages of one mailbox, in the pool."""

    def __init__(self, stores: Stores, account: str, mailbox: int, piece: int) -> None:
        self._stores = stores
        self._account = account
        self._mailbox = mailbox
        self._piece = piece

    def known(self, uids: Collection[int]) -> dict[int, Content] | None:
        """What is parsed already of all these messages, without waiting; None when that cannot be said of each."""
        blobs = self._stores.repository.parsed(self._account, self._mailbox, uids, PARSER_VERSION, waits=False)
        if len(blobs) < len(uids):
            return None
        found = {uid: Parsed.decode(blob) for uid, blob in blobs.items()}
        whole = {uid: Content(0, parsed=parsed) for uid, parsed in found.items() if parsed is not None}
        return whole if len(whole) == len(found) else None

    def contents(self, uids: Collection[int], octets: Octets, *, parsed: bool) -> dict[int, Content]:
        """What was asked for of each message that is there. Raises Deferred."""
        repository = self._stores.repository
        known: dict[int, Parsed] = {}
        if parsed:
            for uid, blob in repository.parsed(self._account, self._mailbox, uids, PARSER_VERSION).items():
                found = Parsed.decode(blob)
                if found is not None:
                    known[uid] = found
            if octets is Octets.NONE and len(known) == len(uids):
                return {uid: Content(0, parsed=found) for uid, found in known.items()}
        row = repository.mailbox_by_id(self._account, self._mailbox)
        if row is None:
            return {}
        contents: dict[int, Content] = {}
        fresh: dict[int, bytes] = {}
        for message in repository.messages_of(self._account, self._mailbox, uids):
            before = known.get(message.uid)
            if octets is Octets.NONE and before is not None:
                contents[message.uid] = Content(0, parsed=before)
                continue
            try:
                content = self._content(row, message, octets, before, parsed=parsed)
            except FileNotFoundError:
                continue
            contents[message.uid] = content
            if content.parsed is not None and content.parsed is not before:
                fresh[message.uid] = content.parsed.encode()
        if fresh:
            repository.put_parsed(self._account, self._mailbox, fresh, PARSER_VERSION)
        return contents

    def _content(
        self, mailbox: MailboxRow, message: MessageRow, octets: Octets, before: Parsed | None, *, parsed: bool
    ) -> Content:
        try:
            with self._stores.open_file(self._account, mailbox, message) as file:
                fd = file.fileno()
                size = os.fstat(fd).st_size
                data = _pread(fd, 0, size if size <= self._piece and octets is not Octets.HEADER else min(size, HEAD))
                if b"\r\n" in data:  # of another program; the rest of Gatepost knows LF line ends only
                    data = _pread(fd, 0, size).replace(b"\r\n", b"\n")
                    size = len(data)
                if before is not None and before.root.end != size:
                    before = None  # of another file: what is kept is a guess, the file is the truth
                is_cut = len(data) < size and header_end(data) == len(data)
                if is_cut:
                    data = _pread(fd, 0, min(size, self._piece))
                    is_cut = len(data) < size and header_end(data) == len(data)
                if before is None and (parsed or is_cut):
                    before = scan(data) if len(data) == size else _scan_whole(fd, size)
                if octets is Octets.NONE:
                    return Content(0, parsed=before)
                return Content(size, data, before, None if len(data) == size else _Source(os.dup(fd)))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"{message.name}: {error}") from error

    def search(self, request: SearchContents) -> dict[int, bool | None]:
        """Test each message that is there. Raises Deferred."""
        uids = [message.uid for message in request.messages]
        has_header, has_body = request.octets >= Octets.HEADER, request.octets is Octets.ALL
        contents = self.contents(uids, request.octets, parsed=request.parsed)
        answers: dict[int, bool | None] = {}
        for message in request.messages:
            content = contents.pop(message.uid, None)
            if content is not None:
                subject = Subject(content, partial(stored, content), has_header=has_header, has_body=has_body)
                answers[message.uid] = request.test(message, subject)
        return answers


def stored(content: Content, start: int, end: int) -> bytes:
    if end <= len(content.data):
        return content.data[start:end]
    assert isinstance(content.source, _Source)
    return _pread(content.source.fd, start, end)


def _reader(executor: ImapExecutor, visited: Contents | None = None) -> Reader:
    """Of the selected mailbox, or of one that is looked at beside it, to which there was a right a moment ago."""
    host = executor.host
    if visited is not None:
        return Reader(host.stores, visited.key[0], visited.key[1], host.settings.imap.piece)
    assert executor.mailbox is not None
    return Reader(host.stores, executor.selected_holder().id, executor.mailbox.id, host.settings.imap.piece)


async def _read_contents(executor: ImapExecutor, request: ReadContents) -> dict[int, Content]:
    reader = _reader(executor)
    if request.parsed and request.octets is Octets.NONE and len(request.uids) <= AT_ONCE:
        known = reader.known(request.uids)  # a read of the index waits for nobody, a hop to the pool costs more
        if known is not None:
            return known
    return await executor.in_pool(lambda: reader.contents(request.uids, request.octets, parsed=request.parsed))


async def _read_facts(executor: ImapExecutor, request: ReadFacts) -> dict[int, Facts]:
    repository = executor.host.stores.repository
    if request.visited is not None:
        account, mailbox, _ = request.visited.key
    else:
        account, mailbox = executor.selected_holder().id, executor.selected()[1].id

    def read() -> dict[int, Facts]:
        rows = repository.messages_of(account, mailbox, request.uids)
        return {row.uid: Facts(email_id(row), row.savedate) for row in rows}

    return await executor.in_pool(read)


async def _search_contents(executor: ImapExecutor, request: SearchContents) -> dict[int, bool | None]:
    return await executor.in_pool(partial(_reader(executor, request.visited).search, request))


def search_files(host: Host) -> SearchFiles:
    """The search files of a host."""
    return SearchFiles(Path(host.settings.state_dir) / "index" / "search")


async def _find_candidates(executor: ImapExecutor, request: FindCandidates) -> Candidates:
    contents = request.visited if request.visited is not None else executor.selected()[0]
    if executor.host.stores.settings.search.accounts == "none":
        return Candidates()
    (account, mailbox, _), files = contents.key, search_files(executor.host)

    def find() -> Candidates:
        answer = files.candidates(account, mailbox, contents.uidvalidity, request.texts)
        if request.count - len(answer.known) >= UNKNOWN or not files.exists(account):
            files.wish(account)
        metrics.count(metrics.SEARCHES, "messages" if len(answer.known) * 2 < request.count else "search file")
        return Candidates(answer.known, answer.holding)

    return await executor.in_pool(find)


async def _in_file(
    work: Callable[[_Source, Any], object], executor: ImapExecutor, request: ReadSpan | CountLines | SkipOctets
) -> object:
    assert isinstance(request.source, _Source)
    return await executor.in_pool(partial(work, request.source, request))


async def _compute(executor: ImapExecutor, request: Compute) -> object:
    return await executor.in_pool(request.work)


async def _pause(_: ImapExecutor, __: Pause) -> None:
    await asyncio.sleep(0)


def _clock(_: ImapExecutor, __: Clock) -> float:
    return time.time()


REQUESTS: dict[type, Callable[..., object]] = {
    ReadContents: _read_contents,
    ReadFacts: _read_facts,
    SearchContents: _search_contents,
    FindCandidates: _find_candidates,
    ReadSpan: partial(_in_file, _span),
    CountLines: partial(_in_file, _lines),
    SkipOctets: partial(_in_file, _skip),
    Compute: _compute,
    Pause: _pause,
    Clock: _clock,
}
