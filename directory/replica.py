"""The local copy of the directory: LMDB, written by one agent, read by every process through mmap.

Layout: `entry` id -> raw entry (msgpack); `address`, `login`, `domain`, `dn`, `member` key -> ids
(several values a key); `held` ids that only the deletion brake keeps; `recent` what was removed within
the brake's window; `seen` the refresh under way; `meta` holds format, cookie and state. A reader sees
a whole change or none of it. Opened after fork only. `replica_writer.py` is the agent's side.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from directory.port import Freshness
from directory.raw import RawEntry
from directory.replica_environment import Environment, State, decode_entry, index_key
from directory.replica_writer import ReplicaWriter

__all__ = ["ReplicaReader", "ReplicaWriter"]

SCAN_ENTRIES = 256  # a scan copies so many entries a transaction: readers must not pin old pages


class ReplicaReader:
    """Read access for workers; implements `directory.view.RawSource`. A transaction lasts one look-up."""

    def __init__(self, environment: Environment) -> None:
        self._db = environment
        self._seen = (-1, State())

    @classmethod
    def open(cls, path: Path) -> ReplicaReader:
        """Open the replica of this host. Raises Deferred when the agent has not made it yet."""
        return cls(Environment(path, readonly=True))

    def generation(self) -> int:
        """Changes when an entry changes, not with each proof of freshness."""
        # not env.info()["last_txnid"]: it shows a commit a moment before new transactions do, and what was
        # read in that moment would be remembered under the new generation
        return self._state().generation

    def _state(self) -> State:
        with self._db.env.begin() as txn:
            number = txn.id()
            if number != self._seen[0]:
                self._seen = (number, self._db.state(txn))
            return self._seen[1]

    def freshness(self) -> Freshness:
        state = self._state()
        return Freshness(state.complete, state.fresh_at, state.braked, state.trouble)

    def profile(self) -> bytes:
        return self._state().profile

    def get(self, entry_id: str) -> RawEntry | None:
        with self._db.env.begin(db=self._db.entry) as txn:
            value = txn.get(entry_id.encode())
            return decode_entry(value) if value is not None else None

    def held(self, entry_id: str) -> bool:
        with self._db.env.begin(db=self._db.held) as txn:
            return txn.get(entry_id.encode()) is not None

    def held_ids(self) -> tuple[str, ...]:
        """Every entry that only the deletion brake keeps."""
        with self._db.env.begin(db=self._db.held) as txn:
            return tuple(bytes(key).decode() for key in txn.cursor().iternext(keys=True, values=False))

    def ids(self, index: str, key: str) -> tuple[str, ...]:
        with self._db.env.begin(db=self._db.index[index]) as txn:
            cursor = txn.cursor()
            if not cursor.set_key(index_key(key)):
                return ()
            return tuple(bytes(value).decode() for value in cursor.iternext_dup())

    def keys(self, index: str) -> tuple[str, ...]:
        with self._db.env.begin(db=self._db.index[index]) as txn:
            return tuple(bytes(key).decode("utf-8", "surrogateescape") for key in txn.cursor().iternext_nodup())

    def shared(self, index: str, limit: int) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Keys that several entries have, with the DNs of these: at most `limit` keys."""
        found: list[tuple[str, tuple[str, ...]]] = []
        with self._db.env.begin(db=self._db.index[index]) as txn:
            cursor = txn.cursor()
            more = cursor.first()
            while more and len(found) < limit:
                if cursor.count() > 1:
                    key = bytes(cursor.key()).decode("utf-8", "surrogateescape")
                    values = (txn.get(value, db=self._db.entry) for value in list(cursor.iternext_dup()))
                    found.append((key, tuple(decode_entry(value).dn for value in values if value is not None)))
                more = cursor.next_nodup()
        return tuple(found)

    def counts(self) -> dict[str, int]:
        """Entries by what they are: accounts, shared mailboxes, service accounts, lists, domains."""
        with self._db.env.begin() as txn:
            return self._db.counts(txn)

    def everything(self) -> Iterator[RawEntry]:
        after = b""
        while True:
            values: list[bytes] = []
            with self._db.env.begin(db=self._db.entry) as txn:
                cursor = txn.cursor()
                more = cursor.set_range(after) if after else cursor.first()
                while more and len(values) < SCAN_ENTRIES:
                    values.append(bytes(cursor.value()))
                    after = bytes(cursor.key()) + b"\0"
                    more = cursor.next()
            for value in values:
                yield decode_entry(value)
            if not more:
                return

    def close(self) -> None:
        self._db.env.close()
