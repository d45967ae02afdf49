"""The table of commands. A command is one file in commands/: a generator function with this decorator."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from gateway.ask import Dialogue
from gateway.imap.parser import Parser

if TYPE_CHECKING:
    from gateway.imap.session import Session


class State(enum.Enum):
    """Where a session is (RFC 9051 3)."""

    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"


ANY = frozenset(State)
AUTHENTICATED = frozenset({State.AUTHENTICATED, State.SELECTED})

#: returns the text of the tagged OK
Run: TypeAlias = Callable[["Session", Parser], Dialogue]


@dataclass(frozen=True, slots=True)
class CommandFacts:
    """A command and when it may be given."""

    name: bytes
    run: Run
    states: frozenset[State]
    #: announced while this command is registered, "" for those of the base protocol
    capability: str = ""


COMMANDS: dict[bytes, CommandFacts] = {}


def command(name: str, *, states: frozenset[State], capability: str = "") -> Callable[[Run], Run]:
    """Register a command. Its generator returns the text of the tagged OK."""

    def register(run: Run) -> Run:
        COMMANDS[name.encode()] = CommandFacts(name.encode(), run, states, capability)
        return run

    return register
