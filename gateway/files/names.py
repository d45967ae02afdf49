"""Unique names of message files: `<seconds>.M<us>P<pid>_<worker>_<n>.<host id>`."""

from __future__ import annotations

import itertools
import os
import socket
import time

_counter = itertools.count()


def host_id() -> str:
    """This host's name as it may stand in a file name."""
    return socket.gethostname().replace("/", "\\057").replace(":", "\\072").replace(",", "\\054")


def unique_name(host: str, worker: int = 0) -> str:
    """A name that no other process on any host gives."""
    now = time.time_ns()
    return f"{now // 1_000_000_000}.M{now // 1000 % 1_000_000}P{os.getpid()}_{worker}_{next(_counter)}.{host}"
