"""Files that survive a power cut: written, fsynced, then given their name, then the folder fsynced."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable


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
            for piece in pieces:
                view = memoryview(piece)
                while view:
                    written = os.write(fd, view)
                    size += written
                    view = view[written:]
            if mtime is not None:
                os.utime(fd, (mtime, mtime))
            sync(fd)
        finally:
            os.close(fd)
    except BaseException:
        os.unlink(path)
        raise
    return size


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
