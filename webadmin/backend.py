"""The other processes of this host, asked in the name of whoever is logged in.

Trouble has three kinds: `NotPossible` (the answer is no, with the reason in a person's words), `Unavailable` (a part of
the system does not answer now) and `SessionEnded`. Pages let them through; `webadmin.errors` shows them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from directory.write_problem import CHANGED_MEANWHILE
from gateway.control.client import ControlError, call
from gateway.control.protocol import Claim
from webadmin.said import in_words

AGENT_SOCKET, MAIL_SOCKET, OWNER_SOCKET = "control.sock", "mail.sock", "owner.sock"
ANSWER_SECONDS = 30.0
TEMPORARY, NOT_ALLOWED, BUG = 4, 5, 70
SESSION_ENDED = "the session has ended, log in again"


class NotPossible(Exception):
    """The answer is no. `code` is the exit code that the same wish on the command line ends with."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        #: as it was said, in English where another process said it
        self.said = message
        self.code = code

    def __str__(self) -> str:
        """For a person."""
        return in_words(self.said)


class Unavailable(Exception):
    """A part of the system does not answer; what was wanted may work later. `part` names it."""

    def __init__(self, part: str, detail: str) -> None:
        super().__init__(detail)
        self.part = part


class Changed(NotPossible):
    """Somebody else changed the entry meanwhile."""


class SessionEnded(Exception):
    """The session is over or was ended; log in again."""


class Backend:
    """The control sockets of one host."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir

    def serve(self, socket: str, verb: str, **arguments: Any) -> Any:
        """Do what the front end itself may ask for, in nobody's name. Raises NotPossible, Unavailable."""
        return self._call(socket, verb, None, arguments)

    def ask(self, socket: str, verb: str, claim: Claim, **arguments: Any) -> Any:
        """Do `verb` for whom the claim proves. Raises NotPossible, Unavailable, SessionEnded."""
        return self._call(socket, verb, claim, arguments)

    def _call(self, socket: str, verb: str, claim: Claim | None, arguments: dict[str, Any]) -> Any:
        part = "directory" if socket == AGENT_SOCKET else "queue"
        try:
            return call(self.run_dir / socket, verb, claim, answer_within=ANSWER_SECONDS, **arguments)
        except ControlError as error:
            text = str(error)
            if error.code == TEMPORARY and CHANGED_MEANWHILE in text:
                raise Changed(text, error.code) from None
            if error.code == TEMPORARY:
                raise Unavailable(part, text) from None
            if error.code == NOT_ALLOWED and text == SESSION_ENDED:
                raise SessionEnded from None
            if error.code == BUG:
                raise Unavailable(part, "internal error; the log of the service tells more") from None
            raise NotPossible(text, error.code) from None
