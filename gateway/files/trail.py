"""The files in which the events of messages are kept: `<day>.<process>`, one JSON object a line, in UTC days.

Written without fsync, one `write` an event, in the queue's process one for those of a moment: a power cut may cost the
last ones. They are a memory for people, no promise hangs on them; trouble with them is logged and touches no mail.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from gateway.observe.gathered import Gathered
from gateway.observe.log import fields

DAY = 86400
COMPLAIN_SECONDS = 60.0
_log = logging.getLogger("gatepost.trace")


def day_of(moment: float) -> str:
    """The day in the names of the files."""
    return time.strftime("%Y%m%d", time.gmtime(moment))


class TrailFile:
    """The file of one process; `write` may be called by all threads."""

    def __init__(self, folder: Path, process: str, max_size: int, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._process, self._max_size, self._clock = folder, process, max_size, clock
        self._lock = threading.RLock()
        self._fd = -1
        self._day = -1
        self._size = 0
        self._complained = 0.0
        self.gathered = Gathered(self._put, threading.get_ident)

    def write(self, line: bytes) -> None:
        """Put one event (a JSON object with its line end) behind the others, with the time in front."""
        now = self._clock()
        try:
            with self._lock:
                if now // DAY != self._day:
                    self._open(now)
                if self._size + len(line) > self._max_size:
                    self._complain(now, f"more than {self._max_size} octets of events today, the rest is left out")
                    return
                data = b'{"at":%.6f,%b' % (now, line[1:])
                self._size += len(data)
            self.gathered.put(data)
        except OSError as error:
            self._complain(now, str(error))

    def _put(self, data: bytes) -> None:
        try:
            with self._lock:
                os.write(self._fd, data)
        except OSError as error:
            self._complain(self._clock(), str(error))

    def _open(self, now: float) -> None:
        self.gathered.flush()
        self.close()
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._folder / f"{day_of(now)}.{self._process}"
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._fd).st_size
        self._day = int(now // DAY)

    def _complain(self, now: float, detail: str) -> None:
        if abs(now - self._complained) >= COMPLAIN_SECONDS:
            self._complained = now
            _log.warning("%s", fields(event="trace-trouble", detail=detail))

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = self._day = -1


def purge(folder: Path, keep: float, now: float) -> int:
    """Remove the days that ended more than `keep` seconds ago; how many files. Raises OSError."""
    if not folder.exists():
        return 0
    oldest, gone = day_of(now - keep), 0
    for path in folder.iterdir():
        day = path.name.partition(".")[0]
        if len(day) == 8 and day.isdigit() and day < oldest:
            path.unlink(missing_ok=True)
            gone += 1
    return gone
