"""The bell of the queue runner: a datagram to its socket names a message that came in; a lost one costs a minute."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

MAX_NAME = 200


def ring(path: Path, message: str = "") -> None:
    """Tell the runner, if it is there, of a message; without a name it looks for itself. Never waits, never
    fails: the message itself is on disk."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.sendto(message.encode(), str(path))


def bell(path: Path) -> socket.socket:
    """The runner's side, non-blocking. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    sock.bind(str(path))
    os.chmod(path, 0o600)
    sock.setblocking(False)
    return sock


def heard(sock: socket.socket) -> list[str]:
    """The names that were told since the last time; "" = somebody told none."""
    names = []
    with contextlib.suppress(OSError):
        while True:
            names.append(sock.recv(MAX_NAME).decode("utf-8", "replace"))
    return names
