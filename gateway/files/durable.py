"""Files that survive a power cut: written, fsynced, then given their name, then the folder fsynced."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

#: octets and pieces that go to the system in one call
AT_ONCE = 262_144
PIECES = 64


def write_synced(
    path: str,
    pieces: Iterable[bytes],
    mtime: float | None = None,
    mode: int = 0o600,
    sync: Callable[[int], None] = os.fsync,
) -> int:
    """Create `path` with the given content, on disk when it returns. Returns its size in octets.

    `sync` puts the content of a descriptor on disk. Raises OSError, FileExistsError too; what was written so far is removed.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    size = 0
    try:
        try:
            held: list[bytes] = []
            waiting = 0
            for piece in pieces:
                held.append(piece)
                waiting += len(piece)
                if waiting >= AT_ONCE or len(held) >= PIECES:
                    size += _write(fd, held, waiting)
                    held, waiting = [], 0
            size += _write(fd, held, waiting)
            if mtime is not None:
                os.utime(fd, (mtime, mtime))
            sync(fd)
        finally:
            os.close(fd)
    except BaseException:
        os.unlink(path)
        raise
    return size


def write_new(name: str, content: bytes, folder: int, mode: int = 0o600) -> int:
    """Create a file in an open folder: its descriptor, open for whoever puts it on disk; nothing is on disk yet.

    Raises OSError, FileExistsError too.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(name, flags, mode, dir_fd=folder)
    try:
        _write(fd, [content], len(content))
    except BaseException:
        os.close(fd)
        raise
    return fd


def _write(fd: int, pieces: Sequence[bytes], size: int) -> int:
    """Write all of the pieces, which are `size` octets; returns that. Raises OSError."""
    left = size - os.writev(fd, pieces) if size else 0
    if left:  # the disk took a part: it is full, or the write is large
        view = memoryview(b"".join(pieces))
        while left:
            left -= os.write(fd, view[size - left :])
    return size


def sync_file(path: str, sync: Callable[[int], None] = os.fsync) -> None:
    """Put the content of a file on disk, as `write_synced` does. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        sync(fd)
    finally:
        os.close(fd)


def sync_folder(path: str) -> None:
    """Make the names in a folder durable. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folders(top: str, *paths: str, mode: int = 0o700) -> None:
    """Create folders below the existing `top`, each new name durable. Raises OSError."""
    changed: dict[str, None] = {}
    for path in paths:
        missing = []
        current = path
        while current != top and not os.path.isdir(current):
            missing.append(current)
            current = os.path.dirname(current)
        for folder in reversed(missing):
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, mode)
            changed[os.path.dirname(folder)] = None
    for folder in changed:
        sync_folder(folder)


def above(top: str, path: str) -> Iterator[str]:
    """`path` and the folders above it up to `top`, the nearest first."""
    yield path
    while len(path) > len(top):
        path = os.path.dirname(path)
        yield path


def make_new_folder(top: str, path: str, mode: int = 0o700) -> list[str]:
    """Create `path`, and the folders above it that are missing below `top`, and put nothing on disk yet.

    Returns the folders to `sync_folder`, the nearest first. Raises FileExistsError when `path` is there, OSError.
    """
    parent = os.path.dirname(path)
    try:
        os.mkdir(path, mode)
    except FileNotFoundError:
        if len(parent) <= len(top):
            raise
    else:
        return [parent]
    above: list[str] = []
    with contextlib.suppress(FileExistsError):  # somebody else made it just now
        above = make_new_folder(top, parent, mode)
    os.mkdir(path, mode)
    return [parent, *above]


def rename_unique(source: str, target: str) -> None:
    """Rename a file whose new name nobody else gives: somebody who has done it already is success.

    So it may be repeated after a crash, by two who finish the same work, and after an answer that NFS lost.
    Raises OSError.
    """
    try:
        os.rename(source, target)
    except FileNotFoundError:
        if not os.path.lexists(target):
            raise
