"""Groups of tests that are begun first are there."""

from __future__ import annotations

import re
from pathlib import Path

from conftest import LONG

TESTS = Path(__file__).parents[1]


def test_long_groups_are_groups_or_modules() -> None:
    paths = list(TESTS.rglob("*.py"))
    groups = {name for path in paths for name in re.findall(r'xdist_group\("([^"]+)"\)', path.read_text("utf-8"))}
    assert set(LONG) <= groups | {path.stem for path in paths}
    assert len(set(LONG)) == len(LONG)
