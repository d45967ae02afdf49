"""The figures of the last days: two rings in a file that does not grow."""

from __future__ import annotations

import math
from pathlib import Path

from gateway.files.history import FIGURES, MINUTES, QUARTERS, SIZE, UNKNOWN, History, rows

BEGIN = 1_800_000_000.0


def figures(value: float) -> list[float]:
    return [value] * len(FIGURES)


def test_a_day_by_the_minute_and_thirty_days_of_means(tmp_path: Path) -> None:
    path = tmp_path / "history"
    assert rows(path, BEGIN, by_minute=True) == []
    history = History(path)
    days = 2
    for minute in range(days * MINUTES):
        history.add(BEGIN + minute * 60, figures(minute % 15))
    now = BEGIN + days * MINUTES * 60 - 60
    assert path.stat().st_size == SIZE
    found = rows(path, now, by_minute=True)
    assert len(found) == MINUTES and found[-1][0] == now and found == sorted(found)
    found = rows(path, now, by_minute=False)
    assert len(found) == days * 96 and {row[1] for row in found} == {7.0}, "the mean of 0 to 14"
    assert rows(path, now + 40 * 86_400, by_minute=False) == [], "what is older than thirty days is not told"
    history.close()


def test_what_is_not_known_counts_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "history"
    history = History(path)
    history.add(BEGIN, figures(UNKNOWN))
    assert math.isnan(rows(path, BEGIN, by_minute=False)[0][1])
    history.add(BEGIN + 60, figures(4.0))
    assert rows(path, BEGIN + 60, by_minute=False)[0][1] == 4.0
    history.close()


def test_a_file_of_another_form_is_begun_anew_and_one_of_ours_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_bytes(b"something else" * 10)
    assert rows(path, BEGIN, by_minute=True) == []
    for minute in range(2):
        history = History(path)
        history.add(BEGIN + minute * 60, figures(1.0))
        history.close()
    assert len(rows(path, BEGIN + 60, by_minute=True)) == 2 and path.stat().st_size == SIZE
    assert QUARTERS == 2880
