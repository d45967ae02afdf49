"""What a test of the self-test is, and what comes of it: `ok`, `FAILED` with what to do, or `skipped` with why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from gateway.service.selftest.bench import Bench

Outcome = Literal["ok", "FAILED", "skipped"]
#: what a test needs: a person who logs in; that it is the self-test's own, in its own domain; its list; its alias; its
#: far end. In the order in which it is told what is missing.
Need = Literal["person", "entries", "list", "alias", "sink"]
NEEDS: tuple[Need, ...] = ("person", "entries", "list", "alias", "sink")


class Failed(Exception):
    """It is not as it should be; three texts for an operator."""

    def __init__(self, expected: str, came: str, advice: str) -> None:
        super().__init__(came)
        self.expected, self.came, self.advice = expected, came, advice


class Skipped(Exception):
    """It cannot be tested on this system; the message tells why."""


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the answer. `note` is worth knowing though all is well."""

    name: str
    outcome: Outcome
    seconds: float
    expected: str = ""
    came: str = ""
    advice: str = ""
    reason: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One test. `run` returns a note, raises Failed or Skipped; trouble with a connection may come as it is."""

    name: str
    about: str
    needs: frozenset[Need]
    run: Callable[[Bench], str | None]


#: every test by name, in the order in which they run
CASES: dict[str, Case] = {}
#: names that stand for several
GROUPS: dict[str, list[str]] = {}

Run = Callable[["Bench"], str | None]


def case(name: str, *groups: str, needs: tuple[Need, ...] = ()) -> Callable[[Run], Run]:
    """Register a test; the first line of its docstring is what it shows."""

    def register(run: Run) -> Run:
        CASES[name] = Case(name, (run.__doc__ or "").partition("\n")[0], frozenset(needs), run)
        for group in groups:
            GROUPS.setdefault(group, []).append(name)
        return run

    return register


def chosen(names: tuple[str, ...]) -> list[Case]:
    """The tests that names of tests and groups mean, in their order; all of them without a name. Raises KeyError."""
    wanted: set[str] = set()
    for name in names:
        wanted.update(GROUPS[name] if name in GROUPS else [CASES[name].name])
    return [one for one in CASES.values() if not names or one.name in wanted]
