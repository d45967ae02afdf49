"""The LMDB environment of the local copy: its tables, keys, limits and the small state record."""

from __future__ import annotations

from pathlib import Path

import lmdb
import msgspec

from directory.model import Condition, Deferred
from directory.raw import RawEntry

FORMAT = b"3"
MAP_SIZE = 16 << 30  # address space, not disk
MAX_READERS = 1024
MAX_KEY = 511  # LMDB's own limit
INDEXES = ("address", "login", "domain", "dn", "member", "access")
TABLES = ("entry", "meta", "held", "recent", "seen")

encode_entry = msgspec.msgpack.Encoder().encode
decode_entry = msgspec.msgpack.Decoder(RawEntry).decode


class State(msgspec.Struct, array_like=True):
    """What readers ask on every look-up, in one value."""

    complete: bool = False
    fresh_at: float = 0.0
    generation: int = 0
    braked: str = ""
    trouble: str = ""
    #: fingerprint of the profile whose keys the indexes hold
    profile: bytes = b""


_encode_state = msgspec.msgpack.Encoder().encode
_decode_counts = msgspec.msgpack.Decoder(dict[str, int]).decode
_decode_state = msgspec.msgpack.Decoder(State).decode


def index_key(text: str) -> bytes:
    """`text` as a key of an index table."""
    return text.encode("utf-8", "surrogateescape")[:MAX_KEY] or b"\0"


class Environment:
    """Opens the tables. Raises Deferred."""

    def __init__(self, path: Path, *, readonly: bool) -> None:
        try:
            self.env = lmdb.open(
                str(path),
                map_size=MAP_SIZE,
                max_dbs=len(INDEXES) + len(TABLES),
                max_readers=MAX_READERS,
                readonly=readonly,
                create=not readonly,
                mode=0o660,
                metasync=True,
                sync=True,
                max_spare_txns=4,
            )
            make = not readonly
            self.entry, self.meta, self.held, self.recent, self.seen = (
                self.env.open_db(name.encode(), create=make) for name in TABLES
            )
            self.index = {name: self.env.open_db(name.encode(), dupsort=True, create=make) for name in INDEXES}
        except lmdb.Error as error:
            raise Deferred(Condition.DIRECTORY_UNAVAILABLE, f"replica {path}: {error}") from error

    def state(self, txn: lmdb.Transaction) -> State:
        value = txn.get(b"state", db=self.meta)
        return _decode_state(value) if value else State()

    def put_state(self, txn: lmdb.Transaction, state: State) -> None:
        txn.put(b"state", _encode_state(state), db=self.meta)

    def counts(self, txn: lmdb.Transaction) -> dict[str, int]:
        value = txn.get(b"counts", db=self.meta)
        return _decode_counts(value) if value else {}

    def put_counts(self, txn: lmdb.Transaction, counts: dict[str, int]) -> None:
        txn.put(b"counts", _encode_state(counts), db=self.meta)
