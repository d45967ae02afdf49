"""What each reader has seen, for the repository in memory (see `gateway.store.sqlite.readers`)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.store.flags import letters
from gateway.store.repository import MessageRow

if TYPE_CHECKING:
    from gateway.store.memory_held import HeldMailbox


class MemoryReaders:
    """Part of MemoryRepository."""

    _lock: threading.RLock
    if TYPE_CHECKING:  # of the class that this is part of

        def _seen(self, account: str, mailbox: int) -> HeldMailbox: ...

        def _box(self, account: str, mailbox: int) -> HeldMailbox: ...

    def _rows_for(self, account: str, mailbox: int, reader: str, after_modseq: int) -> list[MessageRow]:
        with self._lock:
            box = self._seen(account, mailbox)
            rows = [_as_read(box, row, reader) for row in box.live.values()]
        return sorted((row for row in rows if row.modseq > after_modseq), key=lambda row: row.uid)

    def _change_for(
        self, account: str, mailbox: int, uids: Collection[int], reader: str, new: Callable[[MessageRow], MessageRow]
    ) -> list[MessageRow]:
        with self._lock:
            box, done = self._seen(account, mailbox), []
            for uid in sorted(set(uids).intersection(box.live)):
                stored = box.live[uid]
                old = _as_read(box, stored, reader)
                row = new(old)
                if (row.flags, row.keywords) == (old.flags, old.keywords):
                    continue
                if ("S" in row.flags) != ("S" in old.flags):
                    box.readers[reader, uid] = (box.modseq + 1, "S" in row.flags)
                kept = letters(row.flags.replace("S", "") + ("S" if "S" in stored.flags else ""))
                if (kept, row.keywords) != (stored.flags, stored.keywords):
                    box.live[uid] = replace(stored, flags=kept, keywords=row.keywords, modseq=box.modseq + 1)
                done.append(replace(row, modseq=box.modseq + 1))
            box.modseq += bool(done)
            return done

    def unseen(self, account: str, mailbox: int, reader: str) -> int:
        return sum("S" not in row.flags for row in self._rows_for(account, mailbox, reader, 0))

    def seen_by(self, account: str, mailbox: int, uids: Collection[int], reader: str) -> set[int]:
        return {row.uid for row in self._rows_for(account, mailbox, reader, 0) if row.uid in uids and "S" in row.flags}

    def copy_seen(self, account: str, mailbox: int, target: int, pairs: Sequence[tuple[int, int]]) -> int:
        with self._lock:
            source, copies = self._seen(account, mailbox), dict(pairs)
            seen = [(copies[uid], reader, s) for (reader, uid), (_, s) in source.readers.items() if uid in copies]
            if seen:
                self.restore_seen(account, target, seen)
            return self._seen(account, target).modseq if seen else 0

    def seen_since(self, account: str, mailbox: int, after_modseq: int) -> list[tuple[str, str, bool]]:
        with self._lock:
            box = self._seen(account, mailbox)
            return [
                (box.live[uid].ukey, reader, is_seen)
                for (reader, uid), (modseq, is_seen) in box.readers.items()
                if modseq > after_modseq and uid in box.live
            ]

    def restore_seen(self, account: str, mailbox: int, seen: Sequence[tuple[int, str, bool]]) -> None:
        if not seen:
            return
        with self._lock:
            box = self._box(account, mailbox)
            box.modseq += 1
            for uid, reader, is_seen in seen:
                box.readers[reader, uid] = (box.modseq, is_seen)


def _as_read(box: HeldMailbox, row: MessageRow, reader: str) -> MessageRow:
    known = box.readers.get((reader, row.uid))
    if known is None:
        return row
    flags = letters(row.flags.replace("S", "") + ("S" if known[1] else ""))
    return replace(row, flags=flags, modseq=max(row.modseq, known[0]))
