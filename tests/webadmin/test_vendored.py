"""Libraries of others are what VENDOR.md says, and nothing else is served to browsers from there."""

from __future__ import annotations

import hashlib
from pathlib import Path

from webadmin.assets import ASSETS

VENDOR = Path(__file__).resolve().parents[2] / "webadmin" / "static" / "vendor"


def test_every_file_is_the_one_that_the_manifest_names() -> None:
    rows = [
        line.strip("| ").split(" | ")
        for line in (VENDOR / "VENDOR.md").read_text().splitlines()
        if line.startswith("| ")
    ]
    named = {row[0]: row[4] for row in rows[1:]}
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.iterdir() if path.suffix != ".md"
    }
    assert found == named


def test_the_manifest_itself_is_not_served() -> None:
    assert "vendor/VENDOR.md" not in ASSETS
