"""The state folder as one moment had it, while the service may run.

The order makes that no message is lost and none comes twice of the copying:

1. what is on its way to the queue: `spool` (handed in by programs) and `held` (waits for moderators), then the queue's
   files. Whatever moves from one to the other meanwhile is in both copies rather than in none.
2. the databases, by SQLite's own way of copying one that is in use, `queue.db` first: this is the moment. What a
   recipient has got before it is noted there.
3. `spool` and `held` again: what is no longer there has moved on, and leaves the copy.
4. the queue again: what is new comes in (reports on what ended just now too), and what is no longer there leaves the
   copy: it was delivered, or its report is among what is new.

So a message of the copy was in the queue at the moment, with the outcomes of that moment. What is sent after the
moment is sent once more by whoever starts the copy: for a move stop the service first.

Left out is what is made anew: the directory's copy (`replica`), the index of the stores (`index`), locks, sockets.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from gateway.backup.acting import acting_as
from gateway.backup.manifest import BackupProblem, Folder
from gateway.queue.file import MESSAGES

TOP = "state"
MADE_ANEW = frozenset(("replica", "index", "run"))
FIRST = ("spool", "held")
QUEUE = f"queue/{MESSAGES}"
QUEUE_DB = "queue.db"
_SQLITE = b"SQLite format 3\0"
_PAGES = 1_000  # copied at once; writers wait meanwhile


def copy_state(state: Path, out: Folder) -> dict[str, int]:
    """Everything into the backup: the format of each database. Raises OSError, BackupProblem."""
    databases: list[str] = []
    for top in FIRST:
        _copy_all(state, top, out)
    _copy_all(state, QUEUE, out)
    for name in _files(state, ""):
        if _is_database(state / name):
            databases.append(name)
        elif not name.startswith(("spool/", "held/", f"{QUEUE}/")):
            _copy(state, name, out)
    formats = {name: _copy_database(state, name, out) for name in sorted(databases, key=lambda n: (n != QUEUE_DB, n))}
    for top in FIRST:
        _drop_what_is_gone(state, top, out, set(_files(state, top)))
    there = set(_files(state, QUEUE))
    copied = set(out.names(f"{TOP}/{QUEUE}/"))
    for name in sorted(there):
        if f"{TOP}/{name}" not in copied:
            _copy(state, name, out)
    _drop_what_is_gone(state, QUEUE, out, there)
    return formats


def _files(state: Path, top: str) -> Iterator[str]:
    """Files below a folder that are no locks and nothing unfinished, relative to the state folder."""
    folder = state / top if top else state
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for entry in entries:
        name = f"{top}/{entry.name}" if top else entry.name
        if entry.is_dir(follow_symlinks=False):
            if entry.name != "tmp" and not (not top and entry.name in MADE_ANEW):
                yield from _files(state, name)
        elif entry.is_file(follow_symlinks=False) and not entry.name.endswith((".lock", "-wal", "-shm", "-journal")):
            yield name


def _is_database(path: Path) -> bool:
    if path.suffix != ".db":
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except FileNotFoundError:
        return False


def _copy(state: Path, name: str, out: Folder) -> None:
    out.copy(state / name, f"{TOP}/{name}", str(state / name))


def _copy_all(state: Path, top: str, out: Folder) -> None:
    for name in _files(state, top):
        _copy(state, name, out)


def _drop_what_is_gone(state: Path, top: str, out: Folder, there: set[str]) -> None:
    for path in out.names(f"{TOP}/{top}/"):
        if path.removeprefix(f"{TOP}/") not in there:
            out.drop(path)


def _copy_database(state: Path, name: str, out: Folder) -> int:
    """The database as one transaction left it: its format."""
    source, target = state / name, out.create(f"{TOP}/{name}")
    found = source.stat()
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with closing(sqlite3.connect(target, isolation_level=None)) as copy:
            copy.execute("PRAGMA journal_mode=OFF")  # no second file that would have to be made
            copy.execute("BEGIN IMMEDIATE")  # opens it while we may
            copy.execute("ROLLBACK")
            with (
                acting_as(found.st_uid, found.st_gid),
                closing(sqlite3.connect(source, isolation_level=None, timeout=30.0)) as there,
            ):
                there.execute("PRAGMA query_only=ON")
                there.backup(copy, pages=_PAGES, sleep=0.01)
            version = int(copy.execute("PRAGMA user_version").fetchone()[0])
            faults = [text for (text,) in copy.execute("PRAGMA quick_check(3)") if text != "ok"]
    except sqlite3.Error as error:
        raise BackupProblem(f"{source}: {error}") from error
    if faults:
        raise BackupProblem(f"{source} is damaged: {'; '.join(faults)}")
    out.add(f"{TOP}/{name}", str(source), found)
    return version
