"""The journal of directory changes in state.db: who changed what, and how to take it back.

A row is on disk before the directory is asked, with outcome `begun`, and gets its outcome afterwards: after a
crash a `begun` row names a change that may or may not have happened. Passwords are never in it.

`change` and `undo` are JSON: `{"modify": {attribute: [[removed], [added]]}}`, `{"add": {attribute: [values]}}`,
`{"delete": {attribute: [values]}}` or `{"password": true}`; an undo of null means that there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from directory.state import State

KEEP = 100_000  # rows; older ones go
MAX_JSON = 4 << 20  # octets: a larger undo record is not kept, and then says so


@dataclass(frozen=True, slots=True)
class Row:
    """One change."""

    number: int
    at: float
    actor: str
    verb: str
    entry: str
    dn: str
    change: dict[str, Any]
    undo: dict[str, Any] | None
    outcome: str


def _json(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= MAX_JSON else "null"


def _row(values: tuple[Any, ...]) -> Row:
    number, at, actor, verb, entry, dn, change, undo, outcome = values
    return Row(
        number, at, actor, verb, entry, dn, msgspec.json.decode(change) or {}, msgspec.json.decode(undo), outcome
    )


class Journal:
    """Thread-safe. Raises Deferred."""

    def __init__(self, state: State) -> None:
        self._state = state

    def begin(
        self, at: float, actor: str, verb: str, entry: str, dn: str, change: dict[str, Any], undo: dict[str, Any] | None
    ) -> int:
        """Write down what is about to happen; answers the row's number."""
        self._state.check()
        with self._state.transaction() as db:
            number = db.execute(
                "INSERT INTO journal (at, actor, verb, entry, dn, change, undo, outcome) VALUES (?,?,?,?,?,?,?,'begun')",
                (at, actor, verb, entry, dn, _json(change), _json(undo)),
            ).lastrowid
            db.execute("DELETE FROM journal WHERE number<=?", ((number or 0) - KEEP,))
        return int(number or 0)

    def end(self, number: int, outcome: str, *, entry: str = "") -> None:
        """Write down how it ended: `done`, or why not. `entry` is the id of an entry that was made."""
        with self._state.transaction() as db:
            db.execute(
                "UPDATE journal SET outcome=?1, entry=CASE ?2 WHEN '' THEN entry ELSE ?2 END WHERE number=?3",
                (outcome[:1000], entry, number),
            )

    def row(self, number: int) -> Row | None:
        """One row."""
        self._state.check()
        rows = self._state.rows("SELECT * FROM journal WHERE number=?", (number,))
        return _row(rows[0]) if rows else None

    def latest(self, limit: int, entry: str = "", before: int = 0) -> list[Row]:
        """The latest rows, of one entry when `entry` is given, older than number `before` unless 0, newest first."""
        self._state.check()
        rows = self._state.rows(
            "SELECT * FROM journal WHERE (?1='' OR entry=?1) AND (?3=0 OR number<?3) ORDER BY number DESC LIMIT ?2",
            (entry, limit, before),
        )
        return [_row(row) for row in rows]
