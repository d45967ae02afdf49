"""Every IMAP command is said in a dialog that a test looks at."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.imap.commands import COMMANDS

TESTS = Path(__file__).resolve().parents[1] / "gateway" / "imap"


@pytest.fixture(scope="module")
def said() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(TESTS.glob("test_*.py")))


@pytest.mark.parametrize("name", sorted(name.decode() for name in COMMANDS))
def test_a_dialog_has_it(said: str, name: str) -> None:
    assert re.search(rf"\b{name}\b", said), f"no test in {TESTS.name}/ says {name}"
