"""One store into one file, beside the running service: see `gateway.store.archive` for the format.

Every message that is there from the beginning to the end is in the file, with its flags of the moment at which it
was read. What arrives or goes meanwhile may be in it or not. Memory does not grow with the store, but for the look at
each mailbox that comes first (some 600 octets a message).
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from tempfile import TemporaryFile
from typing import IO

import msgspec

from directory.model import MailboxHolder
from gateway import __version__
from gateway.store import archive, markers, uidls
from gateway.store.caring import Caring
from gateway.store.opening import trouble
from gateway.store.repository import MailboxRow, MessageRow

ROWS = 500  # read at once


@dataclass(slots=True)
class Carried:
    """How far an export or import is; `octets` are those of messages."""

    mailboxes: int = 0
    messages: int = 0
    octets: int = 0


class _Hashing:
    """A file as it is read, and its digest."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self.digest.update(piece)
        return piece


class Exporting(Caring):
    """Part of Stores."""

    def export(
        self,
        holder: MailboxHolder,
        out: IO[bytes],
        *,
        is_gzip: bool = False,
        on_progress: Callable[[Carried], None] = lambda _: None,
    ) -> Carried:
        """Write the store of a holder to `out`, which need not be able to seek. Raises Deferred, OSError of `out`."""
        account = holder.id
        maildir = self._maildir(account)
        self.find_folders(account, maildir)
        done = Carried()
        with (
            TemporaryFile() as index,
            tarfile.open(mode="w|gz" if is_gzip else "w|", fileobj=out, format=tarfile.PAX_FORMAT) as tar,
        ):
            now = time.time()
            _add(tar, archive.HEAD, msgspec.json.encode({
                "format": archive.FORMAT,
                "version": archive.VERSION,
                "account": account,
                "addresses": list(holder.addresses),
                "created": int(now),
                "gatepost": __version__,
            }), now)  # fmt: skip
            index.write(("\t".join(archive.INDEX_FIELDS) + "\n").encode())
            noted = hashlib.sha256()
            for mailbox in self.repository.mailboxes(account):
                row = self.look(account, maildir, mailbox)
                self._export_mailbox(tar, account, maildir, row, index, noted, done, on_progress)
            with trouble(maildir):
                names = "\n".join([f"version {markers.VERSION}", *markers.read_subscriptions(maildir), ""]).encode()
            noted.update(names)
            _add(tar, f"{archive.TOP}/{markers.SUBSCRIPTIONS}", names, now)
            with trouble(maildir):
                told = uidls.content(maildir)
            if told:
                noted.update(told)
                _add(tar, f"{archive.TOP}/{uidls.FILE}", told, now)
            index.seek(0)
            hashing = _Hashing(index)
            tar.addfile(archive.member(archive.INDEX, os.fstat(index.fileno()).st_size, now), hashing)
            _add(tar, archive.END, msgspec.json.encode({
                "mailboxes": done.mailboxes,
                "messages": done.messages,
                "octets": done.octets,
                "index": hashing.digest.hexdigest(),
                "markers": noted.hexdigest(),
            }), now)  # fmt: skip
        return done

    def _export_mailbox(
        self,
        tar: tarfile.TarFile,
        account: str,
        maildir: str,
        row: MailboxRow,
        index: IO[bytes],
        noted: hashlib._Hash,
        done: Carried,
        on_progress: Callable[[Carried], None],
    ) -> None:
        folder = os.path.relpath(self._folder(maildir, row), maildir)
        top = archive.TOP if folder == "." else f"{archive.TOP}/{folder}"
        with TemporaryFile() as marker:
            marker.write(markers.mailbox_content(row))
            for message in self._all_messages(account, row):
                try:
                    file = self.open_file(account, row, message)
                except FileNotFoundError:
                    continue  # expunged meanwhile
                with file:
                    path = f"{top}/cur/{archive.file_name(message)}"
                    size = os.fstat(file.fileno()).st_size
                    hashing = _Hashing(file)
                    tar.addfile(archive.member(path, size, message.internaldate), hashing)
                archive.forget(tar)
                index.write(archive.index_line(path, hashing.digest.hexdigest(), message).encode())
                if message.flags or message.keywords:
                    marker.write(markers.flag_line(message) + b"\n")
                done.messages += 1
                done.octets += size
                on_progress(done)
            for seen in self.repository.seen_since(account, row.id, 0):
                marker.write(markers.seen_line(seen) + b"\n")
            size = marker.tell()
            marker.seek(0)
            while piece := marker.read(archive.PIECE):
                noted.update(piece)
            marker.seek(0)
            tar.addfile(archive.member(f"{top}/{markers.MAILBOX}", size, time.time()), marker)
        done.mailboxes += 1

    def _all_messages(self, account: str, row: MailboxRow) -> Iterator[MessageRow]:
        after = 0
        while part := self.repository.outline(account, row.id, after_uid=after, limit=ROWS):
            after = part[-1][0]
            yield from self.repository.messages_of(account, row.id, [each[0] for each in part])


def _add(tar: tarfile.TarFile, path: str, content: bytes, mtime: float) -> None:
    tar.addfile(archive.member(path, len(content), mtime), BytesIO(content))
