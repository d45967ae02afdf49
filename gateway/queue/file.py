"""The queue file: the truth about a message that was accepted and is not delivered yet.

    gatepost-queue 4 <octets of the envelope block>\n
    <envelope block: one JSON object>\n
    <message: header and body, LF line ends, without Return-Path>

States of a message and who cleans up after a crash:

    tmp/<id>  message/<id>  rows in queue.db   meaning
    yes       no            no                 being written; nobody answered for it; removed at start
    no        yes           no                 ACCEPTED; rows are made from the envelope block
    no        yes           yes                accepted, at work
    no        yes           all done           delivered; the file is removed
    no        no            yes                rows of a removed file; removed at start

The instant of commitment is the fsync of the folder `message/` behind the rename: 250 comes after it.

A field that the envelope block did not have before raises VERSION: to pass over one that says "not yet" or "for the
moderators only" would deliver wrongly. Earlier versions had fewer fields and are read; what a later one wrote is left
for it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from io import FileIO
from itertools import chain
from pathlib import Path

import msgspec

from directory.model import Condition, Deferred
from gateway.files.commit import Grouped
from gateway.files.durable import sync_folder, write_synced
from gateway.queue.settings import QueueSettings

VERSION, OLDEST = 4, 1
MESSAGES = "message"
MAGIC = b"gatepost-queue"
MAX_ENVELOPE = 16 * 1024 * 1024
PIECE = 65536
FIRST = 16384  # octets that are read at once; a file that ends within them is not opened again
COUNT_SECONDS = 5.0


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One target. `account` is an entry id, "" where the address is to be routed at each attempt."""

    address: str
    account: str = ""
    #: None: the envelope's
    return_path: str | None = None
    #: NEVER, or what the sender wants to be told: SUCCESS, FAILURE, DELAY; () = not given (RFC 3461 4.1)
    notify: tuple[str, ...] = ()
    #: ORCPT as it came
    orcpt: str = ""
    #: the address that the client gave, where another one came of it
    original: str = ""
    #: of the account, "" = INBOX
    mailbox: str = ""
    #: behind the address of the account, whose rules are to be followed; None = they were
    extension: str | None = None
    #: entry id of the list whose copy this target gets
    list: str = ""
    #: a post for the moderators of `list`, not for its members
    is_held: bool = False


class QueuedEnvelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The envelope block. `size` counts the message as stored, `crlf` as sent."""

    id: str
    return_path: str
    arrival: float
    targets: tuple[Target, ...]
    size: int
    crlf: int
    parameters: dict[str, str] = {}
    #: entry id of the account that was logged in
    login: str = ""
    #: a login, SPF or DKIM vouches for the return path: it may be told what became of the message
    vouched: bool = False
    #: a report to the postmaster that a report failed: nothing is said about this one any more
    double_bounce: bool = False
    #: not tried before this moment (RFC 4865)
    not_before: float = 0.0
    #: written by this host, by one of its programs or by somebody who was logged in: DKIM signs it on its way out
    is_ours: bool = False
    #: what is delivered here goes to the mailbox for junk
    is_junk: bool = False
    #: who may look at it and drop it: entry id of the account that submitted it, or `uid 1000` of a unix user; "" = nobody
    owner: str = ""
    #: a journal's copy, of this domain: when it fails for good the postmaster gets it
    journal_of: str = ""

    @property
    def began(self) -> float:
        """When its time in the queue began: `queue.lifetime` and the like count from here."""
        return max(self.arrival, self.not_before)

    def path_of(self, target: Target) -> str:
        """The return path of one target."""
        return self.return_path if target.return_path is None else target.return_path


def unix_owner(uid: int) -> str:
    """The owner of what a unix user hands in. No entry id has a blank."""
    return f"uid {uid}"


def made_of(message: str) -> Iterator[str]:
    """Ids of messages of which this one may have been made: a report is called `<id>.<hash>`, what rules led to
    `<id>.R<hash>`, so that it has the same name when it is made again after a crash."""
    while message := message.rpartition(".")[0]:
        yield message


class Damaged(ValueError):
    """A file in the queue's folder that cannot be read as a queue file; the message says why."""


class Newer(Damaged):
    """A queue file that a later version of Gatepost wrote: nothing is wrong with it, this one cannot use it."""


def _unavailable(error: OSError, where: str) -> Deferred:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return Deferred(Condition.QUEUE_FULL if full else Condition.QUEUE_UNAVAILABLE, f"{where}: {error}")


def read_envelope(path: Path) -> QueuedEnvelope:
    """The envelope block of a queue file. Raises Damaged, OSError."""
    with _opened(str(path)) as file:
        return _envelope(file.read(FIRST), file, path.name)[0]


def _opened(path: str) -> FileIO:
    """Raises Damaged for what is no file, OSError."""
    try:
        # a pipe would keep the process waiting, and a link leads out of the queue
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise Damaged(f"{os.path.basename(path)}: no file") from error
        raise
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise Damaged(f"{os.path.basename(path)}: no file")
    return FileIO(opened)


def _envelope(first: bytes, file: FileIO, message: str) -> tuple[QueuedEnvelope, int]:
    """The envelope block, and where the message begins. `first` are the first octets of the file, the next ones
    are read from it."""
    line, newline, _ = first[:64].partition(b"\n")
    words = line.split()
    if len(words) != 3 or not newline or words[0] != MAGIC or not (words[1].isdigit() and words[2].isdigit()):
        raise Damaged(f"{message}: no queue file")
    if int(words[1]) > VERSION:
        raise Newer(f"{message}: written by a newer version ({int(words[1])})")
    size = int(words[2])
    if int(words[1]) < OLDEST or size > MAX_ENVELOPE:
        raise Damaged(f"{message}: no queue file")
    start = len(line) + 1
    block = first[start : start + size]
    while len(block) < size:
        more = file.read(size - len(block))
        if not more:
            break
        block += more
    try:
        envelope = msgspec.json.decode(block, type=QueuedEnvelope)
    except msgspec.MsgspecError as error:
        raise Damaged(f"{message}: {error}") from error
    if not envelope.targets:
        raise Damaged(f"{message}: it is for nobody")
    start += size + 1
    if (there := os.fstat(file.fileno()).st_size - start) != envelope.size:
        raise Damaged(f"{message}: {there} octets of a message of {envelope.size}")
    return envelope, start


class QueuedMessage:
    """A message in the queue. A small one was read whole, another one is read again each time."""

    __slots__ = ("_path", "_start", "_whole", "envelope")

    def __init__(self, path: str) -> None:
        """Raises Damaged, OSError."""
        with _opened(path) as file:
            first = file.read(FIRST)
            self.envelope, self._start = _envelope(first, file, os.path.basename(path))
        is_whole = self._start + self.envelope.size == len(first)
        self._path = path
        self._whole = first[self._start :] if is_whole else None

    def content(self) -> Iterator[bytes]:
        """The message in pieces, from its beginning. Raises OSError."""
        if self._whole is not None:
            return iter((self._whole,))
        return self._pieces()

    def _pieces(self) -> Iterator[bytes]:
        with open(self._path, "rb") as file:
            file.seek(self._start)
            while piece := file.read(PIECE):
                yield piece


class QueueFolder:
    """The queue's files. Any number of processes inject; one runner removes."""

    def __init__(self, folder: Path, settings: QueueSettings) -> None:
        self.folder = folder
        self.messages = folder / MESSAGES
        self._tmp = folder / "tmp"
        self._settings = settings
        self._counted_at = 0.0
        #: the folder's sync, shared by those who inject at the same moment
        self._names = Grouped(lambda: sync_folder(str(self.messages)))
        for each in (self._tmp, self.messages):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _check_room(self, *, is_report: bool) -> None:
        now = time.monotonic()
        if now - self._counted_at < COUNT_SECONDS:
            return
        if shutil.disk_usage(self.folder).free < self._settings.min_free_bytes:
            raise Deferred(
                Condition.QUEUE_FULL, f"{self.folder}: less than {self._settings.min_free_bytes} octets free"
            )
        # a report takes the place of what it is about: else a queue full of failures could never tell of them
        if is_report:
            return
        if sum(1 for _ in os.scandir(self.messages)) >= self._settings.max_messages:
            raise Deferred(Condition.QUEUE_FULL, f"{self.folder}: {self._settings.max_messages} messages wait")
        self._counted_at = now

    def inject(self, envelope: QueuedEnvelope, pieces: Sequence[bytes], *, is_report: bool = False) -> None:
        """Take a message into the queue, on disk when it returns; a report also where no more are taken.

        Raises Deferred.
        """
        self.write(envelope, pieces, is_report=is_report)
        self.commit(envelope.id)

    def write(self, envelope: QueuedEnvelope, pieces: Sequence[bytes], *, is_report: bool = False) -> None:
        """Have a message on disk that is not in the queue before `commit`. Raises Deferred."""
        block = msgspec.json.encode(envelope)
        if len(block) > MAX_ENVELOPE:
            raise Deferred(Condition.QUEUE_FULL, "the envelope is too large for a queue file")
        temporary = f"{self._tmp}/{envelope.id}"
        try:
            self._check_room(is_report=is_report)
            head = b"%s %d %d\n%s\n" % (MAGIC, VERSION, len(block), block)
            try:
                write_synced(temporary, chain((head,), pieces))
            except FileExistsError:
                # a report has the same name when it is made again; a crash left the first try
                os.unlink(temporary)
                write_synced(temporary, chain((head,), pieces))
        except OSError as error:
            raise _unavailable(error, temporary) from error

    def commit(self, message: str) -> None:
        """Take a written message into the queue, on disk when it returns. Raises Deferred; then it is not there,
        unless the folder's own sync failed."""
        temporary = f"{self._tmp}/{message}"
        try:
            try:
                os.rename(temporary, f"{self.messages}/{message}")
            except OSError:
                os.unlink(temporary)
                raise
            self._names.wait()
        except OSError as error:
            raise _unavailable(error, temporary) from error

    def unfinished(self, before: float) -> Iterator[str]:
        """Names of what was begun before that time and neither committed nor discarded since: a crash came between,
        most likely, and it may be half written. Raises OSError."""
        with os.scandir(self._tmp) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    if entry.stat(follow_symlinks=False).st_mtime < before:
                        yield entry.name

    def read_unfinished(self, name: str) -> QueuedEnvelope | None:
        """The envelope of one of these where it was written whole. Raises OSError."""
        with contextlib.suppress(Damaged, FileNotFoundError):
            return read_envelope(self._tmp / name)
        return None

    def discard(self, message: str) -> None:
        """Forget a written message; one that stays behind is removed by `clean`."""
        with contextlib.suppress(OSError):
            os.unlink(self._tmp / message)

    def names(self) -> Iterator[str]:
        """Every message in the queue, in no order; a name that no version has ever given is none. Raises OSError."""
        with os.scandir(self.messages) as entries:
            for entry in entries:
                if entry.name.isascii():
                    yield entry.name

    def ids(self) -> set[str]:
        """The same, for those who want all at once."""
        return set(self.names())

    def read(self, message: str) -> QueuedEnvelope:
        """The envelope block. Raises Damaged, OSError."""
        return read_envelope(self.messages / message)

    def open(self, message: str) -> QueuedMessage:
        """A message with its envelope block. Raises Damaged, OSError."""
        return QueuedMessage(f"{self.messages}/{message}")

    def content(self, message: str) -> Iterator[bytes]:
        """The message behind the envelope block, in pieces. Raises Damaged, OSError."""
        return self.open(message).content()

    def remove(self, message: str) -> None:
        """Take a finished message out. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self.messages}/{message}")

    def clean(self) -> None:
        """Remove what a crash left half written; only while nobody injects into it (older than an hour)."""
        for name in self.unfinished(time.time() - 3600):
            with contextlib.suppress(OSError):
                os.unlink(self._tmp / name)
