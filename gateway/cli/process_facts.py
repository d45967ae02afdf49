"""What the kernel says of a process."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


def resident(pid: int) -> int:
    """Octets in memory, 0 for a process that is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, ValueError, IndexError):
        return 0


def uid_of(pid: int) -> int:
    """The uid, -1 for a process that is gone. (The owner of /proc/PID is root once a process has changed its uid.)"""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("Uid:"):
                return int(line.split()[2])
    except (OSError, ValueError, IndexError):
        pass
    return -1


def user_name(uid: int) -> str:
    """The name of a uid, or its number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return str(uid)
