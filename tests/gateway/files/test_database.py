"""Many processes open a new file at the same moment."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.files.database import connect

OPEN = """
import sys, time
from pathlib import Path
from gateway.files.database import connect
time.sleep(max(0.0, float(sys.argv[2]) - time.time()))
for number in range(40):
    db = connect(Path(f"{sys.argv[1]}{number}"))
    db.execute("CREATE TABLE IF NOT EXISTS t (x)")
    db.close()
"""


def test_all_of_them_get_it(tmp_path: Path) -> None:
    begin = str(time.time() + 1.0)
    words = [sys.executable, "-c", OPEN, str(tmp_path / "db"), begin]
    children = [subprocess.Popen(words, stderr=subprocess.PIPE) for _ in range(4)]
    errors = [child.communicate(timeout=60)[1] for child in children]
    assert [child.returncode for child in children] == [0] * 4, errors


def test_a_file_that_is_no_database_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b"no database, but long enough to look like one to begin with" * 100)
    begun = time.monotonic()
    with pytest.raises(sqlite3.DatabaseError):
        connect(tmp_path / "db")
    assert time.monotonic() - begun < 5
