"""Writing sequence sets (RFC 9051 9); reading them is `Parser.sequence_set`."""

from __future__ import annotations

from collections.abc import Iterable


def set_of(numbers: Iterable[int]) -> str:
    """Numbers as a sequence set in the order given, runs shortened."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in runs)
