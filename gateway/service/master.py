"""The master process: holds the sockets, starts agent and workers, replaces what dies. Parses nothing."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from gateway.config.settings import Settings
from gateway.observe import log
from gateway.observe.log import fields
from gateway.service import agent, runner, worker
from gateway.service.worker import Sockets

STOP_SECONDS = 10.0
READY_SECONDS = 60.0
RESTART_PAUSE = 0.2
STEADY_SECONDS = 5.0
PR_SET_PDEATHSIG = 1
_log = logging.getLogger("gatepost.master")


class PortTaken(Exception):
    """A port cannot be opened; the message names service, address and port."""


def open_sockets(settings: Settings) -> list[Sockets]:
    """For each worker its own SO_REUSEPORT socket of every listener. Raises PortTaken."""
    shares: list[Sockets] = [[] for _ in range(settings.workers)]
    for service, listeners in settings.listen.items():
        for listener in listeners:
            family = socket.AF_INET6 if ":" in listener.address else socket.AF_INET
            for share in shares:
                sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
                try:
                    if share is shares[0]:
                        _check_free(family, listener.address, listener.port)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                    sock.bind((listener.address, listener.port))
                except OSError as error:
                    sock.close()
                    raise PortTaken(f"{service}: {listener.address}:{listener.port}: {error.strerror}") from error
                sock.setblocking(False)
                sock.listen(1024)
                share.append((service, listener, sock))
    return shares


def _check_free(family: int, address: str, port: int) -> None:
    """SO_REUSEPORT lets a second Gatepost share a port silently: bind once without it."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, port))


class Master:
    """Starts and keeps the children of one host."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._shares = open_sockets(settings)
        self._children: dict[int, tuple[str, Callable[[], None]]] = {}
        self._started: dict[str, float] = {}
        self._stopping = False

    def run(self, on_ready: Callable[[dict[str, int]], None] | None = None) -> int:
        """Serve until SIGTERM or SIGINT. `on_ready` gets the pids by name once every worker serves."""
        for folder in (self._settings.state_dir, self._settings.run_dir):
            Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        for stale in Path(self._settings.run_dir).glob("worker-*.ready"):
            stale.unlink()
        gc.collect()
        gc.freeze()
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, self._stop)
        # a new configuration is taken at the next start; the usual word for "reload" must not end the service
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._start("agent", lambda: agent.run(self._settings))
        for number, share in enumerate(self._shares):
            self._start(f"worker-{number}", functools.partial(worker.run, self._settings, number, share))
        self._start("queue", lambda: runner.run(self._settings))
        if on_ready is not None and self._wait_ready():
            on_ready({name: pid for pid, (name, _) in self._children.items()})
        while self._children:
            self._reap()
        return 0

    def _wait_ready(self) -> bool:
        deadline = time.monotonic() + READY_SECONDS
        run_dir = Path(self._settings.run_dir)
        while time.monotonic() < deadline and not self._stopping:
            if len(list(run_dir.glob("worker-*.ready"))) == len(self._shares):
                return True
            self._reap(block=False)
            time.sleep(0.02)
        return False

    def _start(self, name: str, life: Callable[[], None]) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid:
            self._children[pid] = (name, life)
            self._started[name] = time.monotonic()
            return
        code = 70
        try:
            ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(0)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            log.start(name)
            life()
            code = 0
        except BaseException:
            logging.getLogger("gatepost").exception("%s", fields(event="bug", where=name))
        finally:
            os._exit(code)

    def _reap(self, *, block: bool = True) -> None:
        try:
            pid, status = os.waitpid(-1, 0 if block else os.WNOHANG)
        except InterruptedError:
            return
        except ChildProcessError:
            self._children.clear()
            return
        if pid == 0 or pid not in self._children:
            return
        name, life = self._children.pop(pid)
        if not self._stopping:
            _log.error("%s", fields(event="child-died", child=name, status=os.waitstatus_to_exitcode(status)))
            if time.monotonic() - self._started.get(name, 0.0) < STEADY_SECONDS:
                time.sleep(RESTART_PAUSE)  # one that dies at once is not started in a tight loop
            if not self._stopping:
                self._start(name, life)

    def _stop(self, number: int, frame: object) -> None:
        self._stopping = True
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
