"""The table of verbs. A verb is one file in commands/: a generator function with this decorator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.smtp.session import Verb
from gateway.smtp.settings import Role

ALL_ROLES = frozenset(Role)
VERBS: dict[str, VerbFacts] = {}


@dataclass(frozen=True, slots=True)
class VerbFacts:
    """A verb and when it may be said."""

    name: str
    run: Verb
    roles: frozenset[Role]
    after_greeting: bool
    syntax: str


def verb(
    name: str, *, syntax: str, roles: frozenset[Role] = ALL_ROLES, after_greeting: bool = True
) -> Callable[[Verb], Verb]:
    """Register a verb under `name`; `syntax` is what HELP shows."""

    def register(run: Verb) -> Verb:
        VERBS[name] = VerbFacts(name, run, roles, after_greeting, syntax)
        return run

    return register
