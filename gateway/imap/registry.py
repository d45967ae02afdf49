"""The table of commands. A command is one file in commands/: a generator function with this decorator."""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from gateway.ask import Ask


class State(enum.Enum):
    """Where a session is (RFC 9051 3)."""

    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"


ANY = frozenset(State)
AUTHENTICATED = frozenset({State.AUTHENTICATED, State.SELECTED})

SELECTED = frozenset({State.SELECTED})

#: returns the text of the tagged OK, None when it has said that itself; a command registered with `by_uid` gets `by_uid` as keyword
Run: TypeAlias = Callable[..., Generator[Any, Any, Any]]


class Phase(NamedTuple):
    """What a capability may depend on."""

    logged_in: bool
    #: passwords may be sent
    private: bool
    #: STARTTLS is possible
    upgradable: bool
    #: octets of a message that APPEND takes
    append_limit: int = 0
    #: COMPRESS is active
    compressed: bool = False
    #: what is switched off (`gateway.imap.switches`)
    without: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class CommandFacts:
    """A command and when it may be given."""

    name: bytes
    run: Run
    states: frozenset[State]
    #: message numbers must not move while it runs: no EXPUNGE is sent with its answer (RFC 3501 7.4.1)
    keeps_numbers: bool = False
    #: it names messages by number, which UIDONLY rules out (RFC 9586 3)
    takes_numbers: bool = False
    #: it may also yield a `Need` and is sent what the client says next
    interactive: bool = False


class Need:
    """What an interactive command waits for: the next line, or octets of the message (at most `limit`)."""

    __slots__ = ("limit",)

    def __init__(self, limit: int = 0) -> None:
        self.limit = limit


LINE = Need()
#: a dialogue that may yield `Need` too
Interactive: TypeAlias = Generator["bytes | Ask | Need", Any, Any]
COMMANDS: dict[bytes, CommandFacts] = {}
#: capability: when it is announced; a text is what follows `=`
CAPABILITIES: dict[str, Callable[[Phase], bool | str]] = {}


def announce(capability: str, when: Callable[[Phase], bool | str] = lambda _: True) -> None:
    """Announce a capability that is more than a command of that name, as `NAME=text` where `when` gives a text."""
    CAPABILITIES[capability] = when


def command(
    name: str,
    *,
    states: frozenset[State],
    capability: str = "",
    by_uid: bool = False,
    keeps_numbers: bool = False,
    interactive: bool = False,
) -> Callable[[Run], Run]:
    """Register a command. Its generator returns the text of the tagged OK.

    `by_uid` registers `UID <name>` too and tells the function which of both it is; `keeps_numbers` holds for the
    form with message numbers. `capability` (several are separated by a space) is announced from then on.
    """

    def register(run: Run) -> Run:
        for announced in capability.split():
            announce(announced)
        key = name.encode()
        if by_uid:
            COMMANDS[b"UID " + key] = CommandFacts(
                b"UID " + key, partial(run, by_uid=True), states, interactive=interactive
            )
            COMMANDS[key] = CommandFacts(key, partial(run, by_uid=False), states, keeps_numbers, True, interactive)
        else:
            COMMANDS[key] = CommandFacts(key, run, states, keeps_numbers, interactive=interactive)
        return run

    return register
