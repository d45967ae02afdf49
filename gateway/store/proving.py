"""Proof that a volume keeps what it says it has: deliver, pull the plug, check.

`deliver` does what a delivery does, on several threads, and notes each message in a log once it would have been
answered with 250. The log belongs on another disk, better on another host, than the volume. After the power
came back, `check` reads every noted message.
"""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gateway.files.commit import Commit
from gateway.files.durable import make_folders, rename_unique, write_synced
from gateway.files.names import host_id, unique_name

FOLDER = "gatepost-storage-test"
HEADER = "gatepost-storage-test 1"


@dataclass(slots=True)
class Delivered:
    """What a run of `deliver` did."""

    messages: int = 0
    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)
    problem: str = ""

    def wait(self, share: float) -> float:
        """Seconds that this share of the deliveries did not exceed."""
        ordered = sorted(self.waits)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@dataclass(slots=True)
class Checked:
    """What `check` found; names of messages that were noted."""

    noted: int = 0
    lost: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    unnoted: int = 0


@dataclass(frozen=True, slots=True)
class Mount:
    """The file system below a folder."""

    kind: str
    options: tuple[str, ...]

    @property
    def doubts(self) -> list[str]:
        """What makes a volume unfit, in words for an administrator."""
        found = []
        if self.kind.startswith("nfs") and "soft" in self.options:
            found.append("mounted soft: a write that timed out may or may not be there; mount it hard")
        if self.kind in ("tmpfs", "ramfs"):
            found.append(f"{self.kind} lives in memory and keeps nothing over a power cut")
        if "nobarrier" in self.options or "barrier=0" in self.options:
            found.append("mounted without barriers: a disk's cache is lost in a power cut")
        return found


def mount_of(folder: Path) -> Mount:
    """What is mounted there, by /proc/mounts. Raises OSError."""
    best, kind, options = "", "unknown", ""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, this_kind, these, *_ = line.split(" ")
        where = where.replace("\\040", " ")
        if len(where) >= len(best) and Path(where) in (folder.resolve(), *folder.resolve().parents):
            best, kind, options = where, this_kind, these
    return Mount(kind, tuple(options.split(",")))


def _message(number: int) -> bytes:
    """A message of 1 KiB to 256 KiB that its number determines."""
    rest = random.Random(number)
    return f"Subject: storage test {number}\n\n".encode() + rest.randbytes(rest.choice((1, 2, 4, 16, 256)) * 1024)


def deliver(
    folder: Path,
    log: Path,
    *,
    count: int,
    threads: int,
    durability: str,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Delivered:
    """Deliver messages until `count`, a stop or trouble. Raises OSError when it cannot begin."""
    target = str(folder / FOLDER)
    make_folders(str(folder), *(os.path.join(target, name) for name in ("tmp", "cur")))
    if log.stat().st_size if log.exists() else 0:
        raise FileExistsError(17, "this log is of another run", str(log))
    notes = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.write(notes, f"{HEADER}\n".encode())
    commit, host, lock, done = Commit(target, durability), host_id(), threading.Lock(), Delivered()
    commit.begin()
    numbers = iter(range(count))

    def run() -> None:
        while not is_stopped() and not done.problem:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            content, name = _message(number), unique_name(host)
            begun = time.perf_counter()
            try:
                write_synced(os.path.join(target, "tmp", name), [content], sync=commit.file)
                rename_unique(os.path.join(target, "tmp", name), os.path.join(target, "cur", f"{name}:2,"))
                commit.folders([os.path.join(target, "cur")])
                waited = time.perf_counter() - begun
                # in one piece, so that a cut leaves half a line at most
                os.write(notes, f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
                os.fsync(notes)
            except OSError as error:
                done.problem = str(error)
                return
            with lock:
                done.messages += 1
                done.waits.append(waited)

    workers = [threading.Thread(target=run) for _ in range(threads)]
    begun = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    os.close(notes)
    commit.close()
    done.seconds = time.perf_counter() - begun
    return done


def check(folder: Path, log: Path) -> Checked:
    """Read every message that was noted. Raises OSError, ValueError when the log is none."""
    target = folder / FOLDER
    found = Checked()
    names = set()
    for name, digest in _notes(log):
        found.noted += 1
        names.add(f"{name}:2,")
        try:
            content = (target / "cur" / f"{name}:2,").read_bytes()
        except FileNotFoundError:
            found.lost.append(name)
            continue
        if hashlib.sha256(content).hexdigest() != digest:
            found.damaged.append(name)
    found.unnoted = len(set(os.listdir(target / "cur")) - names)
    return found


def _notes(log: Path) -> Iterator[tuple[str, str]]:
    lines = log.read_text("ascii", errors="replace").split("\n")
    if lines[0] != HEADER:
        raise ValueError(f"{log} is not the log of a storage test")
    for line in lines[1:-1]:
        name, _, digest = line.partition(" ")
        yield name, digest
