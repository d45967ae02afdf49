"""One store out of the file that `gateway.store.exporting` wrote: all of it, or nothing.

Everything is unpacked and verified in a folder beside the place of the Maildir, put on disk, and then renamed to it;
its rows are made of the files, as after the loss of an index, so that UIDs, UIDVALIDITY, flags, keywords, dates,
rights, annotations and subscriptions are those of the file. MODSEQs begin above all that were ever given. Killed
before the rename, there is a folder that no program looks into and that the next import removes; killed behind it,
the next look at the account makes the rows.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import os
import secrets
import shutil
import tarfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import IO, Any

from directory.model import Condition, Deferred, MailboxHolder
from gateway.files.durable import make_folders, rename_unique, sync_file, sync_folder, write_synced
from gateway.store import archive, markers
from gateway.store.archive import ArchiveProblem
from gateway.store.errors import StoreHoldsMail
from gateway.store.exporting import Carried, Exporting
from gateway.store.layout import PLACES
from gateway.store.opening import trouble
from gateway.store.rebuilding import restore_account
from gateway.store.repository import INBOX_ID


@dataclass(slots=True)
class Imported(Carried):
    """What an import did: whose store the file was, and where the store lies now that stood there before."""

    account: str = ""
    replaced: str = ""
    #: messages that came while the stores were exchanged; they are in the new one
    came: int = 0
    folders: set[str] = field(default_factory=set)


def _later(_: int) -> None:
    """In place of a sync that comes behind the last file."""


class Importing(Exporting):
    """Part of Stores."""

    def import_(
        self,
        holder: MailboxHolder,
        source: IO[bytes],
        *,
        replace: bool = False,
        on_progress: Callable[[Carried], None] = lambda _: None,
    ) -> Imported:
        """Make what `source` holds the store of a holder; quotas do not count.

        A store with messages is replaced only where `replace` says so, and is kept beside the new one. Raises
        StoreHoldsMail, ArchiveProblem, Deferred.
        """
        path, volume = self._computed_path(holder)
        markers.check_volume(volume.path)
        self._check_rebind(holder)
        if not replace:
            self._check_empty(holder, path)
        parent = os.path.dirname(path)
        with trouble(path):
            make_folders(os.path.normpath(volume.path), parent)
            with _alone(parent, os.path.basename(path)) as building:
                done = _unpack(source, building, on_progress)
                markers.write_account(building, holder.id, holder.addresses)
                _put_on_disk(building, done.folders)
                if not replace:
                    self._check_empty(holder, path)
                self._exchange(holder, building, path, done)
        self.open(holder)
        return done

    def unpack(self, holder: MailboxHolder, source: IO[bytes], path: str) -> Imported:
        """Make what `source` holds the Maildir `path` of a holder, where nothing is yet; no index is touched.

        The next `open` makes the rows. Raises ArchiveProblem, Deferred.
        """
        parent = os.path.dirname(path)
        with trouble(path):
            make_folders("/", parent)
            with _alone(parent, os.path.basename(path)) as building:
                done = _unpack(source, building, lambda _: None)
                markers.write_account(building, holder.id, holder.addresses)
                _put_on_disk(building, done.folders)
                os.rename(building, path)
                sync_folder(parent)
        return done

    def recognize(self, holder: MailboxHolder, path: str) -> None:
        """Rows for a store that stands at `path`, and all in it, where the index is new. Raises OSError, Deferred."""
        row = restore_account(self.repository, holder.id, path)
        self.repository.own(holder.id, holder.addresses, time.time())
        self._restored(row)

    def _check_empty(self, holder: MailboxHolder, path: str) -> None:
        """Raises StoreHoldsMail, Deferred."""
        if self.repository.account(holder.id) is None and not os.path.lexists(path):
            return
        maildir = self.open(holder).path
        self.find_folders(holder.id, maildir)
        for row in self.repository.mailboxes(holder.id):
            self.look(holder.id, maildir, row)
        row_now = self.repository.account(holder.id)
        if row_now is not None and row_now.used_messages:
            raise StoreHoldsMail(f"the store at {maildir} holds {row_now.used_messages} messages")

    def _exchange(self, holder: MailboxHolder, building: str, path: str, done: Imported) -> None:
        """The new store takes the place of the old one. Raises OSError, Deferred."""
        parent = os.path.dirname(path)
        row = self.repository.account(holder.id)
        old = row.path if row is not None else path
        aside = f"{old}.replaced-{int(time.time())}-{secrets.token_hex(2)}"
        since = os.stat(os.path.join(building, markers.ACCOUNT)).st_ctime_ns  # by the clock of the volume
        held = row.used_messages if row is not None else 0
        self._forget(holder.id)
        was_there = os.path.isdir(old)
        if was_there:
            os.rename(old, aside)
            sync_folder(os.path.dirname(old))
        try:
            os.rename(building, path)
        except OSError as error:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"{path}: {error}; run it again") from error
        sync_folder(parent)
        self._forget(holder.id)  # a delivery may have made rows of the old files in between
        if was_there:
            done.came = _fetch(aside, path, since)
            if held:
                done.replaced = aside
            else:
                shutil.rmtree(aside, ignore_errors=True)

    def _forget(self, account: str) -> None:
        """The rows of an account, and what is remembered of it here."""
        for row in self.repository.mailboxes(account):
            self._looks.pop((account, row.id), None)
            self._noted.pop((account, row.id), None)
        self.repository.delete_account(account)
        self._known.pop(account, None)


@contextmanager
def _alone(parent: str, name: str) -> Iterator[str]:
    """A new folder for the parts of a store, for one import at a time; it goes when it was not renamed."""
    building = os.path.join(parent, f"gatepost-import-{name}")
    lock = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"{parent}: another import is at it") from None
        shutil.rmtree(building, ignore_errors=True)  # of one that was killed
        os.mkdir(building, 0o700)
        try:
            yield building
        finally:
            shutil.rmtree(building, ignore_errors=True)
    finally:
        os.close(lock)


def _unpack(source: IO[bytes], building: str, on_progress: Callable[[Carried], None]) -> Imported:
    """All members into a new Maildir, verified. Raises ArchiveProblem, OSError."""
    done = Imported()
    _make_mailbox(building, done)
    try:
        with TemporaryFile(dir=building) as digests, tarfile.open(mode="r|*", fileobj=source) as tar:
            _read(tar, building, digests, done, on_progress)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ArchiveProblem(f"it is no export of a store, or damaged: {error}") from None
    _check_mailboxes(building, done)
    return done


def _read(
    tar: tarfile.TarFile, building: str, digests: IO[bytes], done: Imported, on_progress: Callable[[Carried], None]
) -> None:
    head = tar.next()
    facts = archive.facts_of(tar, head) if head is not None and head.name == archive.HEAD else {}
    if facts.get("format") != archive.FORMAT:
        raise ArchiveProblem("it is no export of a store: it does not begin with " + archive.HEAD)
    if facts.get("version") != archive.VERSION:
        raise ArchiveProblem(f"it is of version {facts.get('version')}, this one reads {archive.VERSION}")
    done.account = str(facts.get("account", ""))
    noted = hashlib.sha256()
    index = ""
    while (found := tar.next()) is not None:
        archive.forget(tar)
        if found.name == archive.END:
            _check_end(archive.facts_of(tar, found), done, index, noted.hexdigest())
            return
        file = tar.extractfile(found) if found.isreg() else None
        if file is None:
            raise ArchiveProblem(f"{found.name!r} is no file")
        if found.name == archive.INDEX:
            index = _compare(file, digests)
            continue
        folder, place, name = archive.place_of(found.name)
        within = os.path.join(building, folder) if folder else building
        if folder not in done.folders:
            _make_mailbox(within, done, folder)
        digest = hashlib.sha256() if place else noted
        try:
            done.octets += write_synced(
                os.path.join(within, place, name), _pieces(file, digest), found.mtime if place else None, sync=_later
            )
        except FileExistsError:
            raise ArchiveProblem(f"{found.name!r} is in it twice") from None
        if place:
            digests.write(f"{found.name}\t{digest.hexdigest()}\n".encode())
            done.messages += 1
            on_progress(done)
    raise ArchiveProblem(f"it was cut off: it does not end with {archive.END}")


def _pieces(file: IO[bytes], digest: hashlib._Hash) -> Iterator[bytes]:
    while piece := file.read(archive.PIECE):
        digest.update(piece)
        yield piece


def _compare(file: IO[bytes], digests: IO[bytes]) -> str:
    """The digest of index.tsv, which tells of the same messages as those that were read. Raises ArchiveProblem."""
    digest = hashlib.sha256()
    digests.seek(0)
    lines = iter(file)
    digest.update(next(lines, b""))
    for line, read in itertools.zip_longest(lines, digests):
        if line is None or read is None or line.split(b"\t", 2)[:2] != read.rstrip(b"\n").split(b"\t"):
            path = (read or line or b"").partition(b"\t")[0].decode("utf-8", "replace")
            raise ArchiveProblem(f"damaged: {path!r} is not as {archive.INDEX} tells")
        digest.update(line)
    return digest.hexdigest()


def _check_end(facts: dict[str, Any], done: Imported, index: str, noted: str) -> None:
    if (facts.get("index"), facts.get("markers"), facts.get("messages")) != (index, noted, done.messages):
        raise ArchiveProblem(f"damaged: {archive.END} tells of other content")


def _make_mailbox(within: str, done: Imported, folder: str = "") -> None:
    for place in PLACES:
        os.makedirs(os.path.join(within, place), 0o700)
    if folder:
        open(os.path.join(within, "maildirfolder"), "ab").close()
    done.folders.add(folder)
    done.mailboxes = len(done.folders)


def _check_mailboxes(building: str, done: Imported) -> None:
    """Each mailbox has a mark of its own. Raises ArchiveProblem, Deferred."""
    numbers: dict[object, str] = {}
    for folder in sorted(done.folders):
        facts = markers.read_mailbox(os.path.join(building, folder))
        number = facts.get("id") if facts is not None else None
        if facts is None or not isinstance(number, int) or (number == INBOX_ID) == bool(folder) or number in numbers:
            raise ArchiveProblem(f"{folder or 'INBOX'}: {markers.MAILBOX} is missing, or tells of another mailbox")
        numbers[number] = folder


def _put_on_disk(building: str, folders: set[str]) -> None:
    """Most is written when the first sync ends. Raises OSError."""
    for folder in folders:
        within = os.path.join(building, folder) if folder else building
        for place in (*(os.path.join(within, name) for name in PLACES), within):
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):
                        sync_file(entry.path)
            sync_folder(place)


def _fetch(old: str, new: str, since: int) -> int:
    """Messages that came into the old store at the last moment go into the new one: how many. Raises OSError."""
    came = 0
    for place, _, files in os.walk(old):
        if os.path.basename(place) not in ("new", "cur"):
            continue
        for file in files:
            if os.stat(os.path.join(place, file)).st_ctime_ns >= since:
                rename_unique(
                    os.path.join(place, file), os.path.join(new, "new", file.partition(":")[0].partition(",")[0])
                )
                came += 1
    if came:
        sync_folder(os.path.join(new, "new"))
    return came
