"""Keys in files of their own, made once by whoever needs them first, however many begin at the same time."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from gateway.files.durable import sync_folder

KEY_OCTETS = 32


def make_once(path: Path, octets: bytes) -> bool:
    """Create `path` with `octets`, for its owner alone, on disk on return; False when there is one. Raises OSError."""
    fd, temporary = tempfile.mkstemp(prefix=".", dir=path.parent)  # mode 0600
    try:
        with open(fd, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(fd)
            if os.geteuid() == 0:  # a command line run as root: the service must be able to read it
                owner = path.parent.stat()
                os.fchown(fd, owner.st_uid, owner.st_gid)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False  # another process was first: its key is the key
    finally:
        os.unlink(temporary)
    sync_folder(str(path.parent))
    return True


def secret_key(path: Path) -> bytes:
    """The random key in `path`. Raises OSError; ValueError for a file that holds something else."""
    if not path.exists():
        make_once(path, secrets.token_bytes(KEY_OCTETS))
    key = path.read_bytes()
    if len(key) != KEY_OCTETS:
        raise ValueError(f"{path}: not a key of {KEY_OCTETS} octets")
    return key
