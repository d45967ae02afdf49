"""The line between the master and a child: one socket pair, gone with either of them.

The child sends a beat of fixed length every few seconds, so a child that hangs is noticed; the master sends
`DRAIN`. End of file tells a child that its master is gone, even where the kernel's own signal is lost with a
change of uid. A beat that is not well formed is ignored: the master parses nothing else from its children.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

DRAIN = b"drain"
_BEAT = struct.Struct("<?I")
MAX_BEATS = 64  # read at once


@dataclass(frozen=True, slots=True)
class Beat:
    """What a child says of itself."""

    ready: bool
    sessions: int


def pair() -> tuple[socket.socket, socket.socket]:
    """The master's end and the child's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


def latest(sock: socket.socket) -> Beat | None:
    """The newest beat that waits in the master's end; None when there is none (or the child has ended)."""
    found = None
    for _ in range(MAX_BEATS):
        try:
            data = sock.recv(64)
        except OSError:
            break
        if not data:
            break
        if len(data) == _BEAT.size:
            found = Beat(*_BEAT.unpack(data))
    return found


class Pulse:
    """A child's end. `start` it in the event loop, say `ready` when the child serves."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self._sock = sock
        self._seconds = seconds
        self._ready = False
        self._sessions: Callable[[], int] = lambda: 0
        self._drain: Callable[[], None] = lambda: None
        self._stop: Callable[[], None] = lambda: None
        self._also: Callable[[], None] = lambda: None

    def start(
        self,
        stop: Callable[[], None],
        drain: Callable[[], None] | None = None,
        sessions: Callable[[], int] | None = None,
        also: Callable[[], None] | None = None,
    ) -> None:
        """Beat from now on; `also` is called with every beat.

        `stop` is called when the master is gone, `drain` when it wants no new sessions served.
        """
        self._also = also or self._also
        self._stop = stop
        self._drain = drain or stop
        self._sessions = sessions or self._sessions
        asyncio.get_running_loop().add_reader(self._sock, self._heard)
        self._again()

    def ready(self) -> None:
        """The child does its work from now on."""
        self._ready = True
        self._beat()

    def _again(self) -> None:
        self._beat()
        self._also()
        asyncio.get_running_loop().call_later(self._seconds, self._again)

    def _beat(self) -> None:
        try:
            self._sock.send(_BEAT.pack(self._ready, self._sessions()))
        except OSError:
            pass  # the master is slow or gone; the reader notices the latter

    def _heard(self) -> None:
        try:
            said = self._sock.recv(64)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if said == DRAIN:
            self._drain()
        elif not said:
            asyncio.get_running_loop().remove_reader(self._sock)
            self._stop()
