"""What happened to each message, kept for `gatepost trace`: events are values, the writer is given at start."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import msgspec

#: takes one event as a line of JSON, with its line end; never raises
Write = Callable[[bytes], None]
#: a block whose lines are written together
Together = Callable[[], AbstractContextManager[None]]

_encode = msgspec.json.Encoder().encode
_write: Write | None = None
_together: Together = nullcontext


def use(write: Write | None, together: Together = nullcontext) -> None:
    """From now on events of this process go there; None: nowhere."""
    global _write, _together
    _write, _together = write, together


def together() -> AbstractContextManager[None]:
    """Events of this thread inside the block are written together, behind it."""
    return _together()


def note(event: str, /, **values: object) -> None:
    """One event. None and empty values are left out; `id` is the message's, `parent` that of the message it is about."""
    if _write is not None:
        _write(
            _encode({"event": event} | {key: value for key, value in values.items() if value not in (None, "")}) + b"\n"
        )
