"""Committed generated files equal what the model gives; numbers are append-only."""

from __future__ import annotations

from pathlib import Path

import pytest

from directory import schema
from directory.reference import attributes_page
from gateway.cli import group
from gateway.cli.reference import commands
from gateway.config.describe import flat, options, reference

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", sorted(schema.texts()))
def test_committed_schema_is_fresh(name: str) -> None:
    assert (ROOT / "schema" / name).read_text(encoding="utf-8") == schema.texts()[name], "run: gatepost schema write"


def test_numbers_are_unique_and_never_reused() -> None:
    numbers = [facts.number for facts, _ in schema.attributes().values()]
    assert len(numbers) == len(set(numbers))
    assert not schema.RETIRED_NUMBERS & set(numbers)


def test_the_committed_page_of_attributes_is_fresh() -> None:
    page = (ROOT / "docs" / "reference" / "attributes.md").read_text(encoding="utf-8")
    assert page == attributes_page(), "run: gatepost schema write"


def test_numbers_are_append_only() -> None:
    """`schema/numbers.txt` lists every number that was ever given away; a line is never changed nor removed."""
    released = (ROOT / "schema" / "numbers.txt").read_text(encoding="utf-8").splitlines()
    given = [line.split() for line in released if line and not line.startswith("#")]
    assert len({(kind, number) for kind, number, *_ in given}) == len(given), "a number stands there twice"
    now = schema.numbers()
    retired = {("attribute", str(number), "retired") for number in schema.RETIRED_NUMBERS}
    assert {tuple(row) for row in given} == now | retired, "append what is new to schema/numbers.txt; change nothing"


def test_the_reference_of_the_configuration_is_fresh() -> None:
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
    assert page == reference(), "run: gatepost describe --markdown > docs/reference/configuration.md"


def test_the_reference_of_the_commands_is_fresh() -> None:
    page = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    assert page == commands(group), "run: gatepost describe --commands > docs/reference/commands.md"


def test_every_option_says_what_it_is_for() -> None:
    silent = [option.path for option in flat(options()) if not option.doc]
    assert silent == [], "write a comment `#: ...` above each field of the settings class"


def test_every_verb_and_every_option_of_it_says_what_it_is_for() -> None:
    page = commands(group)
    assert "| |" not in page, [line for line in page.splitlines() if "| |" in line]
