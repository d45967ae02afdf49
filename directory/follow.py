"""Keeps the local copy following the directory: applies a tracker's events, starts it anew when it breaks.

Runs in a thread of its own in the agent. Trouble is written into the copy, where `status` reads it.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol

import lmdb

from directory.model import Deferred
from directory.replica_writer import Outcome, ReplicaWriter
from directory.tracker.port import (
    Batch,
    Changed,
    Event,
    Fresh,
    RefreshBegun,
    RefreshDone,
    StaleCookie,
    Tracker,
)

RETRY_SECONDS = 1.0
READER_CHECK_SECONDS = 60.0
#: while the brake holds entries, all ids are compared so often: an access rule that is mended sends no change
HELD_COMPARE_SECONDS = 30.0


class Report(Protocol):
    """Where events for the log go; `level` as in `logging`."""

    def __call__(self, level: int, event: str, *, exc_info: BaseException | None = None, **facts: object) -> None: ...


class Follower:
    """Applies one tracker's events to the copy."""

    def __init__(self, tracker: Tracker, writer: ReplicaWriter, report: Report) -> None:
        self._tracker = tracker
        self._writer = writer
        self._report = report
        self._suspects: frozenset[str] = frozenset()
        self._afresh = False
        self._refreshed = threading.Event()
        self._refreshed_at = 0.0
        self._outcome = Outcome()
        self._changes = 0

    def resync(self, timeout: float) -> Outcome | None:
        """Read the whole directory again and say what that did; None when it takes longer. From any thread."""
        self._refreshed.clear()
        self._afresh = True
        self._tracker.interrupt()
        return self._outcome if self._refreshed.wait(timeout) else None

    def facts(self) -> dict[str, object]:
        """How the directory is followed now, for `gatepost directory status`."""
        return {
            "method": self._tracker.name,
            "server": self._tracker.server,
            "refreshed_at": self._refreshed_at,
            "changes": self._changes,
        }

    def run(self, stop: threading.Event) -> None:
        """Follow until `stop` is set (and `tracker.stop` called); never raises."""
        checker = threading.Thread(target=self._check_readers, args=(stop,), name="reader-check", daemon=True)
        checker.start()
        last_trouble = ""
        while not stop.is_set():
            cookie = None if self._afresh else self._writer.cookie()
            self._afresh = False
            try:
                for event in self._tracker.events(cookie):
                    if self._apply(event):
                        last_trouble = ""
                    if stop.is_set():
                        return
                    if self._afresh:
                        break
                if self._afresh:
                    continue
            except StaleCookie as stale:
                self._report(20, "refresh", reason=str(stale))
                self._afresh = True
                if cookie is None:
                    stop.wait(RETRY_SECONDS)
                continue
            except Deferred as error:
                if error.detail != last_trouble:
                    self._report(30, "directory-lost", detail=error.detail)
                last_trouble = error.detail
                self._note(error.detail)
            except lmdb.Error as error:  # a full disk, a folder that is gone: the copy stays as it is and ages
                detail = f"local copy: {error}"
                if detail != last_trouble:
                    self._report(40, "replica-trouble", detail=detail)
                last_trouble = detail
                self._note(detail)
            except Exception as error:
                self._report(50, "bug", where="tracker", detail=repr(error), exc_info=error)
                self._note(f"bug: {error!r}")
            stop.wait(RETRY_SECONDS)

    def _note(self, detail: str) -> None:
        try:
            self._writer.note_trouble(detail)
        except lmdb.Error as error:
            self._report(40, "replica-trouble", detail=f"{detail}; not written either: {error}")

    def _check_readers(self, stop: threading.Event) -> None:
        """A killed worker's reader slot would keep old pages from being reused."""
        while not stop.wait(READER_CHECK_SECONDS):
            self._writer.reader_check()

    def _apply(self, event: Event) -> bool:
        """True for a sign that following works. Raises StaleCookie when only a full refresh helps."""
        if isinstance(event, Changed):
            self._changes += len(event.changes)
            if self._writer.apply(event.changes, event.cookie):
                self._tracker.compare_within(HELD_COMPARE_SECONDS)
        elif isinstance(event, Fresh):
            self._writer.proven_fresh(event.at, event.cookie)
            if self._suspects:
                suspects, self._suspects = self._suspects, frozenset()
                missing = self._writer.missing(suspects)
                if missing:
                    raise StaleCookie(f"{missing} entries of the directory are missing here or were held")
            return True
        elif isinstance(event, RefreshBegun):
            self._writer.begin_refresh()
        elif isinstance(event, Batch):
            self._writer.stage(event.entries, event.present, event.deleted)
        elif isinstance(event, RefreshDone):
            done = self._writer.finish_refresh(event.cookie, by_presence=event.by_presence, only_ids=event.only_ids)
            self._suspects = done.unknown
            if not event.only_ids:
                self._outcome, self._refreshed_at = done, time.time()
                self._refreshed.set()
            if done.held or done.braked:
                self._tracker.compare_within(HELD_COMPARE_SECONDS)
            self._report(
                30 if done.held else 20,
                "compared" if event.only_ids else "refreshed",
                changed=done.changed,
                removed=done.removed,
                held=done.held,
            )
            return True
        return False
