"""The table of commands. A command is one file in commands/: a generator function with this decorator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from gateway.ask import Dialogue

if TYPE_CHECKING:
    from gateway.pop3.session import Session

#: gets the argument text; what it yields are whole replies
Run: TypeAlias = Callable[["Session", bytes], Dialogue]


@dataclass(frozen=True, slots=True)
class CommandFacts:
    """A command; `logged_in` is the state that it needs, None for any (RFC 1939 3)."""

    run: Run
    logged_in: bool | None


COMMANDS: dict[bytes, CommandFacts] = {}


class Wrong(Exception):
    """The command is refused with -ERR; the message (with any response code) is for the client."""


def command(name: str, *, logged_in: bool | None) -> Callable[[Run], Run]:
    """Register a command."""

    def register(run: Run) -> Run:
        COMMANDS[name.encode()] = CommandFacts(run, logged_in)
        return run

    return register
