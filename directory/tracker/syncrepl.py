"""Content synchronisation (RFC 4533, refreshAndPersist): OpenLDAP with syncprov, 389 DS with content sync.

The search runs on a connection of its own whose answers ldap3 hands over in its reader thread; they
pass through a bounded queue. Freshness is proven on a second connection every five seconds: the
suffix's contextCSN there must not be newer than the last cookie told here. A search that died without
notice, or a server that stopped sending, therefore shows within two rounds.
"""

from __future__ import annotations

import queue
import re
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import ldap3
from ldap3.core.exceptions import LDAPException

from directory.connection import DirectorySettings, Servers
from directory.model import Condition, Deferred
from directory.raw import RawEntry
from directory.tracker.port import Changed, Event, Fresh, Refreshed

SYNC_REQUEST = "1.3.6.1.4.1.4203.1.9.1.1"
SYNC_STATE = "1.3.6.1.4.1.4203.1.9.1.2"
SYNC_INFO = "1.3.6.1.4.1.4203.1.9.1.4"
E_SYNC_REFRESH_REQUIRED = 4096

PROBE_SECONDS = 5.0
BACKLOG = 10_000  # answers waiting to be applied; the reader thread blocks beyond, and TCP with it
REFRESH_SILENCE_SECONDS = 60.0

_PRESENT, _ADD, _MODIFY, _DELETE = 0, 1, 2, 3
_CSN = re.compile(rb"csn=([^,;]+(?:;[^,]+)?)")


def _tlv(tag: int, body: bytes) -> bytes:
    size = len(body)
    if size < 128:
        return bytes((tag, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def _parse(data: bytes) -> list[tuple[int, bytes]]:
    """BER elements of `data` as (tag, content)."""
    elements, position = [], 0
    while position < len(data):
        tag, length = data[position], data[position + 1]
        position += 2
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(data[position : position + count], "big")
            position += count
        elements.append((tag, data[position : position + length]))
        position += length
    return elements


def sync_request(cookie: bytes | None) -> tuple[str, bool, bytes]:
    """The Sync Request control for refreshAndPersist (RFC 4533 2.2)."""
    body = _tlv(0x0A, b"\x03") + (_tlv(0x04, cookie) if cookie else b"")
    return (SYNC_REQUEST, True, _tlv(0x30, body))


class SyncreplTracker:
    """Implements `directory.tracker.port.Tracker`."""

    def __init__(self, settings: DirectorySettings, servers: Servers, filter_text: str = "(objectClass=*)") -> None:
        self._settings = settings
        self._servers = servers
        self._filter = filter_text
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def _id(self, octets: bytes) -> str:
        return f"{self._settings.source}:{uuid.UUID(bytes=bytes(octets))}"

    def events(self, cookie: bytes | None) -> Iterator[Event]:
        answers: queue.Queue[dict[str, Any]] = queue.Queue(BACKLOG)
        stream = self._servers.open(ldap3.ASYNC_STREAM, patient=True)
        probe: ldap3.Connection | None = None
        try:
            search = stream.extend.standard.persistent_search(
                self._settings.base,
                self._filter,
                ldap3.SUBTREE,
                ldap3.DEREF_NEVER,
                attributes=[ldap3.ALL_ATTRIBUTES, "entryCSN", "memberOf"],
                controls=[sync_request(cookie)],
                changes_only=True,
                notifications=False,
                streaming=False,
                callback=answers.put,
            )
            del search
            probe = self._servers.open()
            yield from self._follow(stream, probe, answers, cookie)
        except (LDAPException, OSError) as error:
            raise Deferred(Condition.DIRECTORY_UNAVAILABLE, f"syncrepl: {error}") from error
        finally:
            for connection in (stream, probe):
                if connection is not None:
                    try:
                        connection.unbind()
                    except (LDAPException, OSError):
                        pass

    def _follow(
        self,
        stream: ldap3.Connection,
        probe: ldap3.Connection,
        answers: queue.Queue[dict[str, Any]],
        cookie: bytes | None,
    ) -> Iterator[Event]:
        changed: list[RawEntry] = []
        deleted: set[str] = set()
        present: set[str] = set()
        refreshing, any_present_phase = True, cookie is None
        next_probe, last_answer = time.monotonic(), time.monotonic()
        while not self._stopped.is_set():
            try:
                answer = answers.get(timeout=0.5)
            except queue.Empty:
                now = time.monotonic()
                if stream.closed or not stream.listening:
                    raise Deferred(Condition.DIRECTORY_UNAVAILABLE, "syncrepl connection closed") from None
                if refreshing and now - last_answer > REFRESH_SILENCE_SECONDS:
                    raise Deferred(Condition.DIRECTORY_UNAVAILABLE, "syncrepl refresh stalled") from None
                if not refreshing and now >= next_probe:
                    next_probe = now + PROBE_SECONDS
                    if self._proves_fresh(probe, cookie):
                        yield Fresh()
                continue
            last_answer = time.monotonic()
            kind = answer["type"]
            if kind == "searchResEntry":
                state, entry_id, new_cookie = self._state(answer)
                cookie = new_cookie or cookie
                raw = None
                if state in (_ADD, _MODIFY):
                    attributes = {k.lower(): list(v) for k, v in answer["raw_attributes"].items()}
                    raw = RawEntry(entry_id, answer["dn"], attributes)
                if not refreshing:
                    if state != _PRESENT:
                        yield Changed(entry_id, raw, cookie)
                elif raw is not None:
                    changed.append(raw)
                elif state == _DELETE:
                    deleted.add(entry_id)
                if refreshing and state in (_PRESENT, _ADD, _MODIFY):
                    present.add(entry_id)
            elif kind == "intermediateResponse":
                for tag, body in _parse(bytes(answer["responseValue"] or b"")):
                    if tag == 0x80:  # newcookie
                        cookie = bytes(body)
                        continue
                    parts = _parse(body)
                    for part_tag, part in parts:
                        if part_tag == 0x04:
                            cookie = bytes(part)
                    if tag == 0xA3:  # syncIdSet
                        ids = {self._id(octets) for t, group in parts if t == 0x31 for _, octets in _parse(group)}
                        deletes = any(t == 0x01 and part != b"\0" for t, part in parts)
                        if refreshing:
                            (deleted if deletes else present).update(ids)
                        elif deletes:
                            for entry_id in ids:
                                yield Changed(entry_id, None, cookie)
                        continue
                    if tag == 0xA2:
                        any_present_phase = True  # refreshPresent: what was not named is gone
                    if refreshing and not any(t == 0x01 and part == b"\0" for t, part in parts):
                        refreshing = False  # refreshDone, TRUE by default
                        yield Refreshed(changed, deleted, present if any_present_phase else None, cookie)
                        changed, deleted, present = [], set(), set()
                        next_probe = time.monotonic()
            elif kind == "searchResDone":
                if answer["result"] == E_SYNC_REFRESH_REQUIRED and cookie is not None:
                    raise StaleCookie(f"server wants a full refresh: {answer['message']}")
                raise Deferred(
                    Condition.DIRECTORY_UNAVAILABLE,
                    f"syncrepl ended: {answer['result']} {answer['description']} {answer['message']}",
                )

    def _state(self, answer: dict[str, Any]) -> tuple[int, str, bytes | None]:
        control = (answer.get("controls") or {}).get(SYNC_STATE)
        if control is None:
            raise Deferred(
                Condition.DIRECTORY_UNAVAILABLE,
                "the server does not offer content synchronisation (load syncprov, or set directory.track)",
            )
        parts = _parse(_parse(bytes(control["value"]))[0][1])
        return parts[0][1][0], self._id(parts[1][1]), bytes(parts[2][1]) if len(parts) > 2 else None

    def _proves_fresh(self, probe: ldap3.Connection, cookie: bytes | None) -> bool:
        """True when the server's newest change is one that was told here."""
        status, result, response, _ = probe.search(
            self._settings.base, "(objectClass=*)", ldap3.BASE, ldap3.DEREF_NEVER, attributes=["contextCSN"]
        )
        if not status or not response:
            raise Deferred(Condition.DIRECTORY_UNAVAILABLE, f"probe: {result['description']} {result['message']}")
        server = [bytes(v) for v in response[0]["raw_attributes"].get("contextCSN", [])]
        if not server:
            return True  # 389 DS keeps none; the answer itself shows that server and connection live
        match = _CSN.search(cookie or b"")
        told = match[1].split(b";") if match else []
        # a CSN starts with its time in fixed width, so octet order is time order
        return bool(told) and max(server) <= max(told)


class StaleCookie(Exception):
    """The cookie is too old for the server: start again without one, compare by presence."""
