"""CPU of one simple bind on an open connection: ldap3's rebind against directory.bind_exchange.

Both ask the same small server in this process, in turn; CPU of the asking thread, median. Run from the root of the
sources: `python -m bench.bind_exchange [BINDS]`.
"""

from __future__ import annotations

import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable

import ldap3

from directory.bind_exchange import exchange

CONTROL = "1.3.6.1.4.1.42.2.27.8.5.1"
DN, PASSWORD = "uid=jane,ou=people,o=example", "a password of some length"
SUCCESS = bytes.fromhex("61070a010004000400")


def serve(listener: socket.socket) -> None:
    """Answer "success" to whatever comes, under its own message number."""

    def one(sock: socket.socket) -> None:
        while data := sock.recv(65_536):
            start = 2 if data[1] < 0x80 else 2 + (data[1] & 0x7F)
            body = data[start : start + 2 + data[start + 1]] + SUCCESS
            sock.sendall(bytes((0x30, len(body))) + body)

    while True:
        sock, _ = listener.accept()
        threading.Thread(target=one, args=(sock,), daemon=True).start()


def main() -> None:
    """Print both medians."""
    binds = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    port = listener.getsockname()[1]
    server = ldap3.Server("127.0.0.1", port, get_info=ldap3.NONE)
    connection = ldap3.Connection(server, client_strategy=ldap3.SAFE_SYNC, receive_timeout=5)
    connection.open()
    sock = socket.create_connection(("127.0.0.1", port))
    number = 1000

    def by_ldap3() -> None:
        connection.rebind(user=DN, password=PASSWORD, authentication=ldap3.SIMPLE, controls=[(CONTROL, False, None)])

    def by_hand() -> None:
        nonlocal number
        number += 1
        assert exchange(sock, number, DN, PASSWORD.encode(), CONTROL, 5)["result"] == 0

    ways: tuple[tuple[str, Callable[[], None], list[float]], ...] = (("ldap3", by_ldap3, []), ("by hand", by_hand, []))
    for _ in range(binds):
        for _, ask, spent in ways:
            begin = time.thread_time()
            ask()
            spent.append((time.thread_time() - begin) * 1e6)
    for name, _, spent in ways:
        print(f"{name:8} {statistics.median(spent):6.0f} us CPU a bind (median of {binds})")


if __name__ == "__main__":
    main()
