"""A message of the queue as values that can be written as JSON: what `gatepost queue list` and `show` tell."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.queue.file import QueuedEnvelope, Target
from gateway.queue.state import DONE, FAILED, TargetRow

NEW = "new"  # the runner has not seen it yet
MAX_RECIPIENTS = 10  # of one message, as its owner sees it


def _state(row: TargetRow | None) -> dict[str, Any]:
    if row is None:
        return {"state": NEW, "attempts": 0, "due": 0.0, "reply": "", "owed": ""}
    return {"state": row.state, "attempts": row.attempts, "due": row.due, "reply": row.reply, "owed": row.owed}


def of_envelope(envelope: QueuedEnvelope) -> dict[str, Any]:
    """What is told of a message besides its recipients."""
    return {
        "id": envelope.id,
        "return_path": envelope.return_path,
        "arrival": envelope.arrival,
        "not_before": envelope.not_before,
        "size": envelope.size,
    }


def for_operator(envelope: QueuedEnvelope, rows: Iterable[TargetRow]) -> dict[str, Any]:
    """Everything."""
    known = {row.number: row for row in rows}
    targets = [
        {"address": target.address, "account": target.account, "list": target.list, **_state(known.get(number))}
        for number, target in enumerate(envelope.targets)
    ]
    return of_envelope(envelope) | {"owner": envelope.owner, "targets": targets}


def _given(target: Target) -> str:
    return target.original or target.address


def for_owner(envelope: QueuedEnvelope, rows: Iterable[TargetRow]) -> dict[str, Any]:
    """What still waits, for who sent it: recipients as he gave them. Where they led, and what the hosts there say, is
    the business of those who have aliases, forwards and lists."""
    known = {row.number: row for row in rows}
    targets: dict[str, dict[str, Any]] = {}
    for number, target in enumerate(envelope.targets):
        state = _state(known.get(number))
        if state["state"] not in (DONE, FAILED):
            shown = {"address": _given(target), **state, "owed": ""}
            targets.setdefault(_given(target), shown if not target.original else shown | {"reply": ""})
    some = list(targets.values())[:MAX_RECIPIENTS]
    return of_envelope(envelope) | {"recipients": len(targets), "targets": some}
