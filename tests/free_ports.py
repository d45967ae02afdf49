"""Ports for servers of a test: below those that the system gives to clients, so that none is taken between the look and
the server's start."""

from __future__ import annotations

import itertools
import os
import socket

FIRST, LAST = 27_000, 32_700  # above the demos' (conftest.free_offset), below ip_local_port_range
_next = itertools.count(os.getpid() * 13)


def free_port() -> int:
    """A port of loopback that nobody has; another one at each call."""
    for _ in range(LAST - FIRST):
        port = FIRST + next(_next) % (LAST - FIRST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")
