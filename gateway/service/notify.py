"""Hints that a mailbox has changed, as unix datagrams between all workers and the queue runner of a host.

A hint is `<mailbox id> <MODSEQ> <account>`, a line of a datagram. It is never the truth: it only says that looking is worth while,
may come twice or late, and may be lost (sessions look by themselves from time to time). So nobody ever waits
for anybody: a hint that a busy worker has no room for now (Linux queues ten datagrams unless told otherwise) comes a
little later, joined with those after it; what one that is stuck has no room for within `PATIENCE` is dropped. A process
tells itself without a datagram.

Each receiver has a socket `<pid>` in the folder `hints` of `run_dir`. Whoever finds a socket without a process
removes it and tells all to look at everything (`EVERYTHING`): who was killed may have changed something and not said so.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from gateway.store.opening import Change

MAX_DATAGRAM = 8192  # octets
MAX_HINT = 1024
AT_ONCE = 64  # datagrams taken before others have their turn,
HINTS_AT_ONCE = 200  # or hints
BUFFER = 1 << 20
PAUSE = 0.05  # seconds until it is tried again
PATIENCE = 30.0  # seconds
MAX_OWED = 10_000  # mailboxes of which a receiver is to hear; one more, and it looks at everything
TICK = 50_000_000  # ns: a folder that has changed so short a time ago may change again within one tick of its clock
EVERYTHING: Change = ("", 0, 0)

Heard = Callable[[str, int, int], None]


def _datagrams(changes: Sequence[Change]) -> Iterator[bytes]:
    """As many hints a datagram as it may hold; one that is too long is left out."""
    hints: list[bytes] = []
    size = 0
    for account, mailbox, modseq in changes:
        hint = f"{mailbox} {modseq} {account}".encode()
        if len(hint) > MAX_HINT:
            continue
        if size + len(hint) >= MAX_DATAGRAM:
            yield b"\n".join(hints)
            hints, size = [], 0
        hints.append(hint)
        size += len(hint) + 1
    if hints:
        yield b"\n".join(hints)


def _offer(sender: socket.socket, receiver: str, datagrams: Sequence[bytes]) -> bool | None:
    """True when these are sent, as far as that may be; None where there is no room, False where nobody is any more."""
    try:
        for datagram in datagrams:
            sender.sendto(datagram, receiver)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.ENOBUFS):
            return None
        return error.errno != errno.ECONNREFUSED
    return True


def _removed(receiver: str) -> bool:
    """Remove the socket of a process that was killed; False when another one was faster. Names hold the pid, nobody
    takes it over."""
    try:
        os.unlink(receiver)
    except OSError:
        return False
    return True


def _tell(heard: Heard, changes: Sequence[Change]) -> None:
    for change in changes:
        heard(*change)


class _Owed:
    """What one receiver had no room for."""

    def __init__(self) -> None:
        self.since = time.monotonic()
        self.changes: dict[tuple[str, int], int] = {}

    def add(self, changes: Sequence[Change]) -> None:
        for account, mailbox, modseq in changes:
            self.changes[account, mailbox] = max(modseq, self.changes.get((account, mailbox), 0))
        if len(self.changes) > MAX_OWED:
            self.changes = {EVERYTHING[:2]: 0}


class Hints:
    """One a process, made after fork. `send` is safe in any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket: socket.socket | None = None
        self._receiver: socket.socket | None = None
        self._descriptor = -1
        self._seen = -1
        self._receivers: list[str] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._heard: Heard | None = None
        self._lock = threading.Lock()
        self._owed: dict[str, _Owed] = {}
        self._timer: threading.Timer | None = None
        self._is_closed = False

    def _path(self, name: str) -> str:
        """A socket's path, however long the folder's is: the system allows 107 octets. Raises OSError."""
        if self._descriptor < 0:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._descriptor}/{name}"

    def _sender(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        return self._socket

    def _known(self) -> list[str]:
        changed = os.stat(self._path("")).st_mtime_ns
        if changed != self._seen:
            own = str(os.getpid()) if self._heard is not None else ""
            self._receivers = [self._path(name) for name in os.listdir(self._path("")) if name != own]
            self._seen = changed if time.time_ns() - changed > TICK else -1
        return self._receivers

    def send(self, changes: Sequence[Change]) -> None:
        """Tell everybody that mailboxes have changed: (account, mailbox id, up to which MODSEQ). Never fails."""
        loop, heard = self._loop, self._heard
        if loop is not None and heard is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                loop.call_soon_threadsafe(_tell, heard, changes)
        self._send_others(list(_datagrams(changes)), changes)

    def _send_others(self, datagrams: list[bytes], changes: Sequence[Change]) -> None:
        was_killed = False
        try:
            with self._lock:
                sender, receivers = self._sender(), self._known()
            for receiver in receivers:
                taken = None if receiver in self._owed else _offer(sender, receiver, datagrams)
                if taken is None:
                    self._owe(receiver, changes)
                was_killed |= taken is False and _removed(receiver)
        except OSError:
            return
        if was_killed:
            self.send([EVERYTHING])

    def _owe(self, receiver: str, changes: Sequence[Change]) -> None:
        """Remember what a receiver is to hear later."""
        with self._lock:
            self._owed.setdefault(receiver, _Owed()).add(changes)
            self._wind()

    def _wind(self) -> None:
        """See to it that it is tried again. Call under the lock."""
        if self._timer is None and self._owed and not self._is_closed:
            self._timer = threading.Timer(PAUSE, self._pay)
            self._timer.daemon = True
            self._timer.start()

    def _pay(self) -> None:
        """Try again what there was no room for."""
        was_killed, now = False, time.monotonic()
        with self._lock:
            self._timer = None
            if self._is_closed:
                return
            sender = self._sender()
            for receiver, owed in tuple(self._owed.items()):
                datagrams = list(_datagrams([(*key, modseq) for key, modseq in owed.changes.items()]))
                taken = _offer(sender, receiver, datagrams)
                if taken is not None or now - owed.since > PATIENCE:
                    del self._owed[receiver]
                was_killed |= taken is False and _removed(receiver)
            self._wind()
        if was_killed:
            self.send([EVERYTHING])

    def listen(self, heard: Heard) -> None:
        """Call `heard(account, mailbox id, MODSEQ)` in the running loop for each hint. Raises OSError."""
        path = self._path(str(os.getpid()))
        Path(path).unlink(missing_ok=True)
        receiver = self._receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        receiver.setblocking(False)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        receiver.bind(path)
        os.chmod(path, 0o600)
        loop = asyncio.get_running_loop()
        loop.add_reader(receiver, self._take, receiver, heard)
        with self._lock:
            self._loop, self._heard, self._seen = loop, heard, -1
        # the one whose place this process takes may have been killed
        self._send_others([b""], ())

    def _take(self, receiver: socket.socket, heard: Heard) -> None:
        taken = 0
        for _ in range(AT_ONCE):
            try:
                datagram = receiver.recv(MAX_DATAGRAM)
            except OSError:
                return
            for hint in datagram.split(b"\n"):
                mailbox, _, rest = hint.partition(b" ")
                modseq, _, account = rest.partition(b" ")
                if mailbox.isdigit() and modseq.isdigit():
                    heard(account.decode("utf-8", "replace"), int(mailbox), int(modseq))
                taken += 1
            if taken >= HINTS_AT_ONCE:
                return

    def close(self) -> None:
        """Hear and tell no more. In the loop in which it listens, if it does."""
        self._loop = self._heard = None
        if self._receiver is not None:
            asyncio.get_running_loop().remove_reader(self._receiver)
            Path(self._path(str(os.getpid()))).unlink(
                missing_ok=True
            )  # first: nobody is to take it for one left behind
            self._receiver.close()
        with self._lock:
            self._is_closed = True
            if self._timer is not None:
                self._timer.cancel()
            if self._socket is not None:
                self._socket.close()
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
