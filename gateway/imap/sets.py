"""Writing sequence sets (RFC 9051 9); reading them is `Parser.sequence_set`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeAlias

#: first and last of numbers that follow each other
Run: TypeAlias = tuple[int, int]
RUNS = 1000  # of one line


def runs_of(numbers: Iterable[int]) -> Iterator[Run]:
    """Numbers as runs, in the order given."""
    low = high = 0
    for number in numbers:
        if low and number == high + 1:
            high = number
            continue
        if low:
            yield low, high
        low = high = number
    if low:
        yield low, high


def shown(run: Run) -> str:
    """A run as it stands in a set."""
    low, high = run
    return str(low) if low == high else f"{low}:{high}"


def set_of(numbers: Iterable[int]) -> str:
    """Numbers as a sequence set in the order given, runs shortened."""
    return ",".join(map(shown, runs_of(numbers)))


def lines_of(head: bytes, runs: Iterable[Run]) -> Iterator[bytes]:
    """A set behind `head`, in as many lines as it needs so that none is too long; none for an empty one."""
    waiting = iter(runs)
    while part := ",".join(map(shown, islice(waiting, RUNS))):
        yield head + part.encode() + b"\r\n"
