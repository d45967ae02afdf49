"""The table of verbs. A verb is one file in commands/: a generator function with this decorator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.smtp.settings import Role

if TYPE_CHECKING:
    from gateway.smtp.session import Verb

ALL_ROLES = frozenset(Role)
SMTP = frozenset({Role.MX, Role.SUBMISSION, Role.LOCAL})
VERBS: dict[bytes, VerbFacts] = {}


@dataclass(frozen=True, slots=True)
class VerbFacts:
    """A verb and when it may be said. `junk`: it brings no message nearer and is counted."""

    name: str
    run: Verb
    #: a tuple: found by identity, where a set would ask each member for its hash
    roles: tuple[Role, ...]
    after_greeting: bool
    syntax: str
    junk: bool


def verb(
    name: str, *, syntax: str, roles: frozenset[Role] = ALL_ROLES, after_greeting: bool = True, junk: bool = False
) -> Callable[[Verb], Verb]:
    """Register a verb under `name`; `syntax` is what HELP shows."""

    def register(run: Verb) -> Verb:
        VERBS[name.encode("ascii")] = VerbFacts(name, run, tuple(roles), after_greeting, syntax, junk)
        return run

    return register
