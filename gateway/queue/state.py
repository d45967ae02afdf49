"""What happened to each target so far: queue.db, one SQLite file, synchronous=FULL, one writer (the runner).

    state     owed                     meaning
    no row    -                        came in; its first attempt is under way or its row is still to be written
    waiting   -                        to be tried when it is due
    trying    -                        claimed by an attempt; waiting again when the next runner starts
    waiting   delayed                  tried, and its sender is to be told that it takes long
    done      - | delivered | relayed  somebody took responsibility
    failed    failed                   refused for good or given up; its sender is to be told
    failed    -                        its sender was told, or is not to be told
    held      -                        not tried until an administrator releases it; so are messages whose file is
                                       damaged and those of which nobody can be told

An attempt is claimed by raising `attempts`; its outcome is written only where `attempts` still is what it
claimed, so what an administrator did meanwhile stands. The first attempt at a message needs no claim: the runner
is the only one who knows of it, and the row comes with the outcome. What is owed is committed with the outcome,
the report is on disk before the debt is struck off, and the file goes when every target is done or failed and
nothing is owed. A crash at any instant leaves a state from which the next runner goes on: a delivery without its
record is repeated once, a report without its record is made again under the same name.

    change                              on disk when it returns
    record, step_done, told             yes
    hold, change (an administrator)     yes
    add, claim, postpone, forget        with the next one that is: what a power cut takes of them is found out again

Rebuilt from the queue files when it is lost; then targets that were done are tried once more.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from directory.model import Condition, Deferred, Refused
from gateway.deliver.port import Outcome, Taken
from gateway.files.database import connect, looking, transaction

WAITING, TRYING, HELD, DONE, FAILED = "waiting", "trying", "held", "done", "failed"
MAX_REPLY = 1000
T = TypeVar("T")
#: of what is held because its owner may not send; what an operator held has another one
STOPPED_REPLY = "on hold: sending is stopped for the account that sent it"

_FORMATS = (
    """
CREATE TABLE target (message TEXT NOT NULL, number INTEGER NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
  due REAL NOT NULL, reply TEXT NOT NULL, PRIMARY KEY (message, number)) WITHOUT ROWID;
CREATE INDEX target_due ON target (state, due);
CREATE TABLE done (message TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (message, key)) WITHOUT ROWID;
""",
    """
ALTER TABLE target ADD COLUMN owed TEXT NOT NULL DEFAULT '';
ALTER TABLE target ADD COLUMN outcome BLOB;
ALTER TABLE target ADD COLUMN warned INTEGER NOT NULL DEFAULT 0;
CREATE INDEX target_owed ON target (message) WHERE owed<>'';
""",
    """
ALTER TABLE target ADD COLUMN owner TEXT NOT NULL DEFAULT '';
CREATE INDEX target_owner ON target (owner, message) WHERE owner<>'';
""",
)
_COLUMNS = "number, state, attempts, due, reply, owed, outcome, warned, owner"


class Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """An outcome as it is kept until its report is made. `condition` is empty for one that was taken."""

    condition: str = ""
    detail: str = ""
    #: for the sender, where it is not the condition's
    text: str = ""
    status: str = ""
    host: str = ""
    reply: str = ""
    dsn: bool = False


class Arrived(NamedTuple):
    """A message that came in: how many targets it has, when they are due and why not now."""

    message: str
    targets: int
    due: float
    why: str = ""
    owner: str = ""


@dataclass(frozen=True, slots=True)
class TargetRow:
    """The state of one target; `number` is its place in the envelope block, `reply` the last answer, `owed` the
    kind of report that is to be made of `outcome`, `warned`: a report of delay was made, `owner` that of the message,
    "" also while it could not be read."""

    number: int
    state: str
    attempts: int
    due: float
    reply: str
    owed: str = ""
    outcome: Outcome | None = None
    warned: bool = False
    owner: str = ""

    @property
    def is_final(self) -> bool:
        """Nothing is done for this target any more."""
        return self.state in (DONE, FAILED) and not self.owed


def _kept(outcome: Outcome | None) -> bytes | None:
    if outcome is None:
        return None
    if isinstance(outcome, Taken):
        return msgspec.json.encode(Kept(host=outcome.host, reply=outcome.reply, dsn=outcome.dsn))
    text = outcome.text[:MAX_REPLY] if outcome.text != outcome.condition.text else ""
    detail, reply = outcome.detail[:MAX_REPLY], outcome.reply[:MAX_REPLY]
    return msgspec.json.encode(Kept(outcome.condition.name, detail, text, outcome.status, outcome.host, reply))


def _outcome(kept: bytes | None) -> Outcome | None:
    if kept is None:
        return None
    found = msgspec.json.decode(kept, type=Kept)
    if not found.condition:
        return Taken(found.host, found.reply, found.dsn)
    condition = Condition[found.condition]
    kind = Deferred if condition.is_temporary else Refused
    return kind(condition, found.detail, found.text, status=found.status, host=found.host, reply=found.reply)


def _row(values: Sequence[object]) -> TargetRow:
    number, state, attempts, due, reply, owed, outcome, warned, owner = values
    return TargetRow(number, state, attempts, due, reply, owed, _outcome(outcome), bool(warned), owner)  # type: ignore[arg-type]


def _values(row: TargetRow, back: int) -> tuple[object, ...]:
    attempts, reply = row.attempts - back, row.reply[:MAX_REPLY]
    return row.state, attempts, row.due, reply, row.owed, _kept(row.outcome), row.warned


class QueueState:
    """queue.db. May be called by several threads. Raises Deferred(QUEUE_UNAVAILABLE)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._is_durable = True
        try:
            self._db = connect(path, formats=_FORMATS)
            # whoever looks does not wait for a disk that others write to
            self._looking = connect(path)
        except sqlite3.Error as error:
            raise Deferred(Condition.QUEUE_UNAVAILABLE, f"{path}: {error}") from error

    @contextmanager
    def _change(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction, or a part of the one that is open; on disk when that ends, if `durable`."""
        with self._lock:
            try:
                if self._db.in_transaction:
                    yield self._db
                    return
                if durable != self._is_durable:
                    self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                    self._is_durable = durable
                with transaction(self._db):
                    yield self._db
            except sqlite3.Error as error:
                raise Deferred(Condition.QUEUE_UNAVAILABLE, f"{self._path}: {error}") from error

    def together(self, changes: Sequence[Callable[[], T]], *, durable: bool) -> list[T | Exception]:
        """Several changes in one transaction, on disk when it returns if `durable`: what each returned or raised.

        Where one raises, each of them is done by itself.
        """
        if len(changes) > 1:
            try:
                with self._change(durable=durable):
                    return [change() for change in changes]
            except Exception:
                pass  # rolled back: whose fault it was is found out one by one
        done: list[T | Exception] = []
        for change in changes:
            try:
                with self._change(durable=durable):
                    result = change()
            except Exception as error:  # of the change, or of the commit behind it
                done.append(error)
            else:
                done.append(result)
        return done

    def _read(self, query: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        try:
            return self._looking.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise Deferred(Condition.QUEUE_UNAVAILABLE, f"{self._path}: {error}") from error

    # what came in and what went

    def messages(self) -> set[str]:
        return {str(row[0]) for row in self._read("SELECT DISTINCT message FROM target")}

    def begun(self) -> set[str]:
        """Messages without rows of which steps were delivered."""
        rows = self._read("SELECT DISTINCT message FROM done WHERE message NOT IN (SELECT message FROM target)")
        return {str(row[0]) for row in rows}

    def add(self, messages: Iterable[Arrived]) -> None:
        """Messages that came in. Rows that are there stay, but for an owner that they lack."""
        rows = [
            (each.message, number, WAITING, each.due, each.why[:MAX_REPLY], each.owner)
            for each in messages
            for number in range(each.targets)
        ]
        with self._change(durable=False) as db:
            db.executemany(
                "INSERT INTO target (message, number, state, attempts, due, reply, owner) VALUES (?,?,?,0,?,?,?)"
                " ON CONFLICT DO UPDATE SET owner=excluded.owner WHERE owner='' AND excluded.owner<>''",
                rows,
            )

    def forget(self, messages: Iterable[str]) -> None:
        """Drop the rows of messages whose files are gone."""
        gone = [(message,) for message in messages]
        with self._change(durable=False) as db:
            for table in ("target", "done"):
                db.executemany(f"DELETE FROM {table} WHERE message=?", gone)

    def owned(self, owner: str, limit: int) -> list[str]:
        """The first messages of an owner."""
        rows = self._read(
            "SELECT DISTINCT message FROM target WHERE owner=? AND owner<>'' ORDER BY message LIMIT ?", (owner, limit)
        )
        return [str(row[0]) for row in rows]

    def targets(self, message: str) -> list[TargetRow]:
        rows = self._read(f"SELECT {_COLUMNS} FROM target WHERE message=? ORDER BY number", (message,))
        return [_row(row) for row in rows]

    # attempts

    def due(self, now: float, limit: int) -> list[str]:
        """Messages of the first `limit` targets that are due, the longest waiting first."""
        rows = self._read(
            "SELECT message FROM target WHERE state=? AND due<=? ORDER BY due LIMIT ?", (WAITING, now, limit)
        )
        return list(dict.fromkeys(str(row[0]) for row in rows))

    def owing(self, now: float, limit: int) -> list[str]:
        """Messages that owe a report of a final outcome, the longest waiting first."""
        rows = self._read(
            "SELECT message FROM target WHERE owed<>'' AND +state IN (?,?) AND +due<=? ORDER BY due LIMIT ?",
            (DONE, FAILED, now, limit),
        )
        return list(dict.fromkeys(str(row[0]) for row in rows))

    def next_due(self, now: float) -> float | None:
        """When the next target or report after `now` is due; None when nothing waits."""
        # two questions: one with OR would walk through everything that waits
        found = self._read("SELECT min(due) FROM target WHERE state=? AND due>?", (WAITING, now)) + self._read(
            "SELECT min(due) FROM target WHERE owed<>'' AND +state IN (?,?) AND +due>?", (DONE, FAILED, now)
        )
        return min((float(row[0]) for row in found if row[0] is not None), default=None)  # type: ignore[arg-type]

    def claim(self, message: str, now: float) -> list[TargetRow]:
        """Begin an attempt at the targets that are due; the rows as the attempt has them."""
        with self._change(durable=False) as db:
            rows = db.execute(
                "UPDATE target SET state=?, attempts=attempts+1 WHERE message=? AND +state=? AND +due<=?"
                f" RETURNING {_COLUMNS}",
                (TRYING, message, WAITING, now),
            ).fetchall()
        return sorted(map(_row, rows), key=lambda row: row.number)

    def recover(self, now: float) -> None:
        """At the start of a runner: attempts that another one did not end are due again, and so are debts."""
        with self._change() as db:
            db.execute("UPDATE target SET state=?, due=? WHERE state=?", (WAITING, now, TRYING))
            db.execute("UPDATE target SET due=? WHERE owed<>'' AND state IN (?,?) AND due>?", (now, DONE, FAILED, now))

    def claimed(self) -> list[str]:
        """Messages of which targets are claimed by an attempt."""
        rows = self._read("SELECT DISTINCT message FROM target WHERE state=?", (TRYING,))
        return [str(row[0]) for row in rows]

    def finished(self) -> list[str]:
        """Messages of which nothing is left to do: a crash kept their file from being removed."""
        rows = self._read(
            "SELECT message FROM target GROUP BY message HAVING min(state IN (?,?) AND owed='')=1", (DONE, FAILED)
        )
        return [str(row[0]) for row in rows]

    def done_keys(self, message: str) -> set[str]:
        return {str(row[0]) for row in self._read("SELECT key FROM done WHERE message=?", (message,))}

    def step_done(self, message: str, keys: Iterable[str]) -> None:
        """These steps of a message are delivered and never repeated."""
        with self._change() as db:
            db.executemany("INSERT OR IGNORE INTO done VALUES (?,?)", [(message, key) for key in keys])

    def record(self, message: str, rows: Sequence[TargetRow], *, back: int = 0, done: Iterable[str] = ()) -> None:
        """What an attempt did; `attempts` of a row is what it claimed, `back` how far it is set back (an attempt
        that was none), `done` the steps that were delivered."""
        values = [(*_values(row, back), message, row.number, row.attempts) for row in rows]
        with self._change() as db:
            db.executemany(
                "UPDATE target SET state=?, attempts=?, due=?, reply=?, owed=?, outcome=?, warned=?"
                " WHERE message=? AND number=? AND attempts=?",
                values,
            )
            if done:
                self.step_done(message, done)

    def record_first(
        self, message: str, owner: str, rows: Sequence[TargetRow], *, back: int = 0, done: Iterable[str] = ()
    ) -> None:
        """The same of a message that has no rows yet."""
        values = [(*_values(row, back), message, row.number, owner) for row in rows]
        with self._change() as db:
            db.executemany(
                "INSERT OR IGNORE INTO target (state, attempts, due, reply, owed, outcome, warned, message, number, owner)"
                " VALUES (?,?,?,?,?,?,?,?,?,?)",
                values,
            )
            if done:
                self.step_done(message, done)

    def postpone(self, messages: Iterable[tuple[str, float, str]], now: float) -> None:
        """(message, due, why) of what was due and cannot be tried now; no attempt was made."""
        with self._change(durable=False) as db:
            db.executemany(
                "UPDATE target SET due=?, reply=? WHERE message=? AND +state=? AND +due<=?",
                [(due, why[:MAX_REPLY], message, WAITING, now) for message, due, why in messages],
            )

    def owe_later(self, message: str, due: float) -> None:
        """The reports that a message owes could not be made."""
        with self._change() as db:
            db.execute(
                "UPDATE target SET due=? WHERE message=? AND owed<>'' AND +state IN (?,?)", (due, message, DONE, FAILED)
            )

    def hold(self, message: str, why: str) -> None:
        """Nothing can be done for a message by itself any more: an administrator decides."""
        with self._change() as db:
            db.execute(
                "UPDATE target SET state=?, owed='', outcome=NULL, reply=?, attempts=attempts+1"
                " WHERE message=? AND (+owed<>'' OR +state IN (?,?))",
                (HELD, why[:MAX_REPLY], message, WAITING, TRYING),
            )

    def hold_targets(self, message: str, numbers: Iterable[int], why: str) -> int:
        """Hold these targets of a message as far as they wait; how many."""
        held = 0
        with self._change() as db:
            for number in numbers:
                held += db.execute(
                    "UPDATE target SET state=?, reply=?, attempts=attempts+1 WHERE message=? AND number=? AND state=?",
                    (HELD, why, message, number, WAITING),
                ).rowcount
        return held

    def held_with(self, owner: str, why: str, limit: int) -> list[str]:
        """The first messages of an owner with targets that are held for this reason."""
        rows = self._read(
            "SELECT DISTINCT message FROM target WHERE owner=? AND owner<>'' AND state=? AND reply=?"
            " ORDER BY message LIMIT ?",
            (owner, HELD, why, limit),
        )
        return [str(row[0]) for row in rows]

    def end_hold(self, message: str, why: str, after: str, due: float) -> int:
        """Targets of a message that are held for this reason wait again, or are done with; how many."""
        with self._change() as db:
            done = db.execute(
                "UPDATE target SET state=?, due=?, reply='', attempts=attempts+1 WHERE message=? AND state=? AND reply=?",
                (after, due, message, HELD, why),
            )
        return done.rowcount

    def told(self, message: str) -> None:
        """The reports that a message owed are on disk."""
        with self._change() as db:
            db.execute("UPDATE target SET owed='', outcome=NULL WHERE message=? AND owed<>''", (message,))

    # what administrators do

    def change(self, message: str | None, before: str, after: str, due: float) -> int:
        """Bring the targets of a message (None: of every message) from one state into another; how many."""
        # with a message, by its rows: all that wait may be many
        which, values = ("message=? AND +", [message]) if message is not None else ("", [])
        with self._change() as db:
            # a new claim number: an attempt under way does not overwrite it
            done = db.execute(
                f"UPDATE target SET state=?, due=?, attempts=attempts+(state<>?) WHERE {which}state=?",
                (after, due, after, *values, before),
            )
        return done.rowcount

    def close(self) -> None:
        self._looking.close()
        self._db.close()


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """queue.db for looking only; None when there is none. Raises Deferred."""
    if not path.exists():
        yield None
        return
    try:
        with looking(path) as db:
            yield db
    except sqlite3.Error as error:
        raise Deferred(Condition.QUEUE_UNAVAILABLE, f"{path}: {error}") from error


def counts(path: Path) -> dict[str, int]:
    """Targets waiting, deferred (tried before), failed (being reported) and held, for `status`; zeros without a file."""
    found = {"waiting": 0, "deferred": 0, "failed": 0, "held": 0}
    with _reading(path) as db:
        rows = [] if db is None else db.execute("SELECT state, attempts>0, count(*) FROM target GROUP BY 1, 2")
        for state, tried, number in rows:
            key = "deferred" if state == WAITING and tried else "waiting" if state == TRYING else state
            if key in found:
                found[key] += number
    return found


def held(path: Path, limit: int) -> list[dict[str, str]]:
    """What waits for a decision, the newest first: message and last reply. Raises Deferred."""
    with _reading(path) as db:
        if db is None:
            return []
        rows = db.execute(
            "SELECT message, reply FROM target WHERE state=? ORDER BY message DESC, number LIMIT ?", (HELD, limit)
        ).fetchall()
    return [{"message": message, "reply": reply} for message, reply in rows]


def rows_of(path: Path, message: str | None = None) -> dict[str, list[TargetRow]]:
    """The targets of a message, or of all, for looking. Raises Deferred."""
    found: dict[str, list[TargetRow]] = {}
    with _reading(path) as db:
        if db is None:
            return found
        which, values = ("WHERE message=?", (message,)) if message is not None else ("", ())
        for name, *values_of_row in db.execute(
            f"SELECT message, {_COLUMNS} FROM target {which} ORDER BY message, number", values
        ):
            found.setdefault(name, []).append(_row(values_of_row))
    return found
