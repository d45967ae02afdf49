"""Polling by modifyTimestamp: for servers without content synchronisation. Needs nothing but read access.

Every few seconds what was modified since the last poll is read, with a small overlap, for timestamps have
seconds only; once a minute with a large one, for a replicated change arrives late. How late it is on the
server follows from the newest timestamp and the time since it was seen, so a quiet directory costs nothing.
Timestamps do not tell of deletions, nor of entries that become visible: all ids are compared about once a
minute, too. What is unknown then makes the follower read everything. A server whose clock is set back by
more than the large overlap needs a `gatepost directory resync`.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator

import ldap3
from ldap3.core.exceptions import LDAPException

from directory.connection import Servers, close
from directory.model import Condition, Deferred
from directory.profile_source import generalized_time
from directory.raw import RawEntry
from directory.settings import DirectorySettings
from directory.tracker.listing import raw_entries, visible_ids
from directory.tracker.port import Batch, Change, Changed, Event, Fresh, RefreshBegun, RefreshDone

POLL_SECONDS = 5.0
OVERLAP_SECONDS = 3.0
#: how late a change may become visible and still be told, within a minute
LATE_SECONDS = 300.0
COMPARE_SECONDS = 60.0
#: polling and comparing take at most one part in so many of the time
SHARE = 10
BATCH = 500
COOKIE = b"modifyTimestamp="


def _stamp(seconds: float) -> str:
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(max(seconds, 0.0)))


def _digest(raw: RawEntry) -> bytes:
    digest = hashlib.blake2b(raw.dn.encode("utf-8", "surrogateescape"), digest_size=16)
    for name in sorted(raw.attributes):
        digest.update(b"\0" + name.encode())
        for value in raw.attributes[name]:
            digest.update(b"\0%d:" % len(value) + value)
    return digest.digest()


class TimestampTracker:
    """Implements `directory.tracker.port.Tracker`."""

    name = "timestamp"

    def __init__(
        self,
        settings: DirectorySettings,
        servers: Servers,
        filter_text: str = "(objectClass=*)",
        *,
        id_attribute: str = "entryUUID",
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._servers = servers
        self._filter = filter_text
        self._id_attribute = id_attribute
        self._now = now
        self._stopped = threading.Event()
        self._wake = threading.Event()
        self._compare_at = 0.0
        self._latest, self._latest_at = 0.0, 0.0
        #: by the server's clock: all changes before were told
        self._read_until = 0.0
        self.server = ""
        #: what was told lately, by id, and when
        self._told: dict[str, tuple[bytes, float]] = {}

    def stop(self) -> None:
        self._stopped.set()
        self._wake.set()

    def interrupt(self) -> None:
        self._wake.set()

    def compare_within(self, seconds: float) -> None:
        self._compare_at = min(self._compare_at, time.monotonic() + seconds)

    def events(self, cookie: bytes | None) -> Iterator[Event]:
        if not self._stopped.is_set():
            self._wake.clear()
        self._told.clear()
        connection = self._servers.open()
        self.server = self._servers.url_of(connection)
        try:
            yield from self._follow(connection, cookie)
        except (LDAPException, OSError) as error:
            raise Deferred(Condition.DIRECTORY_UNAVAILABLE, f"poll: {error}") from error
        finally:
            self.server = ""
            close(connection)

    def _server_time(self) -> float:
        """At least so late it is by the server's clock; 0.0 before any entry was seen."""
        return self._latest + time.monotonic() - self._latest_at if self._latest else 0.0

    def _cookie(self) -> bytes:
        return COOKIE + _stamp(self._read_until).encode()

    def _seen(self, raw: RawEntry) -> None:
        """The newest timestamp counts, unless it lies in a future that no clock difference explains."""
        for text in raw.texts("modifytimestamp")[:1]:
            try:
                moment = generalized_time(text)
            except ValueError:
                return
            if self._server_time() < moment <= self._now() + LATE_SECONDS:
                self._latest, self._latest_at = moment, time.monotonic()

    def _follow(self, connection: ldap3.Connection, cookie: bytes | None) -> Iterator[Event]:
        try:
            self._latest = generalized_time((cookie or b"").removeprefix(COOKIE).decode("ascii"))
        except ValueError:
            cookie, self._latest = None, 0.0
        self._latest_at, self._read_until = time.monotonic(), self._latest
        begun, began = self._now(), time.monotonic()
        yield RefreshBegun()
        for entries in self._entries(connection, self._changed_filter(LATE_SECONDS) if cookie else self._filter):
            for raw in entries:
                self._told[raw.id] = (_digest(raw), time.monotonic())
            yield Batch(entries)
        if cookie:
            for ids in self._ids(connection):
                yield Batch(present=ids)
        self._read_until = self._server_time() - (time.monotonic() - began)
        yield RefreshDone(self._cookie(), by_presence=True)
        yield Fresh(begun)
        self._compare_at = time.monotonic() + min(self._settings.compare_seconds, COMPARE_SECONDS)
        pause = POLL_SECONDS
        while not self._wake.wait(pause):
            began, at = time.monotonic(), self._now()
            late = time.monotonic() >= self._compare_at
            yield from self._changes(connection, LATE_SECONDS if late else OVERLAP_SECONDS)
            yield Fresh(at, self._cookie())
            pause = POLL_SECONDS if late else max(POLL_SECONDS, SHARE * (time.monotonic() - began))
            if late:
                yield from self._compare(connection)
            elif self._servers.should_return(self._servers.url_of(connection)):
                return

    def _compare(self, connection: ldap3.Connection) -> Iterator[Event]:
        began = time.monotonic()
        self._compare_at = float("inf")
        yield RefreshBegun()
        for ids in self._ids(connection):
            yield Batch(present=ids)
        took = time.monotonic() - began
        wait = max(min(self._settings.compare_seconds, COMPARE_SECONDS), SHARE * took)
        self._compare_at = time.monotonic() + wait
        yield RefreshDone(None, by_presence=True, only_ids=True)

    def _changed_filter(self, overlap: float) -> str:
        return f"(&{self._filter}(modifyTimestamp>={_stamp(self._read_until - overlap)}))"

    def _entries(self, connection: ldap3.Connection, filter_text: str) -> Iterator[tuple[RawEntry, ...]]:
        for entries in raw_entries(connection, self._settings, filter_text, self._id_attribute):
            for raw in entries:
                self._seen(raw)
            yield entries

    def _ids(self, connection: ldap3.Connection) -> Iterator[tuple[str, ...]]:
        return visible_ids(connection, self._settings, self._filter, self._id_attribute)

    def _changes(self, connection: ldap3.Connection, overlap: float) -> Iterator[Event]:
        now, server_time = time.monotonic(), self._server_time()
        self._told = {key: value for key, value in self._told.items() if now - value[1] < 2 * LATE_SECONDS}
        for entries in self._entries(connection, self._changed_filter(overlap)):
            changes = []
            for raw in entries:
                digest, told = _digest(raw), self._told.get(raw.id)
                if told is None or told[0] != digest:
                    changes.append(Change(raw.id, raw))
                    self._told[raw.id] = (digest, now)
            if changes:
                yield Changed(tuple(changes))
        self._read_until = max(server_time, self._read_until)
