"""The spawner: runs the delivery programs of the configuration as `run_as.programs`, and nothing else.

It listens on a socket that only the queue runner's user may connect to. Each order gets a process of its own, which
runs the program, feeds it the message, and kills it with everything it started when its time is over, when it ends,
or when whoever asked is gone. Nothing of the service is open in a program: it gets three pipes, its variables and
its limits.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import resource
import select
import signal
import socket
import time
from pathlib import Path

import msgspec

from gateway.config.settings import Listener, Settings
from gateway.deliver.program import Order, Ran
from gateway.deliver.program_settings import ProgramSettings
from gateway.observe.log import fields
from gateway.service.identity import Identities
from gateway.service.pulse import Pulse
from gateway.service.sockets import open_unix

SOCKET = "programs.sock"
MAX_ORDER = 256 * 1024
PIECE = 65536
ORDER_SECONDS = 30.0
PR_SET_CHILD_SUBREAPER = 36
MOST_FILES = 256
_log = logging.getLogger("gatepost.programs")


def listen(settings: Settings, who: Identities) -> socket.socket | None:
    """The socket, for the master to keep; None without programs. Raises OSError."""
    if not settings.programs:
        return None
    path = f"{settings.run_dir}/{SOCKET}"
    sock = open_unix(Listener(path=path, mode="0600", tls="none"))
    if os.getuid() == 0:
        os.chown(path, who.mail.uid, who.mail.gid, follow_symlinks=False)
    return sock


class Spawner:
    """Forks a process for each order; reaps them. Single-threaded: a fork copies nothing that is locked."""

    def __init__(self, settings: Settings, door: socket.socket) -> None:
        self._programs, self._door = settings.programs, door
        self._most = sum(program.concurrency for program in settings.programs.values())
        self._running: set[int] = set()

    def start(self) -> None:
        """Take orders from now on."""
        self._door.setblocking(False)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        loop.add_reader(self._door, self._order)

    def __len__(self) -> int:
        return len(self._running)

    def stop(self) -> None:
        """No new orders; what runs is ended."""
        asyncio.get_running_loop().remove_reader(self._door)
        for pid in self._running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def _reap(self) -> None:
        while self._running:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            self._running.discard(pid)
        if len(self._running) < self._most:
            asyncio.get_running_loop().add_reader(self._door, self._order)

    def _order(self) -> None:
        try:
            connection, _ = self._door.accept()
        except OSError:
            return
        pid = os.fork()
        if pid:
            connection.close()
            self._running.add(pid)
            if len(self._running) >= self._most:  # the rest waits in the socket's backlog
                asyncio.get_running_loop().remove_reader(self._door)
            return
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            connection.setblocking(True)
            _serve(connection, self._programs)
        except BaseException:
            _log.exception("%s", fields(event="bug", where="spawner"))
        finally:
            os._exit(0)


def _serve(connection: socket.socket, programs: dict[str, ProgramSettings]) -> None:
    """One order, in its own process."""
    connection.settimeout(ORDER_SECONDS)
    head = b""
    while b"\n" not in head:
        data = connection.recv(PIECE)
        if not data or len(head) > MAX_ORDER:
            return
        head += data
    line, _, rest = head.partition(b"\n")
    order = msgspec.json.decode(line, type=Order)
    program = programs.get(order.program)
    if program is None:
        ran = Ran(None, trouble="there is no program of this name in the configuration")
    else:
        work = _Run(connection, program, order, rest)
        ran = work.ran()
        work.take_rest()
    with contextlib.suppress(OSError):
        connection.settimeout(ORDER_SECONDS)
        connection.sendall(msgspec.json.encode(ran) + b"\n")


class _Run:
    """One run of one program."""

    def __init__(self, connection: socket.socket, program: ProgramSettings, order: Order, begun: bytes) -> None:
        self._connection, self._program, self._order = connection, program, order
        self._waiting = begun  # of the message, for the program
        self._missing = order.size - len(begun)
        self._output = b""
        self._listening = True  # to what it prints
        self._deadline = time.monotonic() + program.timeout
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def ran(self) -> Ran:
        """Run it to its end."""
        input_read, input_write = os.pipe2(os.O_CLOEXEC)
        output_read, output_write = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            self._become(input_read, output_write)
        signal.signal(signal.SIGTERM, lambda *_: _kill_and_leave(pid))
        os.close(input_read)
        os.close(output_write)
        os.set_blocking(input_write, False)
        os.set_blocking(output_read, False)
        self._connection.setblocking(False)
        ending = os.pidfd_open(pid)
        try:
            trouble = self._feed(input_write, output_read, ending)
        finally:
            _kill(pid)
        _, status = os.waitpid(pid, 0)
        self._drain(output_read)
        _kill_orphans()
        code = os.waitstatus_to_exitcode(status)
        said = self._output.decode("utf-8", "replace")
        if trouble:
            return Ran(None, said, trouble)
        return Ran(code, said) if code >= 0 else Ran(None, said, f"ended by signal {-code}")

    def _become(self, standard_input: int, standard_output: int) -> None:
        """In the child: the program."""
        try:
            os.setsid()
            os.dup2(standard_input, 0)
            os.dup2(standard_output, 1)
            os.dup2(standard_output, 2)
            os.closerange(3, 65536)
            os.chdir("/")
            for what, most in (
                (resource.RLIMIT_AS, self._program.memory),
                (resource.RLIMIT_CPU, int(self._program.timeout) + 1),
                (resource.RLIMIT_FSIZE, self._program.file_size),
                (resource.RLIMIT_CORE, 0),
                (resource.RLIMIT_NOFILE, MOST_FILES),
            ):
                resource.setrlimit(what, (most, most))
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            for number in (signal.SIGPIPE, signal.SIGHUP, signal.SIGXFSZ):
                signal.signal(number, signal.SIG_DFL)
            os.execve(self._program.argv[0], list(self._program.argv), self._order.environment)
        except OSError as error:
            os.write(2, f"{self._program.argv[0]}: {error.strerror}\n".encode())
        finally:
            os._exit(111)

    def _feed(self, program_input: int, output: int, ending: int) -> str:
        """Message in, output out, until the program has ended; why it has to be killed, or ""."""
        open_input = True
        while True:
            left = self._deadline - time.monotonic()
            if left <= 0:
                return f"longer than its {self._program.timeout:g} s"
            poll = select.poll()
            poll.register(ending, select.POLLIN)
            if self._listening:
                poll.register(output, select.POLLIN)
            if self._missing > 0 and len(self._waiting) < PIECE:
                poll.register(self._connection, select.POLLIN)
            elif self._missing <= 0:
                poll.register(self._connection, select.POLLRDHUP)
            if open_input and self._waiting:
                poll.register(program_input, select.POLLOUT)
            elif open_input and self._missing <= 0:
                os.close(program_input)
                open_input = False
                continue
            events = dict(poll.poll(left * 1000))
            if output in events:
                self._listening = self._read(output)
            if events.get(self._connection.fileno(), 0):
                if self._missing <= 0:
                    return "nobody waits for it any more"
                data = self._connection.recv(PIECE)
                if not data:
                    return "the message did not come whole"
                self._missing -= len(data)
                self._waiting += data if open_input else b""
            if program_input in events and open_input:
                try:
                    self._waiting = self._waiting[os.write(program_input, self._waiting) :]
                except BlockingIOError:
                    pass
                except OSError:  # it does not want the rest
                    os.close(program_input)
                    open_input, self._waiting = False, b""
            if ending in events:
                if self._missing <= 0:
                    return ""
                if open_input:  # it has ended: what still comes is taken and dropped, so that the answer can be sent
                    os.close(program_input)
                    open_input, self._waiting = False, b""

    def take_rest(self) -> None:
        """Of a message that nobody reads any more, so that whoever sends it comes to read the answer."""
        self._connection.settimeout(ORDER_SECONDS)
        with contextlib.suppress(OSError):
            while self._missing > 0 and (data := self._connection.recv(PIECE)):
                self._missing -= len(data)

    def _read(self, output: int) -> bool:
        try:
            data = os.read(output, PIECE)
        except BlockingIOError:
            return True
        if len(self._output) < self._program.output:
            self._output = (self._output + data)[: self._program.output]
        return bool(data)

    def _drain(self, output: int) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(output, PIECE):
                self._output = (self._output + data)[: self._program.output]


def _kill(pid: int) -> None:
    """The program with its group; it is not reaped yet, so the number is still its own. Itself too: a group that it
    has not made yet has nobody in it."""
    for kill in (os.kill, os.killpg):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def _kill_orphans() -> None:
    """What left the group became ours when its parent ended."""
    path = Path(f"/proc/self/task/{os.getpid()}/children")
    for _ in range(1000):
        try:
            pids = [int(word) for word in path.read_text().split()]
        except OSError:
            return
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _kill_and_leave(pid: int) -> None:
    _kill(pid)
    _kill_orphans()
    os._exit(0)


def run(settings: Settings, door: socket.socket, pulse: Pulse) -> None:
    """The process's life."""

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        spawner = Spawner(settings, door)
        spawner.start()
        pulse.start(stop.set, sessions=lambda: len(spawner))
        pulse.ready()
        await stop.wait()
        spawner.stop()

    asyncio.run(main())
