"""Follows a directory that is one LDIF file: the whole file is told when it has changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from directory.ldif_file import LdifFile
from directory.tracker.port import Batch, Event, Fresh, RefreshBegun, RefreshDone

LOOK_SECONDS = 0.5
FRESH_SECONDS = 5.0
BATCH = 500


class LdifTracker:
    """Implements `directory.tracker.port.Tracker`."""

    name = "file"

    def __init__(self, file: LdifFile, now: Callable[[], float] = time.time) -> None:
        self._file = file
        self._now = now
        self._stopped = threading.Event()
        self._wake = threading.Event()
        self.server = f"file://{file.path}"

    def stop(self) -> None:
        self._stopped.set()
        self._wake.set()

    def interrupt(self) -> None:
        self._wake.set()

    def compare_within(self, seconds: float) -> None:
        """Not needed: whatever changes, the whole file is compared."""

    def events(self, cookie: bytes | None) -> Iterator[Event]:
        if not self._stopped.is_set():
            self._wake.clear()
        told, proven = "", 0.0
        while not self._wake.is_set():
            at, version = self._now(), self._file.version()
            if version != told:
                self._wake.wait(LOOK_SECONDS)  # a file that is being written changes again
                if self._file.version() != version:
                    continue
                yield from self._whole()
                told, proven = version, 0.0
            if time.monotonic() - proven >= FRESH_SECONDS:
                proven = time.monotonic()
                yield Fresh(at)
            self._wake.wait(LOOK_SECONDS)

    def _whole(self) -> Iterator[Event]:
        entries = self._file.entries()
        yield RefreshBegun()
        for start in range(0, len(entries), BATCH):
            yield Batch(entries[start : start + BATCH])
        yield RefreshDone(None, by_presence=True)
