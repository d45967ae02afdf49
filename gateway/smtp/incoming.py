"""The message that is arriving: line ends, size and line limits, what stays in memory and what is spooled.

Line ends become LF. What was CRLF.CRLF ended the message before it came here, so a bare LF or CR that is
normalised can no longer end it. Memory is bounded by IN_MEMORY plus what one read brings.
"""

from __future__ import annotations

import re

from directory.model import Condition, Deferred, Refused
from gateway.ask import Ask, Dialogue
from gateway.smtp.requests import DropSpool, Spool
from gateway.smtp.settings import Role, SmtpSettings

_BARE_CR = re.compile(rb"\r(?!\n)")
IN_MEMORY = 256 * 1024  # octets; the rest is spooled while it arrives
SPOOL_PIECE = 256 * 1024  # octets written at once


class Incoming:
    """One message. `failed` is why it will not be taken, found while it still arrives."""

    __slots__ = (
        "_behind",
        "_behind_size",
        "_held",
        "_line",
        "_pieces",
        "_refuse_cr",
        "_refuse_lf",
        "_settings",
        "_wire",
        "failed",
        "size",
        "spooled",
    )

    def __init__(self, settings: SmtpSettings, role: Role) -> None:
        self._settings = settings
        self._refuse_cr = role is Role.SUBMISSION
        self._refuse_lf = settings.bare_newline == "refuse"
        self._pieces: list[bytes] = []
        self._behind: list[bytes] = []
        self._behind_size = 0
        self._held = False
        self._line = 0
        self._wire = 0
        #: octets so far, with LF line ends
        self.size = 0
        self.spooled = False
        self.failed: Deferred | Refused | None = None

    def add(self, data: bytes) -> Dialogue:
        """Take a piece as it was sent. Never raises: trouble is in `failed`, the rest is swallowed."""
        self._wire += len(data)
        if self.failed is not None:
            return
        if self._wire > self._settings.max_message_size:
            yield from self._fail(Refused(Condition.MESSAGE_TOO_LARGE))
            return
        if self._held:
            data = b"\r" + data
        self._held = data.endswith(b"\r")  # with BDAT a chunk may end between CR and LF
        if self._held:
            data = data[:-1]
        problem = None
        # without a CR that stands alone, leaving out every CR is the same, in half the time
        text = data.translate(None, b"\r") if _BARE_CR.search(data) is None else data.replace(b"\r\n", b"\n")
        if self._refuse_lf and text.count(b"\n") != len(data) - len(text):
            problem = "bare LF"
        if b"\r" in text:
            problem = problem or "bare CR"
            text = text.replace(b"\r", b" ")
        if b"\0" in text:
            problem = problem or "NUL"
            text = text.replace(b"\0", b" ")
        if problem is not None and (self._refuse_cr or problem == "bare LF"):
            yield from self._fail(Refused(Condition.BAD_MESSAGE, problem, f"{problem} is not allowed in a message"))
            return
        if self._line_too_long(text):
            yield from self._fail(
                Refused(Condition.BAD_MESSAGE, "line too long", "message has a line that is too long")
            )
            return
        self.size += len(text)
        if self.size <= IN_MEMORY or not self._pieces:
            self._pieces.append(text)
            return
        self._behind.append(text)
        self._behind_size += len(text)
        if self._behind_size >= SPOOL_PIECE:
            yield from self._spool()

    def finish(self) -> Dialogue:
        """The message is complete: what was kept back goes to its place."""
        if self._held and self.failed is None:
            self._held = False
            if self._refuse_cr:
                yield from self._fail(Refused(Condition.BAD_MESSAGE, "bare CR", "bare CR is not allowed in a message"))
            else:
                (self._behind if self._behind or self.spooled else self._pieces).append(b" ")
                self.size += 1
        if self._behind:
            yield from self._spool()

    def content(self) -> bytes:
        """What stayed in memory: the beginning, and the whole where nothing was spooled."""
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def _line_too_long(self, text: bytes) -> bool:
        limit = self._settings.max_data_line
        first = text.find(b"\n")
        if first < 0:
            self._line += len(text)
            return self._line > limit
        if self._line + first > limit:
            return True
        self._line = len(text) - text.rfind(b"\n") - 1
        start = first + 1
        while len(text) - start > limit:
            # from the beginning of a line to that of the last one within reach
            end = text.rfind(b"\n", start, start + limit + 1)
            if end < 0:
                return True
            start = end + 1
        return False

    def _spool(self) -> Dialogue:
        pieces = tuple(self._behind)
        self._behind, self._behind_size, self.spooled = [], 0, True
        try:
            yield Ask(Spool(pieces))
        except (Deferred, Refused) as error:
            yield from self._fail(error)

    def _fail(self, error: Deferred | Refused) -> Dialogue:
        self.failed = error
        self._pieces, self._behind, self._behind_size = [], [], 0
        if self.spooled:
            self.spooled = False
            yield Ask(DropSpool())
