"""A random key in a file of its own, made once by whoever needs it first, however many begin at the same time."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

KEY_OCTETS = 32


def secret_key(path: Path) -> bytes:
    """The key in `path`. Raises OSError; ValueError for a file that holds something else."""
    if not path.exists():
        fd, temporary = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)  # mode 0600
        try:
            with open(fd, "wb") as file:
                file.write(secrets.token_bytes(KEY_OCTETS))
                file.flush()
                os.fsync(fd)
                if os.geteuid() == 0:  # a command line run as root: the service must be able to read it
                    owner = path.parent.stat()
                    os.fchown(fd, owner.st_uid, owner.st_gid)
            try:
                os.link(temporary, path)
            except FileExistsError:
                pass  # another process was first: its key is the key
        finally:
            os.unlink(temporary)
    key = path.read_bytes()
    if len(key) != KEY_OCTETS:
        raise ValueError(f"{path}: not a key of {KEY_OCTETS} octets")
    return key
