"""The bell of the queue runner: a datagram to its socket says "something came in"; a lost one costs a minute."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path


def ring(path: Path) -> None:
    """Wake the runner if it is there. Never waits, never fails: the message itself is on disk."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.sendto(b"1", str(path))


def bell(path: Path) -> socket.socket:
    """The runner's side, non-blocking. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    sock.bind(str(path))
    os.chmod(path, 0o600)
    sock.setblocking(False)
    return sock
