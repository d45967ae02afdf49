"""Signs of life of a command that takes long (INPROGRESS, RFC 9585)."""

from __future__ import annotations

from gateway.ask import Ask, Dialogue
from gateway.imap.content import Clock
from gateway.imap.registry import announce

EVERY = 10.0  # seconds; RFC 9585 4.1 wants them no closer

announce("INPROGRESS")


class Progress:
    """Of one command: how many messages it has looked at. How many there will be is not known before the end."""

    def __init__(self, tag: bytes) -> None:
        self._tag = tag.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        self._done = 0
        self._told: float | None = None

    def looked_at(self, messages: int) -> Dialogue:
        """So many more; said when it is time."""
        self._done += messages
        now = yield Ask(Clock())
        if self._told is None:
            self._told = now
        elif now - self._told >= EVERY:
            self._told = now
            yield b'* OK [INPROGRESS ("%b" %d NIL)] still looking\r\n' % (self._tag, self._done)
