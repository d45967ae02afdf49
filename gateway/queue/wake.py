"""The bell of the queue runner: a datagram to its socket names a message that came in.

The kernel keeps few of them; whoever finds as many as it keeps looks for what was not named. One that is lost
otherwise costs a minute.
"""

from __future__ import annotations

import contextlib
import os
import socket
from functools import lru_cache
from pathlib import Path

MAX_NAME = 200
KEPT = Path("/proc/sys/net/unix/max_dgram_qlen")  # how many datagrams wait in a socket
KEPT_DEFAULT = 10


@lru_cache(maxsize=1)
def _sender(process: int) -> socket.socket:
    """The socket with which this process rings."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    sock.setblocking(False)
    return sock


def ring(path: Path, message: str = "") -> None:
    """Tell the runner, if it is there, of a message; without a name it looks for itself. Never waits, never
    fails: the message itself is on disk."""
    with contextlib.suppress(OSError):
        _sender(os.getpid()).sendto(message.encode(), str(path))


def bell(path: Path) -> socket.socket:
    """The runner's side, non-blocking. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    sock.bind(str(path))
    os.chmod(path, 0o600)
    sock.setblocking(False)
    return sock


def kept() -> int:
    """How many datagrams wait in a socket at most, or fewer."""
    try:
        return int(KEPT.read_text())
    except (OSError, ValueError):
        return KEPT_DEFAULT


def heard(sock: socket.socket, most: int) -> list[str]:
    """The names that were told since the last time; "" = somebody told none, or more may have been told than the
    `most` that are kept."""
    names = []
    with contextlib.suppress(OSError):
        while True:
            names.append(sock.recv(MAX_NAME).decode("utf-8", "replace"))
    return [*names, ""] if len(names) >= most else names
