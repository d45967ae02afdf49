"""One process under the master: how it is forked, what the master knows of it."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.observe import log
from gateway.observe.log import fields
from gateway.service.identity import Identity
from gateway.service.pulse import DRAIN, Beat, Pulse, latest, pair

PR_SET_PDEATHSIG = 1
#: what a process does for its life, given its end of the line to the master
Life = Callable[[Pulse], None]


@dataclass(slots=True, eq=False)
class Child:
    """A process that runs. Times are monotonic."""

    name: str
    pid: int
    line: socket.socket
    #: how often it beats, seconds; a reload changes that for its successor only
    heartbeat: float
    started: float = field(default_factory=time.monotonic)
    heard: float = field(default_factory=time.monotonic)
    beat: Beat = field(default_factory=lambda: Beat(False, 0))
    #: it was told to end: nothing to report when it does
    expected: bool = False
    #: it has closed its end
    silent: bool = False
    #: when it is killed if it still runs then
    until: float = float("inf")

    def listen(self) -> bool:
        """Take what it said; True when that is news."""
        beat = latest(self.line)
        if beat is None:
            return False
        self.heard = time.monotonic()
        news, self.beat = beat != self.beat, beat
        return news

    def drain(self, seconds: float) -> None:
        """Let it finish its sessions; it is killed `seconds` from now."""
        self.expected, self.until = True, time.monotonic() + seconds
        try:
            self.line.send(DRAIN)
        except OSError:
            self.signal(signal.SIGTERM)

    def end(self, seconds: float) -> None:
        """Let it end now; it is killed `seconds` from now."""
        self.expected, self.until = True, min(self.until, time.monotonic() + seconds)
        self.signal(signal.SIGTERM)

    def signal(self, number: int) -> None:
        """Send a signal; a process that is gone already is fine."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            pass


def start(name: str, life: Life, heartbeat: float, identity: Identity, in_child: Callable[[], None]) -> Child:
    """Fork a process that lives `life` under `identity` and exits; `in_child` closes there what belongs to the master."""
    parent = os.getpid()
    ours, theirs = pair()
    gc.collect()
    gc.freeze()  # what exists now is not walked, and so not copied, by the child's collector
    pid = os.fork()
    if pid:
        theirs.close()
        return Child(name, pid, ours, heartbeat)
    code = 70
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # "reload" is for the master, even when a whole group gets it
        ours.close()
        in_child()
        log.start(name)
        identity.take()
        # behind the change of uid, which would undo it
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(0)
        life(Pulse(theirs, heartbeat))
        code = 0
    except BaseException:
        logging.getLogger("gatepost").exception("%s", fields(event="bug", where=name))
    finally:
        os._exit(code)
