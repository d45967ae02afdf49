"""Each row of the founding list has a test that bears its number."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
ROWS = {f"{number:02}" for number in range(1, 71)} | {"47b", "67b"}
#: `def test_s05_...`, `def test_s35_s36_...`
NAMED = re.compile(r"^def test((?:_s\d\db?)+)_", re.MULTILINE)


def test_every_row_has_a_test() -> None:
    tested = {
        row
        for path in HERE.glob("test_*.py")
        for names in NAMED.findall(path.read_text(encoding="utf-8"))
        for row in names.removeprefix("_s").split("_s")
    }
    assert tested == ROWS
