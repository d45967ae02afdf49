"""Root reads what belongs to another user as that user does, so that no file of root's is left beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def acting_as(uid: int, gid: int) -> Iterator[None]:
    """Open files as that user, where we are root; everybody else stays who he is. New ones are for their owner alone."""
    mask = os.umask(0o077)
    is_other = os.geteuid() == 0 and uid != 0
    try:
        if is_other:
            os.setegid(gid)
            os.seteuid(uid)
        yield
    finally:
        if is_other:
            os.seteuid(0)
            os.setegid(0)
        os.umask(mask)
