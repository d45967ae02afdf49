"""state.db: kept, refused when newer, never overwritten when damaged; one process has it."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from directory.authenticator_memory import read_key
from directory.authenticator_tokens import APP, Tokens
from directory.model import Deferred
from directory.state import State, problem
from directory.write_journal import Journal


def test_what_is_committed_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    assert problem(path) == ""
    state = State(path)
    _, secret = Tokens(state).create(APP, "x:1", "telephone", now=1.0)
    with pytest.raises(Deferred, match="another process"):
        State(path)
    state.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = State.open(path)
    assert again.trouble == ""
    found = Tokens(again).find(secret, 2.0)
    assert found is not None
    assert found.account == "x:1"
    assert problem(path) == ""
    with pytest.raises(ZeroDivisionError), again.transaction() as db:
        db.execute("DELETE FROM token")
        raise ZeroDivisionError
    assert Tokens(again).find(secret, 2.0) is not None, "rolled back"
    again.close()


@pytest.mark.parametrize("damage", ["newer", "garbage", "folder"])
def test_a_file_that_cannot_be_used_is_left_alone(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "state.db"
    if damage == "newer":
        State(path).close()
        db = sqlite3.connect(path)
        db.execute("PRAGMA user_version=99")
        db.close()
    elif damage == "garbage":
        path.write_bytes(b"this is no database" * 500)
    else:
        path.mkdir()
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(Deferred, match="state"):
        State(path)
    state = State.open(path)
    assert "state.db" in state.trouble
    assert problem(path)
    for ask in (
        lambda: Tokens(state).find("gpa_x", 1.0),
        lambda: Tokens(state).create(APP, "x:1", "telephone", now=1.0),
        lambda: Tokens(state).of("x:1", APP, 1.0),
        lambda: Tokens(state).revoke("x:1", APP),
        lambda: Journal(state).begin(1.0, "a", "v", "", "", {}, None),
        lambda: Journal(state).latest(5),
    ):
        with pytest.raises(Deferred):
            ask()
    state.close()
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_the_key_is_made_once(tmp_path: Path) -> None:
    key = read_key(tmp_path / "auth.key")
    assert read_key(tmp_path / "auth.key") == key
    assert stat.S_IMODE((tmp_path / "auth.key").stat().st_mode) == 0o600
    assert len(read_key(tmp_path / "no" / "folder")) == 32


def test_a_file_of_the_first_format_is_brought_to_the_last(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    state = State(path)
    _, secret = Tokens(state).create(APP, "x:1", "telephone", now=1.0)
    state.close()
    db = sqlite3.connect(path)
    db.executescript(
        "DROP TABLE application; DROP TABLE preference; DROP TABLE factor; ALTER TABLE token DROP COLUMN password; PRAGMA user_version=1;"
    )
    db.close()
    again = State(path)
    assert Tokens(again).find(secret, 2.0) is not None
    for table in ("preference", "factor"):
        assert again.rows(f"SELECT count(*) FROM {table}") == [(0,)]
    again.close()
