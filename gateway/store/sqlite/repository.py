"""SqliteRepository, put together from its parts, with the thread that flushes it."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from directory.model import Condition, Deferred
from gateway.store.repository import MessageRow
from gateway.store.sqlite.accounts import Accounts
from gateway.store.sqlite.cache import Cache
from gateway.store.sqlite.maildrop import MaildropLocks
from gateway.store.sqlite.messages import Messages
from gateway.store.sqlite.placing import Placing
from gateway.store.sqlite.shard import Shard, forget_log, opening

SHARDS = 16
FLUSH_SECONDS = 1.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_log = logging.getLogger("gatepost.store")


def boot_id() -> str:
    """Names this run of the kernel; another one means that the power may have been cut."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return "unknown"


class SqliteRepository(Accounts, Placing, Messages, MaildropLocks):
    """Implements `gateway.store.repository.Repository`. Opened after fork only; used by any thread."""

    def __init__(self, folder: Path, boot: str = "", *, on_lost: Callable[[], None] | None = None) -> None:
        """`on_lost` is called once, in a thread of its own, when a file of the index was removed under this process: then
        nothing is written any more, and only a new process makes the index of the files again."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._shards = []
        self._on_lost = on_lost
        try:
            with opening(folder):
                for number in range(SHARDS):
                    path = folder / f"{number:02x}.db"
                    forget_log(path)
                    self._shards.append(Shard(path, boot or boot_id()))
                self._cache = Cache(folder)
        except BaseException as error:
            for shard in self._shards:
                shard.close()
            if isinstance(error, sqlite3.Error):
                raise Deferred(Condition.STORE_UNAVAILABLE, f"index {folder}: {error}") from error
            raise
        self._waiting = {shard: deque() for shard in self._shards}
        self._stopping = threading.Event()
        self._flusher = threading.Thread(target=self._flush, name="index-flush", daemon=True)
        self._flusher.start()

    def _flush(self) -> None:
        while not self._stopping.wait(FLUSH_SECONDS):
            for shard in self._shards:
                try:
                    shard.flush()
                except OSError as error:
                    _log.error("index %s: %s", shard.path, error)
            self._look_for_loss()

    def _look_for_loss(self) -> None:
        lost = next((shard for shard in self._shards if not shard.is_in_place()), None)
        if lost is not None and self._on_lost is not None:
            _log.error("index %s was removed while it was in use; it is made again of the files", lost.path)
            on_lost, self._on_lost = self._on_lost, None
            on_lost()

    def parsed(
        self, account: str, mailbox: int, uids: Collection[int], version: int = 1, *, waits: bool = True
    ) -> dict[int, bytes]:
        return self._cache.get(account, mailbox, uids, version, waits=waits)

    def put_parsed(self, account: str, mailbox: int, blobs: Mapping[int, bytes], version: int = 1) -> None:
        self._cache.put(account, mailbox, blobs, version)

    def expunge(self, account: str, mailbox: int, uids: Collection[int]) -> list[MessageRow]:
        removed = super().expunge(account, mailbox, uids)
        self._cache.drop(account, mailbox, [row.uid for row in removed])
        return removed

    def move(
        self, account: str, mailbox: int, uids: Collection[int], target: int, ukeys: Mapping[int, str]
    ) -> list[tuple[MessageRow, MessageRow]]:
        moved = super().move(account, mailbox, uids, target, ukeys)
        self._cache.drop(account, mailbox, [source.uid for source, _ in moved])
        return moved

    def delete_mailbox(self, account: str, mailbox: int) -> None:
        super().delete_mailbox(account, mailbox)
        self._cache.drop_mailbox(account, mailbox)

    def delete_account(self, account: str) -> None:
        super().delete_account(account)
        self._cache.drop_account(account)

    def close(self) -> None:
        self._stopping.set()
        self._flusher.join()
        for shard in self._shards:
            shard.close()
        self._cache.close()
