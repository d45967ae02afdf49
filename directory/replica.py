"""The local copy of the directory: LMDB, written by one agent, read by every process through mmap.

Layout: `entry` id -> raw entry (msgpack); `address`, `login`, `domain`, `dn`, `member` key -> ids
(several values a key); `meta` holds format, cookie, complete, fresh_at. Everything is applied in
transactions, so a reader sees a whole change or none of it. Opened after fork only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import lmdb
import msgspec

from directory.model import Condition, Deferred
from directory.port import Freshness
from directory.profile import Profile
from directory.raw import RawEntry, canonical_dn, kept

FORMAT = b"1"
MAP_SIZE = 16 << 30  # address space, not disk
MAX_READERS = 1024
MAX_KEY = 511  # LMDB's own limit
INDEXES = ("address", "login", "domain", "dn", "member")

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(RawEntry).decode
_FLOAT = struct.Struct(">d")


def _key(text: str) -> bytes:
    key = text.encode("utf-8", "surrogateescape")
    return key[:MAX_KEY] or b"\0"


class _Environment:
    def __init__(self, path: Path, *, readonly: bool) -> None:
        try:
            self.env = lmdb.open(
                str(path),
                map_size=MAP_SIZE,
                max_dbs=len(INDEXES) + 2,
                max_readers=MAX_READERS,
                readonly=readonly,
                create=not readonly,
                mode=0o660,
                metasync=True,
                sync=True,
                max_spare_txns=4,
            )
            make = not readonly
            self.entry = self.env.open_db(b"entry", create=make)
            self.meta = self.env.open_db(b"meta", create=make)
            self.index = {name: self.env.open_db(name.encode(), dupsort=True, create=make) for name in INDEXES}
        except lmdb.Error as error:
            raise Deferred(Condition.DIRECTORY_UNAVAILABLE, f"replica {path}: {error}") from error


class ReplicaReader:
    """Read access for workers; implements `directory.view.RawSource`. A transaction lasts one look-up."""

    def __init__(self, environment: _Environment) -> None:
        self._db = environment

    @classmethod
    def open(cls, path: Path) -> ReplicaReader:
        """Open the replica of this host. Raises Deferred when the agent has not made it yet."""
        return cls(_Environment(path, readonly=True))

    def generation(self) -> int:
        # not env.info()["last_txnid"]: it shows a commit a moment before new transactions do, and what was
        # read in that moment would be remembered under the new generation
        with self._db.env.begin() as txn:
            return int(txn.id())

    def freshness(self) -> Freshness:
        with self._db.env.begin() as txn:
            at = txn.get(b"fresh_at", db=self._db.meta)
            return Freshness(
                complete=txn.get(b"complete", db=self._db.meta) == b"1",
                fresh_at=_FLOAT.unpack(at)[0] if at else 0.0,
                braked=(txn.get(b"braked", db=self._db.meta) or b"").decode(),
            )

    def get(self, entry_id: str) -> RawEntry | None:
        with self._db.env.begin(db=self._db.entry) as txn:
            value = txn.get(entry_id.encode())
            return _decode(value) if value is not None else None

    def ids(self, index: str, key: str) -> tuple[str, ...]:
        with self._db.env.begin(db=self._db.index[index]) as txn:
            cursor = txn.cursor()
            if not cursor.set_key(_key(key)):
                return ()
            return tuple(bytes(value).decode() for value in cursor.iternext_dup())

    def everything(self) -> Iterator[RawEntry]:
        with self._db.env.begin(db=self._db.entry) as txn:
            values = [bytes(value) for _, value in txn.cursor()]
        for value in values:
            yield _decode(value)

    def close(self) -> None:
        self._db.env.close()


class ReplicaWriter:
    """The agent's side. One process, one thread."""

    def __init__(self, path: Path, profile: Profile) -> None:
        path.mkdir(mode=0o770, parents=True, exist_ok=True)
        self._db = _Environment(path, readonly=False)
        self._profile = profile
        self._db.env.reader_check()
        with self._db.env.begin(write=True, db=self._db.meta) as txn:
            if txn.get(b"format") not in (None, FORMAT):
                raise Deferred(
                    Condition.DIRECTORY_UNAVAILABLE,
                    f"replica {path} has format {txn.get(b'format')!r}, this version writes {FORMAT!r}; "
                    "remove the folder, it is rebuilt from the directory",
                )
            txn.put(b"format", FORMAT)

    def reader(self) -> ReplicaReader:
        """Read access in the agent's own process (LMDB opens an environment once a process)."""
        return ReplicaReader(self._db)

    def cookie(self) -> bytes | None:
        """Where the tracker left off, None when there is no complete copy."""
        with self._db.env.begin(db=self._db.meta) as txn:
            return txn.get(b"cookie") if txn.get(b"complete") == b"1" else None

    def ids(self) -> set[str]:
        with self._db.env.begin(db=self._db.entry) as txn:
            return {bytes(key).decode() for key in txn.cursor().iternext(keys=True, values=False)}

    def counts(self) -> dict[str, int]:
        """Entries by kind."""
        counts: dict[str, int] = {}
        with self._db.env.begin(db=self._db.entry) as txn:
            for _, value in txn.cursor():
                kind = self._profile.kind(_decode(value))
                if kind is not None:
                    counts[kind] = counts.get(kind, 0) + 1
        return counts

    def kind(self, entry_id: str) -> str | None:
        with self._db.env.begin(db=self._db.entry) as txn:
            value = txn.get(entry_id.encode())
            return self._profile.kind(_decode(value)) if value is not None else None

    def _remove(self, txn: lmdb.Transaction, entry_id: str) -> None:
        value = txn.get(entry_id.encode(), db=self._db.entry)
        if value is None:
            return
        for index, keys in self._keys(_decode(value)).items():
            for key in keys:
                txn.delete(_key(key), entry_id.encode(), db=self._db.index[index])
        txn.delete(entry_id.encode(), db=self._db.entry)

    def _keys(self, raw: RawEntry) -> dict[str, tuple[str, ...]]:
        keys = self._profile.keys(raw)
        return {
            "address": keys.addresses,
            "login": keys.logins,
            "domain": keys.domains,
            "member": keys.members,
            "dn": (canonical_dn(raw.dn),),
        }

    def apply(
        self,
        put: Iterable[RawEntry],
        delete: Iterable[str],
        cookie: bytes | None,
        fresh_at: float | None,
        *,
        complete: bool | None = None,
    ) -> None:
        """Apply changes in one transaction that is on disk on return."""
        with self._db.env.begin(write=True) as txn:
            for entry_id in delete:
                self._remove(txn, entry_id)
            for raw in put:
                raw = RawEntry(raw.id, raw.dn, kept(raw.attributes))
                self._remove(txn, raw.id)
                txn.put(raw.id.encode(), _encode(raw), db=self._db.entry)
                for index, keys in self._keys(raw).items():
                    for key in keys:
                        txn.put(_key(key), raw.id.encode(), db=self._db.index[index], dupdata=True)
            if cookie is not None:
                txn.put(b"cookie", cookie, db=self._db.meta)
            if fresh_at is not None:
                txn.put(b"fresh_at", _FLOAT.pack(fresh_at), db=self._db.meta)
            if complete is not None:
                txn.put(b"complete", b"1" if complete else b"0", db=self._db.meta)

    def reader_check(self) -> int:
        """Clear slots of dead readers; returns how many."""
        return int(self._db.env.reader_check())

    def close(self) -> None:
        self._db.env.close()
