"""Which tracker follows a directory: the one that the configuration names, or the best that the server offers."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import ldap3
from ldap3.core.exceptions import LDAPException

from directory.connection import Servers, close
from directory.ldif_file import LdifFile
from directory.model import Condition, Deferred
from directory.profile import Profile
from directory.settings import DirectorySettings
from directory.tracker import sync_protocol, timestamp
from directory.tracker.ldif_file import LdifTracker
from directory.tracker.port import Event, NotOffered, Tracker
from directory.tracker.syncrepl import SyncreplTracker
from directory.tracker.timestamp import TimestampTracker


def tracker_for(settings: DirectorySettings, servers: Servers, profile: Profile) -> Tracker:
    """The tracker that `directory.track` names, or that of a file."""
    file = LdifFile.of(settings)
    if file is not None:
        return LdifTracker(file)
    syncrepl = SyncreplTracker(settings, servers, id_attribute=profile.id_attribute)
    if settings.track == "syncrepl":
        return _Named(syncrepl)
    polling = TimestampTracker(settings, servers, id_attribute=profile.id_attribute)
    if settings.track == "timestamp":
        return _Named(polling)
    return BestTracker(servers, syncrepl, polling)


class _Named:
    """One tracker and no other: what the server lacks is trouble to be told."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    @property
    def name(self) -> str:
        return self._tracker.name

    @property
    def server(self) -> str:
        return self._tracker.server

    def events(self, cookie: bytes | None) -> Iterator[Event]:
        try:
            yield from self._tracker.events(_own(self._tracker, cookie))
        except NotOffered as error:
            raise Deferred(
                Condition.DIRECTORY_UNAVAILABLE, f"directory.track: the server does not offer {error}"
            ) from error

    def stop(self) -> None:
        self._tracker.stop()

    def interrupt(self) -> None:
        self._tracker.interrupt()

    def compare_within(self, seconds: float) -> None:
        self._tracker.compare_within(seconds)


def _own(tracker: Tracker, cookie: bytes | None) -> bytes | None:
    """The cookie, unless another kind of tracker left it."""
    if cookie is None or cookie.startswith(timestamp.COOKIE) != isinstance(tracker, TimestampTracker):
        return None
    return cookie


class BestTracker:
    """Content synchronisation where the server in use offers it, polling elsewhere; asked at each beginning."""

    def __init__(self, servers: Servers, syncrepl: Tracker, polling: Tracker) -> None:
        self._servers = servers
        self._syncrepl = syncrepl
        self._polling = polling
        self._current: Tracker = syncrepl
        self._stopped = threading.Event()

    @property
    def name(self) -> str:
        return self._current.name

    @property
    def server(self) -> str:
        return self._current.server

    def events(self, cookie: bytes | None) -> Iterator[Event]:
        self._current = self._syncrepl if self._offers_synchronisation() else self._polling
        if self._stopped.is_set():
            return
        try:
            yield from self._current.events(_own(self._current, cookie))
        except NotOffered:  # known to the server, but not loaded for this database
            self._current = self._polling
            yield from self._current.events(_own(self._current, cookie))

    def _offers_synchronisation(self) -> bool:
        connection = self._servers.open()
        try:
            _, result, response, _ = connection.search(
                "", "(objectClass=*)", ldap3.BASE, ldap3.DEREF_NEVER, attributes=["supportedControl"]
            )
        except (LDAPException, OSError) as error:
            raise Deferred(Condition.DIRECTORY_UNAVAILABLE, f"root entry of the server: {error}") from error
        finally:
            close(connection)
        if result["result"] != 0 or not response:
            return True  # a hidden root entry: what the search itself answers decides
        offered = [
            bytes(oid).decode("ascii", "replace") for oid in response[0]["raw_attributes"].get("supportedControl", ())
        ]
        return sync_protocol.SYNC_REQUEST in offered

    def stop(self) -> None:
        self._stopped.set()
        self._syncrepl.stop()
        self._polling.stop()

    def interrupt(self) -> None:
        self._current.interrupt()

    def compare_within(self, seconds: float) -> None:
        self._current.compare_within(seconds)
