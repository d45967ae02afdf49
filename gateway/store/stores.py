"""All stores of this host: from an account to its Maildir, delivery into it, reading from it.

Synchronous; run in the volume's pool. Way of a delivery: tmp/<base> fsynced, index transaction,
rename to cur/<base>,S=,W=,U=:2, and fsync of the folder. A file whose row exists may still stand in
tmp/ after a crash; reading looks there too.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from directory.model import Condition, Deferred, MailboxHolder
from gateway.files.durable import make_folders, sync_folder, write_synced
from gateway.files.names import host_id, unique_name
from gateway.store.repository import AccountRow, Limits, MailboxRow, MessageRow, NewMessage, Repository
from gateway.store.settings import StoreSettings, Volume

INBOX = "INBOX"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


class Stores:
    """Opens stores by account id; creates them at the first delivery."""

    def __init__(self, settings: StoreSettings, repository: Repository, worker: int = 0) -> None:
        self._settings = settings
        self.repository = repository
        self._worker = worker
        self._host = host_id()
        self._known: dict[str, AccountRow] = {}

    def _volume(self, holder: MailboxHolder) -> Volume:
        name = holder.store or self._settings.default_volume or next(iter(self._settings.volumes), "")
        volume = self._settings.volumes.get(name)
        if volume is None:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"{holder.dn}: volume {name!r} is not configured")
        return volume

    def open(self, holder: MailboxHolder) -> AccountRow:
        """The account's row; its Maildir is made when it is missing. Raises Deferred."""
        known = self._known.get(holder.id)
        if known is not None:
            return known
        row = self.repository.account(holder.id)
        if row is None:
            volume = self._volume(holder)
            user = (holder.primary or holder.id).partition("@")[0]
            relative = holder.maildir or volume.path_template.format(
                hash=hashlib.sha256(holder.id.encode()).hexdigest(),
                id=_UNSAFE.sub("_", holder.id),
                u=user,
                sha=hashlib.sha256(user.encode()).hexdigest(),
            )
            path = os.path.normpath(os.path.join(volume.path, relative))
            if not path.startswith(os.path.normpath(volume.path) + os.sep):
                raise Deferred(Condition.STORE_UNAVAILABLE, f"{holder.dn}: the path leaves the volume")
            self._make(path, volume.path, holder)
            row = self.repository.create_account(holder.id, path, time.time())
        self._known[holder.id] = row
        return row

    def _make(self, path: str, top: str, holder: MailboxHolder) -> None:
        try:
            for name in ("tmp", "new", "cur"):
                make_folders(os.path.join(path, name), top)
            marker = Path(path) / ".gatepost-account"
            if not marker.exists():
                facts = {
                    "version": 1,
                    "id": holder.id,
                    "addresses": holder.addresses,
                    "created": int(time.time()),
                }
                temporary = os.path.join(path, "tmp", unique_name(self._host, self._worker))
                write_synced(temporary, [msgspec.json.encode(facts) + b"\n"])
                os.rename(temporary, marker)
                sync_folder(path)
        except OSError as error:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"{path}: {error}") from error

    def inbox(self, holder: MailboxHolder) -> MailboxRow:
        self.open(holder)
        row = self.repository.mailbox(holder.id, INBOX)
        if row is None:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"{holder.dn}: no INBOX")
        return row

    def deliver(
        self, holder: MailboxHolder, pieces: Iterable[bytes], size: int, crlf: int, recipient: str
    ) -> tuple[int, int]:
        """Deliver one message into INBOX, durable on return: (UID, MODSEQ). Raises Deferred, Refused."""
        row = self.open(holder)
        now = time.time()
        ukey = unique_name(self._host, self._worker)
        temporary = os.path.join(row.path, "tmp", ukey)
        try:
            write_synced(temporary, pieces, now)
        except OSError as error:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"{temporary}: {error}") from error
        try:
            uid, modseq, name = self.repository.add(
                holder.id,
                self.inbox(holder).id,
                NewMessage(ukey, size, crlf, now, recipient),
                Limits(holder.quota or 0, holder.quota_messages or 0),
            )
        except BaseException:
            os.unlink(temporary)
            raise
        try:
            folder = os.path.join(row.path, "cur")
            os.rename(temporary, os.path.join(folder, name + ":2,"))
            sync_folder(folder)
        except OSError as error:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"{temporary}: {error}") from error
        return uid, modseq

    def read(self, account: str, message: MessageRow) -> bytes:
        """The stored octets (LF line ends). Raises Deferred; FileNotFoundError when the file is gone."""
        row = self.repository.account(account)
        if row is None:
            raise FileNotFoundError(account)
        for candidate in (
            os.path.join(row.path, "cur", message.name + ":2,"),
            os.path.join(row.path, "tmp", message.ukey),
        ):
            try:
                with open(candidate, "rb") as file:
                    return file.read()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise Deferred(Condition.STORE_UNAVAILABLE, f"{candidate}: {error}") from error
        raise FileNotFoundError(message.name)
