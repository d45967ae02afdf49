"""The directory in memory: for tests."""

from __future__ import annotations

from collections.abc import Iterator

from directory.port import Freshness
from directory.profile import Profile
from directory.raw import RawEntry, canonical_dn


class MemorySource:
    """Implements `directory.view.RawSource` over a dict."""

    def __init__(self, profile: Profile, entries: tuple[RawEntry, ...] = ()) -> None:
        self._profile = profile
        self._entries: dict[str, RawEntry] = {}
        self._index: dict[tuple[str, str], dict[str, None]] = {}
        self._generation = 0
        self.held_ids: set[str] = set()
        self.state = Freshness(complete=True, fresh_at=float("inf"))
        for raw in entries:
            self.put(raw)

    def _keys(self, raw: RawEntry) -> Iterator[tuple[str, str]]:
        keys = self._profile.keys(raw)
        yield "dn", canonical_dn(raw.dn)
        for index, values in (
            ("address", keys.addresses),
            ("login", keys.logins),
            ("domain", keys.domains),
            ("member", keys.members),
            ("access", keys.access),
        ):
            for value in values:
                yield index, value

    def put(self, raw: RawEntry) -> None:
        self.remove(raw.id)
        self._entries[raw.id] = raw
        for key in self._keys(raw):
            self._index.setdefault(key, {})[raw.id] = None

    def remove(self, entry_id: str) -> None:
        self._generation += 1
        raw = self._entries.pop(entry_id, None)
        if raw is not None:
            for key in self._keys(raw):
                self._index[key].pop(entry_id, None)

    def generation(self) -> int:
        return self._generation

    def freshness(self) -> Freshness:
        return self.state

    def profile(self) -> bytes:
        return self._profile.fingerprint

    def held(self, entry_id: str) -> bool:
        return entry_id in self.held_ids

    def get(self, entry_id: str) -> RawEntry | None:
        return self._entries.get(entry_id)

    def ids(self, index: str, key: str) -> tuple[str, ...]:
        return tuple(self._index.get((index, key), ()))

    def keys(self, index: str) -> tuple[str, ...]:
        return tuple(key for (name, key), ids in self._index.items() if name == index and ids)

    def everything(self) -> Iterator[RawEntry]:
        return iter(tuple(self._entries.values()))
