"""The master process: holds the sockets, starts agent, workers and queue runner, replaces what dies or hangs.

It parses nothing from outside, opens no database and runs one thread without an event loop, so that a fork
is safe at any time. Signals: TERM and INT stop, HUP reloads. A reload starts a successor of each worker and of the
web front end on the same sockets; the old one stops accepting when the new one serves, and ends with its sessions.
A configuration that cannot be used changes nothing.
"""

from __future__ import annotations

import logging
import math
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from gateway.config.load import ConfigurationError, load_to_serve
from gateway.config.settings import Settings
from gateway.observe.log import fields
from gateway.service import agent, child, preload, runner, spawner, systemd, worker
from gateway.service.child import Child, Life
from gateway.service.identity import identities, prepare_folders
from gateway.service.overview import PROGRAMS, WEB, AlreadyRuns, Overview, Process
from gateway.service.pulse import Pulse
from gateway.service.sockets import Listening, PortTaken, Sockets

__all__ = ["AlreadyRuns", "Master", "PortTaken"]

MISSED_BEATS = 3
STEADY_SECONDS = 5.0
FIRST_PAUSE = 0.2
FORGIVEN_SECONDS = 0.5
KILL_AFTER = 5.0  # a process that is asked to end within its own limit gets so much more
OVERVIEW_SECONDS = 1.0
AGENT, QUEUE = "agent", "queue"
_log = logging.getLogger("gatepost.master")
assert preload  # what is imported here is shared by every process


class WebFrontEnd(Protocol):
    """The web front end, which lies above this package and is given to the master."""

    def load(self) -> None:
        """Import what it is made of, in its process, while that has not given up root."""
        ...

    def run(self, settings: Settings, sockets: Sockets, pulse: Pulse) -> None:
        """Serve until told to stop."""
        ...


class Unusable(Exception):
    """A configuration cannot be taken at a reload; the message tells why."""


class Master:
    """Starts and keeps the children of one host; `source` is read again at a reload. Making it opens the sockets: raises PortTaken, AlreadyRuns."""

    def __init__(self, settings: Settings, source: Path, web: WebFrontEnd | None = None) -> None:
        self._settings = settings
        self._web = web
        self._source = source
        self._who = identities(settings.run_as)
        self._overview = Overview(Path(settings.run_dir))
        self._overview.start()
        prepare_folders(settings, self._who)
        self._listening = Listening(systemd.passed_sockets())
        self._listening.open(settings)
        self._shares = self._listening.shares(settings)
        #: where the spawner takes orders; kept for its successors
        self._door = spawner.listen(settings, self._who)
        self._children: dict[int, Child] = {}
        #: who serves under each name, and who is about to
        self._current: dict[str, Child] = {}
        self._successors: dict[str, Child] = {}
        self._failures: dict[str, int] = {}
        self._deaths: dict[str, int] = {}
        self._due: dict[str, float] = {}
        self._stopping = self._reloading = self._reload_wanted = self._was_ready = self._changed = False
        self._reload_problem = ""
        self._watchdog = systemd.watchdog_seconds()
        self._next_watchdog = self._next_overview = 0.0

    # the loop

    def run(self, on_ready: Callable[[dict[str, int]], None] | None = None) -> int:
        """Serve until SIGTERM or SIGINT. `on_ready` gets the pids by name once every process does its work."""
        woken, wakeup = socket.socketpair()
        woken.setblocking(False)
        wakeup.setblocking(False)
        self._wires = (woken, wakeup)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(wakeup.fileno(), warn_on_full_buffer=False)
        try:
            for name in self._names():
                self._start(name)
            while self._children or not self._stopping:
                self._turn()
                if not self._was_ready and not self._stopping and self._all_ready():
                    self._was_ready = True
                    self._show(force=True)
                    systemd.notify("READY=1", "STATUS=serving")
                    if on_ready is not None:
                        on_ready({each.name: each.pid for each in self._current.values()})
            return 0
        finally:
            signal.set_wakeup_fd(-1)
            self._listening.close()
            if self._door is not None:
                self._door.close()
            self._overview.end()

    def _names(self) -> list[str]:
        programs = [PROGRAMS] if self._settings.programs else []
        web = [WEB] if self._web is not None and self._settings.web.listen else []
        return [AGENT, *(f"worker-{number}" for number in range(len(self._shares))), QUEUE, *programs, *web]

    def _all_ready(self) -> bool:
        return all(name in self._current and self._current[name].beat.ready for name in self._names())

    def _turn(self) -> None:
        """Wait until something happens or is due, and see to it."""
        waiting = select.poll()
        waiting.register(self._wires[0], select.POLLIN)
        by_fd = {each.line.fileno(): each for each in self._children.values() if not each.silent}
        for number in by_fd:
            waiting.register(number, select.POLLIN)
        pause, before = self._pause(), time.monotonic()
        events = waiting.poll(pause * 1000)
        late = time.monotonic() - before - pause
        if late > FORGIVEN_SECONDS:  # the whole machine stood still, not the children
            for each in self._children.values():
                each.heard += late
        for number, event in events:
            if number in by_fd:
                self._listen(by_fd[number])
                by_fd[number].silent = bool(event & select.POLLHUP)  # its end follows, and is signalled
        self._signals()
        self._reap()
        self._judge()
        now = time.monotonic()
        for name in [name for name, due in self._due.items() if due <= now]:
            del self._due[name]
            if not self._stopping and name in self._names():
                self._start(name)
        if self._reload_wanted and self._was_ready and not self._stopping:
            self._reload()
        elif self._reloading:
            self._reload_progress()
        self._show()
        if self._watchdog and now >= self._next_watchdog:
            self._next_watchdog = now + self._watchdog
            systemd.notify("WATCHDOG=1")

    def _pause(self) -> float:
        """Seconds until something is due, at most one heartbeat."""
        now = time.monotonic()
        due = [self._settings.processes.heartbeat, *(at - now for at in self._due.values())]
        due += [each.until - now for each in self._children.values() if each.until < math.inf]
        if self._watchdog:
            due.append(self._next_watchdog - now)
        if self._changed:
            due.append(self._next_overview - now)
        return min(max(min(due), 0.005), 60.0)

    def _signals(self) -> None:
        try:
            numbers = set(self._wires[0].recv(1024))
        except BlockingIOError:
            return
        if numbers & {signal.SIGTERM, signal.SIGINT}:
            self._stop()
        if signal.SIGHUP in numbers:
            self._reload_wanted = True

    # children

    def _life(self, name: str, share: Sockets) -> Life:
        settings = self._settings
        if name == AGENT:
            return lambda pulse: agent.run(settings, pulse)
        if name == QUEUE:
            return lambda pulse: runner.run(settings, pulse)
        door = self._door
        if name == PROGRAMS and door is not None:
            return lambda pulse: spawner.run(settings, door, pulse)
        web = self._web
        if name == WEB and web is not None:
            return lambda pulse: web.run(settings, share, pulse)
        number = int(name.rpartition("-")[2])
        return lambda pulse: worker.run(settings, number, share, pulse)

    def _start(self, name: str) -> None:
        share = self._share(name)

        def in_child() -> None:
            self._listening.close_in_child(share)
            if name != PROGRAMS and self._door is not None:
                self._door.close()
            for each in self._children.values():
                each.line.close()
            for wire in self._wires:
                wire.close()
            self._overview.close_in_child()
            if name == WEB and self._web is not None:
                self._web.load()

        who = {AGENT: self._who.directory, PROGRAMS: self._who.programs, WEB: self._who.web}.get(name, self._who.mail)
        started = child.start(name, self._life(name, share), self._settings.processes.heartbeat, who, in_child)
        self._children[started.pid] = started
        self._changed, self._next_overview = True, 0.0
        (self._successors if name in self._current else self._current)[name] = started

    def _share(self, name: str) -> Sockets:
        if name == WEB:
            return self._listening.of_web(self._settings)
        return self._shares[int(name.rpartition("-")[2])] if name.startswith("worker-") else []

    def _listen(self, speaker: Child) -> None:
        was_ready = speaker.beat.ready
        if not speaker.listen():
            return
        self._changed = True
        if speaker.beat.ready != was_ready:
            self._next_overview = 0.0
        if speaker.beat.ready and self._successors.get(speaker.name) is speaker:
            del self._successors[speaker.name]
            self._retire(speaker.name)
            self._current[speaker.name] = speaker

    def _retire(self, name: str) -> None:
        old = self._current.pop(name, None)
        if old is not None and not old.expected:
            old.drain(self._settings.processes.drain_timeout + KILL_AFTER)

    def _judge(self) -> None:
        """Kill what hangs, what never comes to serve and what outstays its limit."""
        now = time.monotonic()
        limits = self._settings.processes
        for each in list(self._children.values()):
            if now >= each.until:
                _log.warning("%s", fields(event="child-killed", child=each.name, pid=each.pid))
                each.until = math.inf
                each.signal(signal.SIGKILL)
            elif each.expected:
                continue
            elif each.beat.ready and now - each.heard > MISSED_BEATS * each.heartbeat:
                each.listen()
                if now - each.heard > MISSED_BEATS * each.heartbeat:
                    _log.error("%s", fields(event="child-hangs", child=each.name, pid=each.pid))
                    self._replace_now(each)
            elif not each.beat.ready and now - each.started > limits.start_timeout:
                _log.error("%s", fields(event="child-not-ready", child=each.name, pid=each.pid))
                each.signal(signal.SIGKILL)
                each.until = math.inf

    def _replace_now(self, hanging: Child) -> None:
        """Do not wait for its end, which may take as long as a dead disk: its successor takes the same sockets."""
        hanging.expected = True
        self._deaths[hanging.name] = self._deaths.get(hanging.name, 0) + 1
        hanging.signal(signal.SIGKILL)
        if self._current.get(hanging.name) is hanging:
            del self._current[hanging.name]
            if hanging.name not in self._successors and not self._stopping:
                self._start(hanging.name)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            ended = self._children.pop(pid, None)
            if ended is not None:
                self._ended(ended, os.waitstatus_to_exitcode(status))

    def _ended(self, ended: Child, code: int) -> None:
        ended.line.close()
        self._changed, self._next_overview = True, 0.0
        name = ended.name
        was_current = self._current.get(name) is ended
        was_successor = self._successors.get(name) is ended
        if was_current:
            del self._current[name]
            if name in self._successors:
                self._current[name] = self._successors.pop(name)
                was_current = False
        if was_successor:
            del self._successors[name]
        if self._stopping:
            if all(each.name == AGENT for each in self._children.values()):
                self._end(AGENT)
            return
        if ended.expected:
            if was_current:
                self._start(name)
            return
        _log.error("%s", fields(event="child-died", child=name, pid=ended.pid, status=code))
        self._deaths[name] = self._deaths.get(name, 0) + 1
        if not (was_current or was_successor) or name not in self._names():
            return
        if time.monotonic() - ended.started >= STEADY_SECONDS:
            self._failures.pop(name, None)
            self._start(name)
            return
        failures = self._failures[name] = self._failures.get(name, 0) + 1
        pause = min(FIRST_PAUSE * 2 ** min(failures - 1, 20), self._settings.processes.restart_max)
        if failures > 3:
            _log.error("%s", fields(event="child-keeps-dying", child=name, times=failures, pause=pause))
        self._due[name] = time.monotonic() + pause

    # stop and reload

    def _end(self, name: str) -> None:
        for each in self._children.values():
            if each.name == name and not each.expected:
                each.end(self._settings.processes.stop_timeout + KILL_AFTER)

    def _stop(self) -> None:
        """Workers and the queue runner first: what they finish may still need the agent."""
        if self._stopping:
            return
        self._stopping = True
        systemd.notify("STOPPING=1")
        self._due.clear()
        others = [each for each in self._children.values() if each.name != AGENT]
        for each in others:
            each.end(self._settings.processes.stop_timeout + KILL_AFTER)
        if not others:
            self._end(AGENT)

    def _reload(self) -> None:
        """Take a new configuration: workers and web front end get successors, agent and queue runner start anew."""
        self._reload_wanted = False
        systemd.reloading()
        before = self._settings
        try:
            settings = load_to_serve(self._source)
            for key in ("state_dir", "run_dir", "run_as"):
                if getattr(settings, key) != getattr(before, key):
                    raise Unusable(f"{key} changes only with a restart")
            self._listening.open(settings)
            if self._door is None:
                self._door = spawner.listen(settings, self._who)
        except (ConfigurationError, Unusable, PortTaken) as error:
            for line in str(error).splitlines():
                _log.error("%s", fields(event="reload-refused", detail=line))
            systemd.notify("READY=1", "STATUS=serving; the last reload was refused")
            self._overview.reloaded(str(error))
            self._show(force=True)
            return
        _log.info("%s", fields(event="reload"))
        self._settings, self._reloading = settings, True
        self._shares = self._listening.shares(settings)
        self._failures.clear()
        self._due.clear()
        for name in (AGENT, QUEUE, PROGRAMS):
            if settings != before and name in self._current:
                self._current[name].end(settings.processes.stop_timeout + KILL_AFTER)
            elif name in self._names() and name not in self._current:
                self._start(name)
        for name in self._names():
            if name == WEB or name.startswith("worker-"):
                early = self._successors.pop(name, None)
                if early is not None:
                    early.end(KILL_AFTER)
                self._start(name)

    def _reload_progress(self) -> None:
        """The reload has ended when every successor serves; then nothing of the old configuration accepts."""
        if self._successors or self._due or not self._all_ready():
            return
        if any(each.expected for each in self._current.values()):
            return
        for name in [name for name in self._current if name not in self._names()]:
            self._retire(name)
        self._listening.close_unused(self._settings)
        self._reloading = False
        _log.info("%s", fields(event="reloaded"))
        systemd.notify("READY=1", "STATUS=serving")
        self._overview.reloaded("")
        self._show(force=True)

    def _show(self, *, force: bool = False) -> None:
        """Write what `gatepost ps` reads."""
        now = time.monotonic()
        if not force and (now < self._next_overview or not self._changed):
            return
        self._changed = False
        self._next_overview = now + OVERVIEW_SECONDS
        serving = set(map(id, self._current.values()))
        self._overview.write(
            [
                Process(
                    each.name,
                    each.pid,
                    round(now - each.started),
                    each.beat.ready,
                    each.expected or id(each) not in serving,
                    each.beat.sessions,
                )
                for each in self._children.values()
            ],
            self._was_ready,
            self._deaths,
        )
