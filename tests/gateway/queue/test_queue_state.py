"""queue.db: claims, outcomes that are owed, what a crash and an administrator leave, older formats."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from queue_bench import Bench

from directory.model import Condition, Deferred, Refused
from gateway.deliver.port import Outcome as CourierOutcome
from gateway.deliver.port import Taken
from gateway.queue.file import Target
from gateway.queue.state import QueueState, TargetRow


@pytest.mark.parametrize(
    "outcome",
    [
        Refused(Condition.REMOTE_REFUSED, "mx: no", "I have left", status="5.1.1", host="mx", reply="550 5.1.1 who?"),
        Deferred(Condition.REMOTE_DEFERRED, "later", status="4.2.2", host="mx", reply="452 4.2.2 full"),
        Taken("mx", "250 ok", dsn=True),
        Taken(),
    ],
)
def test_an_outcome_is_kept_until_it_is_told(tmp_path: Path, outcome: CourierOutcome) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("x@far.example"))
    bench.runner.look()
    (row,) = bench.state.claim("m1", bench.now)
    bench.state.record("m1", [replace(row, state="failed", due=bench.now, owed="failed", outcome=outcome)])
    assert bench.state.owing(bench.now, 5) == ["m1"]
    (kept,) = bench.state.targets("m1")
    assert type(kept.outcome) is type(outcome)
    for name in ("condition", "detail", "text", "status", "host", "reply", "dsn"):
        assert getattr(kept.outcome, name, None) == getattr(outcome, name, None)
    bench.state.told("m1")
    assert bench.state.owing(bench.now, 5) == []


def test_an_attempt_that_a_crash_ended_is_due_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("ann@example.com", "t:ann"))
    bench.runner.look()
    assert [row.attempts for row in bench.state.claim("m1", bench.now)] == [1]
    assert bench.state.claim("m1", bench.now) == []
    assert bench.state.due(bench.now, 10) == []
    bench.state.close()
    bench.restart()
    assert bench.work() is None
    assert [holder for holder, _ in bench.delivered] == ["t:ann"]


def test_a_finished_message_whose_file_stayed_is_removed_at_the_start(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("ann@example.com", "t:ann"))
    bench.runner.look()
    (row,) = bench.state.claim("m1", bench.now)
    bench.state.record("m1", [replace(row, state="done")])
    bench.state.close()
    bench.restart()
    assert bench.folder.ids() == set()
    assert bench.work() is None
    assert bench.delivered == []
    assert bench.state.messages() == set()


def test_what_an_administrator_did_during_an_attempt_stands(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("ann@example.com", "t:ann"))
    bench.runner.look()
    (row,) = bench.state.claim("m1", bench.now)
    assert bench.state.change("m1", "trying", "held", 0.0) == 1
    bench.state.record("m1", [replace(row, state="waiting", due=bench.now)])
    assert [each.state for each in bench.state.targets("m1")] == ["held"]
    assert bench.work() is None
    assert bench.state.change(None, "held", "waiting", bench.now) == 1
    assert bench.work() is None
    assert [holder for holder, _ in bench.delivered] == ["t:ann"]


def test_an_index_of_the_first_format_is_brought_up(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "queue.db")
    db.executescript(
        """CREATE TABLE target (message TEXT NOT NULL, number INTEGER NOT NULL, state TEXT NOT NULL,
          attempts INTEGER NOT NULL, due REAL NOT NULL, reply TEXT NOT NULL, PRIMARY KEY (message, number)) WITHOUT ROWID;
        CREATE INDEX target_due ON target (state, due);
        CREATE TABLE done (message TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (message, key)) WITHOUT ROWID;
        INSERT INTO target VALUES ('m1', 0, 'waiting', 3, 1.0, 'later'), ('m1', 1, 'held', 1, 0.0, 'no');
        PRAGMA user_version=1;"""
    )
    db.close()
    bench = Bench(tmp_path)
    assert [(row.state, row.attempts, row.owed) for row in bench.state.targets("m1")] == [
        ("waiting", 3, ""), ("held", 1, ""),
    ]  # fmt: skip
    bench.inject(Target("ann@example.com", "t:ann"), Target("x@far.example"))
    bench.work()
    assert [row.state for row in bench.state.targets("m1")] == ["done", "held"]
    bench.state.close()
    db = sqlite3.connect(tmp_path / "queue.db")
    db.execute("PRAGMA user_version=9")
    db.close()
    with pytest.raises(Deferred, match="newer version"):
        QueueState(tmp_path / "queue.db")


def test_rows_are_rebuilt_from_the_files(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.local = [Deferred(Condition.STORE_UNAVAILABLE)]
    bench.inject(Target("ann@example.com", "t:ann"))
    bench.work()
    bench.state.close()
    for file in tmp_path.glob("queue.db*"):
        file.unlink()
    bench.restart()
    bench.work()
    assert [holder for holder, _ in bench.delivered] == ["t:ann"]


def test_what_is_done_to_one_message_does_not_walk_through_all_that_wait(tmp_path: Path) -> None:
    state = QueueState(tmp_path / "queue.db")
    said: list[str] = []
    state._db.set_trace_callback(said.append)
    state._looking.set_trace_callback(said.append)
    row = TargetRow(0, "waiting", 1, 0.0, "")
    state.claim("m1", 1.0)
    state.targets("m1")
    state.done_keys("m1")
    state.record("m1", [row], done=["key"])
    state.record_first("m2", "", [row])
    state.postpone([("m1", 1.0, "busy")], 1.0)
    state.owe_later("m1", 1.0)
    state.hold("m1", "why")
    state.told("m1")
    state.change("m1", "held", "waiting", 1.0)
    state.forget(["m1"])
    about_one = [sql for sql in said if "'m1'" in sql and sql.split()[0] in ("UPDATE", "DELETE", "SELECT")]
    assert len(about_one) > 9
    with sqlite3.connect(tmp_path / "queue.db") as db:
        for sql in about_one:
            (plan,) = [step[3] for step in db.execute(f"EXPLAIN QUERY PLAN {sql}")]
            assert "PRIMARY KEY (message=?" in plan, sql
    said.clear()
    state.due(1.0, 5)
    state.next_due(1.0)
    state.claimed()
    state.owing(1.0, 5)
    with sqlite3.connect(tmp_path / "queue.db") as db:
        for sql in said:
            first = next(iter(db.execute(f"EXPLAIN QUERY PLAN {sql}")))[3]
            assert "USING COVERING INDEX target_due (state=?" in first or "target_owed" in first, sql


def test_each_change_has_one_answer_also_where_the_commit_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)

    @contextmanager
    def full(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
        yield db
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("gateway.queue.state.transaction", full)
    for count in (1, 3):
        (*answers,) = bench.state.together([lambda: 7] * count, durable=True)
        assert [type(answer) for answer in answers] == [Deferred] * count
