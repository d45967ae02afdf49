"""Many processes open a new file at the same moment."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.files.database import connect, transaction

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


def test_behind_a_commit_that_fails_the_next_transaction_begins(tmp_path: Path) -> None:
    db = connect(tmp_path / "db")
    db.executescript(
        "PRAGMA foreign_keys=ON; CREATE TABLE a (x PRIMARY KEY);"
        "CREATE TABLE b (x REFERENCES a (x) DEFERRABLE INITIALLY DEFERRED);"
    )
    with pytest.raises(sqlite3.IntegrityError), transaction(db):
        db.execute("INSERT INTO b VALUES (1)")
    with pytest.raises(RuntimeError), transaction(db):
        db.execute("INSERT INTO a VALUES (1)")
        raise RuntimeError
    with transaction(db):
        db.execute("INSERT INTO a VALUES (2)")
    assert db.execute("SELECT x FROM a UNION ALL SELECT x FROM b").fetchall() == [(2,)]
    db.close()


def test_a_file_is_brought_up_once_and_a_later_one_is_left_alone(tmp_path: Path) -> None:
    steps = ("CREATE TABLE a (x)", "ALTER TABLE a ADD COLUMN y; CREATE INDEX a_y ON a (y)", "CREATE TABLE c (x)")
    connect(tmp_path / "db", formats=steps[:1]).close()
    connect(tmp_path / "db", formats=steps[:2]).close()
    db = connect(tmp_path / "db", formats=steps[:2])
    db.execute("INSERT INTO a VALUES (1, 2)")
    connect(tmp_path / "db", formats=steps).close()
    with pytest.raises(sqlite3.DatabaseError, match="newer version"):
        connect(tmp_path / "db", formats=steps[:2])
    assert db.execute("SELECT x, y FROM a").fetchall() == [(1, 2)]
    assert db.execute("PRAGMA user_version").fetchone() == (3,)
    db.close()
