"""Content synchronisation (RFC 4533, refreshAndPersist): OpenLDAP with syncprov, 389 DS with content sync.

The search runs on a connection of its own whose answers ldap3 hands over in its reader thread; they
pass through a bounded queue. Freshness is proven on a second connection every five seconds: the
suffix's contextCSN there must not be newer than what was told here. Where it is newer, or the server
keeps none, a refreshOnly search with the same cookie tells whether anything visible was missed: changes
of entries that the service account may not read move contextCSN, too. A search that died without
notice, or a server that stopped answering, therefore shows within ten seconds.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import ldap3
from ldap3.core.exceptions import LDAPException

from directory.connection import Servers, close
from directory.model import Condition, Deferred
from directory.raw import RawEntry, canonical_dn, is_below
from directory.settings import DirectorySettings
from directory.tracker import sync_protocol as protocol
from directory.tracker.listing import WANTED, describe, visible_ids
from directory.tracker.port import (
    Batch,
    Change,
    Changed,
    Event,
    Fresh,
    NotOffered,
    RefreshBegun,
    RefreshDone,
    StaleCookie,
)

PROBE_SECONDS = 5.0
PROBE_TIMEOUT = 3.0  # with PROBE_SECONDS below the ten seconds in which a silent server must show
BEHIND_SECONDS = 1.0  # a change the stream has not told after so long is not under way, it is lost
BACKLOG = 2_000  # answers waiting to be applied; the reader thread blocks beyond, and TCP with it
BATCH = 500
COMMIT_SECONDS = 0.05
REFRESH_SILENCE_SECONDS = 60.0
LAG_SECONDS = 30.0  # so long may a server be behind this copy before it is believed
UNAVAILABLE_CRITICAL_EXTENSION, UNWILLING_TO_PERFORM = 12, 53


def _unavailable(detail: str) -> Deferred:
    return Deferred(Condition.DIRECTORY_UNAVAILABLE, detail)


class _Stream:
    """The persistent search and the queue of its answers."""

    def __init__(self, connection: ldap3.Connection, base: str, filter_text: str, cookie: bytes | None) -> None:
        self.connection = connection
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue(BACKLOG)
        self._closed = threading.Event()
        connection.extend.standard.persistent_search(
            base,
            filter_text,
            ldap3.SUBTREE,
            ldap3.DEREF_NEVER,
            attributes=WANTED,
            controls=[protocol.sync_request(protocol.REFRESH_AND_PERSIST, cookie)],
            changes_only=True,
            notifications=False,
            streaming=False,
            callback=self._take,
        )

    def _take(self, answer: dict[str, Any]) -> None:
        """In ldap3's reader thread: waits while the queue is full, but never for a queue nobody reads."""
        while not self._closed.is_set():
            try:
                self._answers.put(answer, timeout=0.5)
                return
            except queue.Full:
                continue

    def get(self, timeout: float) -> dict[str, Any] | None:
        try:
            return self._answers.get(timeout=timeout) if timeout > 0 else self._answers.get_nowait()
        except queue.Empty:
            return None

    def is_broken(self) -> bool:
        return bool(self.connection.closed or not self.connection.listening)

    def close(self) -> None:
        self._closed.set()
        close(self.connection)


class SyncreplTracker:
    """Implements `directory.tracker.port.Tracker`."""

    name = "syncrepl"

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
        self._stopped = threading.Event()  # or interrupted
        self._ended_for_good = False
        self._compare_at = time.monotonic() + settings.compare_seconds
        self._newer_since = 0.0
        self.server = ""
        self._suffix: str | None = None

    def stop(self) -> None:
        self._ended_for_good = True
        self._stopped.set()

    def interrupt(self) -> None:
        self._stopped.set()

    def compare_within(self, seconds: float) -> None:
        self._compare_at = min(self._compare_at, time.monotonic() + seconds)

    def _id(self, text: str) -> str:
        return f"{self._settings.source}:{text}"

    def events(self, cookie: bytes | None) -> Iterator[Event]:
        if not self._ended_for_good:
            self._stopped.clear()
        stream: _Stream | None = None
        probe: ldap3.Connection | None = None
        try:
            connection = self._servers.open(ldap3.ASYNC_STREAM, patient=True)
            self.server = self._servers.url_of(connection)
            stream = _Stream(connection, self._settings.base, self._filter, cookie)
            probe = self._servers.open(timeout=PROBE_TIMEOUT, url=self._servers.url_of(connection))
            self._suffix = self._find_suffix(probe)
            cookie = yield from self._refresh(stream, cookie)
            yield from self._persist(stream, probe, cookie)
        except protocol.SyncFormat as error:
            raise _unavailable(f"syncrepl: {error}") from error
        except (LDAPException, OSError) as error:
            raise _unavailable(f"syncrepl: {error}") from error
        finally:
            self.server = ""
            if stream is not None:
                stream.close()
            close(probe)

    # -- refresh -----------------------------------------------------------------------------------------

    def _refresh(self, stream: _Stream, cookie: bytes | None) -> Generator[Event, None, bytes | None]:
        yield RefreshBegun()
        by_presence = cookie is None
        entries: list[RawEntry] = []
        present: list[str] = []
        deleted: list[str] = []
        last_answer = time.monotonic()
        while not self._stopped.is_set():
            answer = stream.get(0.5)
            if answer is None:
                if stream.is_broken():
                    raise _unavailable("syncrepl connection closed during the refresh")
                if time.monotonic() - last_answer > REFRESH_SILENCE_SECONDS:
                    raise _unavailable("syncrepl refresh stalled")
                continue
            last_answer = time.monotonic()
            if answer["type"] == "searchResEntry":
                state = self._state(answer)
                cookie = state.cookie or cookie
                if state.state in (protocol.ADD, protocol.MODIFY):
                    entries.append(self._raw(state.uuid, answer))
                else:
                    (deleted if state.state == protocol.DELETE else present).append(self._id(state.uuid))
            elif answer["type"] == "intermediateResponse":
                for info in protocol.sync_info(bytes(answer["responseValue"] or b"")):
                    cookie = info.cookie or cookie
                    (deleted if info.ids_deleted else present).extend(map(self._id, info.ids))
                    by_presence = by_presence or info.present_phase
                    if info.done:
                        yield Batch(tuple(entries), tuple(present), tuple(deleted))
                        yield RefreshDone(cookie, by_presence)
                        return cookie
            elif answer["type"] == "searchResDone":
                self._ended(answer, cookie)
            if len(entries) + len(present) + len(deleted) >= BATCH:
                yield Batch(tuple(entries), tuple(present), tuple(deleted))
                entries, present, deleted = [], [], []
        return cookie

    # -- persist -----------------------------------------------------------------------------------------

    def _persist(self, stream: _Stream, probe: ldap3.Connection, cookie: bytes | None) -> Iterator[Event]:
        next_probe, last_commit, behind_since = time.monotonic(), 0.0, 0.0
        if self._compare_at == float("inf"):  # the last comparison was cut off
            self._compare_at = time.monotonic() + PROBE_SECONDS
        compare: Iterator[tuple[str, ...]] | None = None
        pending: list[Change] = []
        while not self._stopped.is_set():
            wait = COMMIT_SECONDS - (time.monotonic() - last_commit) if pending else 0.0
            answer = stream.get(max(wait, 0.0) if pending else 0.0 if compare else 0.25)
            if answer is not None:
                more, cookie = self._live(answer, cookie)
                pending.extend(more)
                if len(pending) < BATCH:
                    continue
            now = time.monotonic()
            if pending and (now - last_commit >= COMMIT_SECONDS or len(pending) >= BATCH):
                yield Changed(tuple(pending), cookie)
                pending, last_commit = [], time.monotonic()
            elif answer is None and stream.is_broken():
                raise _unavailable("syncrepl connection closed by the server")
            if pending:
                continue
            if now >= next_probe:
                next_probe = now + PROBE_SECONDS
                at = self._now()
                verdict, cookie = self._prove(probe, cookie)
                if verdict:
                    behind_since = 0.0
                    yield Fresh(at, cookie)
                elif not behind_since:
                    behind_since, next_probe = now, now + BEHIND_SECONDS
                else:
                    raise _unavailable("the server has changes that its persistent search does not tell")
                if self._servers.should_return(self._servers.url_of(stream.connection)):
                    return  # the preferred server is back: begin anew there, with the cookie
            if compare is None and now >= self._compare_at:
                self._compare_at = float("inf")
                yield RefreshBegun()
                compare = self._listing()
            elif compare is not None:
                page = next(compare, None)
                if page is not None:
                    yield Batch(present=page)
                else:
                    compare, self._compare_at = None, time.monotonic() + self._settings.compare_seconds
                    yield RefreshDone(None, by_presence=True, only_ids=True)
                    next_probe = time.monotonic()

    def _listing(self) -> Iterator[tuple[str, ...]]:
        connection = self._servers.open()
        try:
            yield from visible_ids(connection, self._settings, self._filter, self._id_attribute)
        finally:
            close(connection)

    def _live(self, answer: dict[str, Any], cookie: bytes | None) -> tuple[list[Change], bytes | None]:
        if answer["type"] == "searchResEntry":
            state = self._state(answer)
            cookie = state.cookie or cookie
            if state.state == protocol.PRESENT:
                return [], cookie
            raw = self._raw(state.uuid, answer) if state.state != protocol.DELETE else None
            return [Change(self._id(state.uuid), raw)], cookie
        changes: list[Change] = []
        if answer["type"] == "intermediateResponse":
            for info in protocol.sync_info(bytes(answer["responseValue"] or b"")):
                cookie = info.cookie or cookie
                if info.ids_deleted:
                    changes += [Change(self._id(entry), None) for entry in info.ids]
        elif answer["type"] == "searchResDone":
            self._ended(answer, cookie)
        return changes, cookie

    def _ended(self, answer: dict[str, Any], cookie: bytes | None) -> None:
        code, base = answer["result"], self._settings.base
        if code == UNAVAILABLE_CRITICAL_EXTENSION:
            raise NotOffered("content synchronisation (load the syncprov overlay on this database)")
        if code == UNWILLING_TO_PERFORM and cookie is not None:
            # "consumer state is newer than provider": a replica that lags, or one restored from a backup
            self._newer_since = self._newer_since or time.monotonic()
            if time.monotonic() - self._newer_since > LAG_SECONDS:
                self._newer_since = 0.0
                raise StaleCookie(f"the server stays behind this copy: {answer['message']}")
            self._servers.avoid(self.server)
        if code == protocol.E_SYNC_REFRESH_REQUIRED and cookie is not None:
            raise StaleCookie(f"server wants a full refresh: {answer['message']}")
        if code == 32:
            raise _unavailable(f"directory.base {base!r} does not exist, or directory.bind may not read it")
        raise _unavailable(f"syncrepl ended: {describe(answer)}")

    def _raw(self, uuid_text: str, answer: dict[str, Any]) -> RawEntry:
        attributes = {name.lower(): list(values) for name, values in answer["raw_attributes"].items()}
        return RawEntry(self._id(uuid_text), answer["dn"], attributes)

    @staticmethod
    def _state(answer: dict[str, Any]) -> protocol.EntryState:
        control = (answer.get("controls") or {}).get(protocol.SYNC_STATE)
        if control is None:
            raise NotOffered("content synchronisation (load the syncprov overlay on this database)")
        return protocol.entry_state(bytes(control["value"]))

    # -- proof -------------------------------------------------------------------------------------------

    def _find_suffix(self, probe: ldap3.Connection) -> str:
        """contextCSN stands in the suffix entry, which may lie above directory.base."""
        _, _, response, _ = probe.search(
            "", "(objectClass=*)", ldap3.BASE, ldap3.DEREF_NEVER, attributes=["namingContexts"]
        )
        base = canonical_dn(self._settings.base)
        names = [v.decode("utf-8", "replace") for e in response or () for v in e["raw_attributes"]["namingContexts"]]
        above = [name for name in names if name and is_below(base, canonical_dn(name))]
        return max(above, key=len, default=self._settings.base)

    def _prove(self, probe: ldap3.Connection, cookie: bytes | None) -> tuple[bool, bytes | None]:
        """(everything committed was told, cookie); the cookie moves on over changes that are not visible here."""
        status, result, response, _ = probe.search(
            self._suffix or self._settings.base,
            "(objectClass=*)",
            ldap3.BASE,
            ldap3.DEREF_NEVER,
            attributes=["contextCSN"],
        )
        if result["result"] not in (0, 32, 50):
            raise _unavailable(f"probe: {result['description']} {result['message']}")
        found = [bytes(v) for e in response or () for v in e["raw_attributes"].get("contextCSN", ())] if status else []
        server, told = protocol.change_numbers(found), protocol.told(cookie)
        if server and told and all(told.get(sid, b"") >= number for sid, number in server.items()):
            return True, cookie
        return self._refresh_only(cookie)

    def _refresh_only(self, cookie: bytes | None) -> tuple[bool, bytes | None]:
        """Ask what happened since `cookie`: nothing visible = proof, and a newer cookie."""
        connection = self._servers.open(ldap3.ASYNC, timeout=PROBE_TIMEOUT)
        try:
            message = connection.search(
                self._settings.base,
                self._filter,
                ldap3.SUBTREE,
                ldap3.DEREF_NEVER,
                attributes=["1.1"],
                controls=[protocol.sync_request(protocol.REFRESH_ONLY, cookie)],
            )
            response, result = connection.get_response(message, timeout=self._settings.timeout.op * 2)
        finally:
            close(connection)
        if result["result"] == protocol.E_SYNC_REFRESH_REQUIRED:
            raise StaleCookie("the cookie is too old")
        if result["result"] != 0:
            raise _unavailable(f"probe: {result['description']} {result['message']}")
        for answer in response or ():
            if answer.get("type") == "searchResEntry" and self._state(answer).state != protocol.PRESENT:
                return False, cookie
            if answer.get("type") == "intermediateResponse":
                for info in protocol.sync_info(bytes(answer["responseValue"] or b"")):
                    if info.ids_deleted:
                        return False, cookie
                    cookie = info.cookie or cookie
        control = (result.get("controls") or {}).get(protocol.SYNC_DONE)
        newer = protocol.done_cookie(bytes(control["value"])) if control else None
        return True, newer or cookie
