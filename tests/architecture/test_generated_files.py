"""Committed generated files equal what the model gives; numbers are append-only."""

from __future__ import annotations

from pathlib import Path

import pytest

from directory import schema

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", sorted(schema.texts()))
def test_committed_schema_is_fresh(name: str) -> None:
    assert (ROOT / "schema" / name).read_text(encoding="utf-8") == schema.texts()[name], "run: gatepost schema write"


def test_numbers_are_unique_and_never_reused() -> None:
    numbers = [facts.number for facts, _ in schema.attributes().values()]
    assert len(numbers) == len(set(numbers))
    assert not schema.RETIRED_NUMBERS & set(numbers)
