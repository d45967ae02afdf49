"""Each row of the founding list has a test that bears its number, apart from those that README.md leaves out."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
ROWS = {f"{number:02}" for number in range(1, 71)} | {"47b", "67b"}
#: `def test_s05_...`, `def test_s35_s36_...`
NAMED = re.compile(r"^def test((?:_s\d\db?)+)_", re.MULTILINE)
#: the table of README.md: `| S22 | why |`
LEFT_OUT = re.compile(r"^\| S(\d\db?) \| \S.*\|$", re.MULTILINE)


def test_every_row_has_a_test() -> None:
    tested = {
        row
        for path in HERE.glob("test_*.py")
        for names in NAMED.findall(path.read_text(encoding="utf-8"))
        for row in names.removeprefix("_s").split("_s")
    }
    left_out = set(LEFT_OUT.findall((HERE / "README.md").read_text(encoding="utf-8")))
    assert tested <= ROWS
    assert sorted(ROWS - tested - left_out) == []
    assert sorted(tested & left_out) == [], "left out, and tested all the same"
