"""systemd's side of a service: sockets that it opened (sd_listen_fds(3)) and what it wants to hear (sd_notify(3))."""

from __future__ import annotations

import os
import socket
import time

FIRST_FD = 3


def notify(*assignments: str) -> bool:
    """Tell systemd `READY=1`, `STATUS=…`; False when it did not start us or does not listen."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return False
    address = "\0" + path[1:] if path.startswith("@") else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.setblocking(False)
            sock.sendto("\n".join(assignments).encode(), address)
    except OSError:
        return False
    return True


def reloading() -> None:
    """A reload begins (Type=notify-reload)."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def watchdog_seconds() -> float:
    """How often to say `WATCHDOG=1`: half of what systemd allows; 0.0 = never."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    try:
        return int(os.environ.get("WATCHDOG_USEC", "0")) / 2_000_000
    except ValueError:
        return 0.0


def passed_sockets() -> list[tuple[str, socket.socket]]:
    """Listening stream sockets that systemd passed, with their FileDescriptorName; the variables are taken away."""
    pid, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count.isdigit():
        return []
    found = []
    for number in range(int(count)):
        try:
            sock = socket.socket(fileno=FIRST_FD + number)
            listens = sock.type == socket.SOCK_STREAM and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError:
            continue
        if not listens:
            sock.detach()
            continue
        sock.setblocking(False)
        os.set_inheritable(sock.fileno(), False)
        found.append((names[number] if number < len(names) else "", sock))
    return found
