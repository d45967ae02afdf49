"""What the master shows of itself in `run_dir/master/`: `processes.json`, and a lock that it holds while it lives.

Only the master writes there, so a process that was taken over cannot make it look well.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import msgspec

FOLDER = "master"
LOCK_TRIES = 10

#: the process that starts delivery programs
PROGRAMS = "programs"
#: the web front end
WEB = "web"


class AlreadyRuns(Exception):
    """Another master holds this run_dir."""


class Process(msgspec.Struct, frozen=True):
    """One child."""

    name: str
    pid: int
    age_seconds: int
    #: it does its work
    ready: bool
    #: it was replaced and finishes its sessions, or is about to take over
    passing: bool
    sessions: int


class Processes(msgspec.Struct, frozen=True):
    """The file."""

    master: int
    ready: bool
    #: how many reloads have ended, well or not
    reloads: int
    #: why the last reload was refused; "" = it was not
    reload_problem: str
    written: float
    #: how many children died or hung, by name
    deaths: dict[str, int]
    children: tuple[Process, ...]


class Overview:
    """The master's side."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._folder = run_dir / FOLDER
        self._lock = -1
        self._reloads = 0
        self._problem = ""

    def start(self) -> None:
        """Make the folder and take the lock. Raises AlreadyRuns, OSError."""
        self._run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.mkdir(mode=0o755, exist_ok=True)
        self._lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        for _ in range(LOCK_TRIES):
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(0.02)  # somebody may only be looking
        raise AlreadyRuns(f"{self._run_dir}: another gatepost runs here")

    def close_in_child(self) -> None:
        """A child must not hold the lock beyond the master's death."""
        os.close(self._lock)

    def reloaded(self, problem: str) -> None:
        """A reload has ended."""
        self._reloads += 1
        self._problem = problem

    def write(self, children: list[Process], ready: bool, deaths: dict[str, int]) -> None:
        """Put the file in place whole; a disk that is full does not stop the master."""
        shown = Processes(os.getpid(), ready, self._reloads, self._problem, time.time(), deaths, tuple(children))
        path = self._folder / "processes.json"
        fresh = path.with_suffix(".new")
        try:
            fresh.write_bytes(msgspec.json.encode(shown))
            fresh.rename(path)
        except OSError:
            pass

    def end(self) -> None:
        """The master ends."""
        (self._folder / "processes.json").unlink(missing_ok=True)


def is_running(run_dir: Path) -> bool:
    """True while a master of this run_dir lives. Raises OSError when the folder cannot be read."""
    try:
        lock = os.open(run_dir / FOLDER / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(lock)


def read(run_dir: Path) -> Processes | None:
    """What the running master shows; None when none runs. Raises OSError when the folder cannot be read."""
    if not is_running(run_dir):
        return None
    try:
        return msgspec.json.decode((run_dir / FOLDER / "processes.json").read_bytes(), type=Processes)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
