"""The counters of all processes of a host: each writes its own file in `run_dir/metrics`, readers add them up.

`<pid>.json` is what a living process has counted. What an ended one has counted is added to `past.json` by
the next process that starts, so sums never go down while the service runs. A file is replaced by rename.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from gateway.observe import metrics

FOLDER = "metrics"
PAST = "past.json"

Counts = dict[tuple[str, ...], int]


@contextmanager
def _locked(folder: Path, kind: int) -> Iterator[None]:
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, kind)
        yield
    finally:
        os.close(lock)


def _read(path: Path) -> Counts:
    try:
        rows = msgspec.json.decode(path.read_bytes(), type=list[tuple[tuple[str, ...], int]])
    except (OSError, msgspec.DecodeError):
        return {}
    return dict(rows)


def _write(path: Path, counts: Counts) -> None:
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_bytes(msgspec.json.encode(list(counts.items())))
    fresh.rename(path)


def _add(total: Counts, counts: Counts) -> None:
    for key, number in counts.items():
        total[key] = total.get(key, 0) + number


class Publisher:
    """Writes what this process has counted; one a process, made after fork."""

    def __init__(self, run_dir: Path) -> None:
        """Takes over what ended processes have counted. Raises OSError."""
        self._folder = run_dir / FOLDER
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._written: Counts = {}
        metrics.counted.clear()
        with _locked(self._folder, fcntl.LOCK_EX):
            past = _read(self._folder / PAST)
            ended = [path for path in self._folder.glob("[0-9]*.json") if not _alive(int(path.stem))]
            for path in ended:
                _add(past, _read(path))
            if ended:
                _write(self._folder / PAST, past)
            for path in ended:
                path.unlink()

    def publish(self) -> None:
        """Write the file if something was counted since. Never fails: a full disk costs figures, not service."""
        now = dict(metrics.counted)
        if now != self._written:
            try:
                _write(self._folder / f"{os.getpid()}.json", now)
                self._written = now
            except OSError:
                pass


def _alive(pid: int) -> bool:
    return pid != os.getpid() and Path(f"/proc/{pid}").exists()  # our own number may have been another's


def collect(run_dir: Path) -> Counts:
    """What all processes have counted together."""
    folder, total = run_dir / FOLDER, dict[tuple[str, ...], int]()
    try:
        with _locked(folder, fcntl.LOCK_SH):
            for path in folder.glob("*.json"):
                _add(total, _read(path))
    except OSError:
        pass
    return total


def volumes_down(run_dir: Path, pids: Iterable[int]) -> dict[str, int]:
    """How many of these processes get no answer from a volume, as of their last beat."""
    found: dict[str, int] = {}
    for pid in pids:
        counts = _read(run_dir / FOLDER / f"{pid}.json")
        for (name, *values), number in counts.items():
            if name == metrics.DOWN.name and number > counts.get((metrics.UP.name, *values), 0):
                found[values[0]] = found.get(values[0], 0) + 1
    return found


def clear(run_dir: Path) -> None:
    """The service starts: nothing has been counted yet."""
    for path in (run_dir / FOLDER).glob("*.json"):
        path.unlink(missing_ok=True)
