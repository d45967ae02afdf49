"""At most one process of a kind a host: an exclusive lock on a file, held until the process ends."""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path

from gateway.observe.log import fields

_log = logging.getLogger("gatepost")


def only_one(path: Path) -> None:
    """Take the lock; waits for an orphan of an earlier master that still holds it, and says so."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o660)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip()
        _log.warning("%s", fields(event="waiting-for-lock", path=path, holder=holder or None))
        fcntl.flock(lock, fcntl.LOCK_EX)
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
