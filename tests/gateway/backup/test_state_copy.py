"""The copy of a state folder in which everything moves meanwhile: no message is lost, none is there twice."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.backup import state as copying
from gateway.backup.manifest import BackupProblem, Folder
from gateway.backup.state import copy_state
from gateway.files.database import connect


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    for name in ("queue/message", "queue/tmp", "held/message", "spool/drop", "index", "replica", "dkim"):
        (folder / name).mkdir(parents=True)
    for name in ("queue/message/stays", "queue/message/ends", "held/message/waits", "held/message/approved"):
        (folder / name).write_text(name)
    for name in ("spool/drop/handed-in", "queue/tmp/half", "index/00.db", "replica/data.mdb", "dkim/key", "queue.lock"):
        (folder / name).write_text(name)
    with closing(connect(folder / "queue.db", formats=("CREATE TABLE t (x)",))) as db:
        db.execute("INSERT INTO t VALUES ('before')")
    return folder


def copied(out: Path) -> set[str]:
    return {str(path.relative_to(out / "state")) for path in (out / "state").rglob("*") if path.is_file()}


def test_what_is_made_anew_or_unfinished_is_left_out(state: Path, tmp_path: Path) -> None:
    out = Folder(tmp_path / "out")
    assert copy_state(state, out) == {"queue.db": 1}
    assert copied(out.top) == {
        "queue/message/stays", "queue/message/ends", "held/message/waits", "held/message/approved",
        "spool/drop/handed-in", "dkim/key", "queue.db",
    }  # fmt: skip


def test_everything_moves_meanwhile(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = Folder(tmp_path / "out")
    copy_database = copying._copy_database

    def at_the_moment(folder: Path, name: str, folder_out: Folder) -> int:
        with closing(connect(folder / name)) as db:
            db.execute("INSERT INTO t VALUES ('at the moment')")
            version = copy_database(folder, name, folder_out)
            db.execute("INSERT INTO t VALUES ('behind it')")
        (folder / "queue/message/ends.report").write_text("a report on what ends")
        (folder / "queue/message/ends").unlink()
        (folder / "held/message/approved").rename(folder / "queue/message/approved")
        (folder / "spool/drop/handed-in").rename(folder / "queue/message/handed-in")
        return version

    monkeypatch.setattr(copying, "_copy_database", at_the_moment)
    copy_state(state, out)
    assert copied(out.top) - {"dkim/key", "queue.db"} == {
        "queue/message/stays", "queue/message/ends.report", "queue/message/approved", "queue/message/handed-in",
        "held/message/waits",
    }  # fmt: skip
    with closing(sqlite3.connect(out.top / "state/queue.db")) as db:
        assert [text for (text,) in db.execute("SELECT x FROM t")] == ["before", "at the moment"]
    assert {path.removeprefix("state/") for path in out.names("state/")} == copied(out.top)


def test_a_damaged_database_is_told(state: Path, tmp_path: Path) -> None:
    content = bytearray((state / "queue.db").read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    (state / "queue.db").write_bytes(content)
    with pytest.raises(BackupProblem, match=r"queue\.db"):
        copy_state(state, Folder(tmp_path / "out"))


def test_root_leaves_no_file_of_his_beside_a_database(state: Path, tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give files to another user: `sudo make test` runs this")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.name.startswith(("pytest", "popen", "test")):
            folder.chmod(folder.stat().st_mode | 0o011)
    for path in (state, state / "queue.db"):
        os.chown(path, 12_345, 12_345)
    beside = []
    with closing(sqlite3.connect(state / "queue.db")) as db:  # as a service killed just now leaves it
        db.execute("INSERT INTO t VALUES ('more')")
        db.commit()
        for suffix in ("-wal", "-shm"):
            os.chown(state / f"queue.db{suffix}", 12_345, 12_345)
        copy_state(state, Folder(tmp_path / "out"))
        beside = [path.stat().st_uid for path in state.glob("queue.db*")]
    assert set(beside) == {12_345}
