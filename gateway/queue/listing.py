"""The queue as Sendmail's `mailq` prints it: who has not got a message yet, and the last answer; reads only."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gateway.queue.file import Damaged, read_envelope
from gateway.queue.shown import for_operator
from gateway.queue.state import DONE, rows_of

EMPTY = "Mail queue is empty"
HEAD = "-Queue ID- --Size-- ----Arrival Time---- -Sender/Recipient-------"


def listing(folder: Path, database: Path) -> Iterator[str]:
    """Lines of text, the oldest message first. Raises OSError, Deferred."""
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        names = []
    rows = rows_of(database)
    octets = 0
    for number, name in enumerate(names):
        if number == 0:
            yield HEAD
        try:
            envelope = read_envelope(folder / name)
        except FileNotFoundError:
            continue  # delivered a moment ago
        except Damaged as error:
            yield f"{name}  damaged: {error}"
            continue
        octets += envelope.size
        facts = for_operator(envelope, rows.get(name, ()))
        yield from _entry(facts | {"id": name})
    yield f"-- {octets // 1024} Kbytes in {len(names)} Requests." if names else EMPTY


def own_listing(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The same of messages as their owner is told of them (`shown.for_owner`)."""
    if not found:
        yield EMPTY
        return
    yield HEAD
    for facts in found:
        yield from _entry(facts)
    yield f"-- {sum(facts['size'] for facts in found) // 1024} Kbytes in {len(found)} Requests."


def _entry(facts: dict[str, Any]) -> Iterator[str]:
    arrived = time.strftime("%a %b %d %H:%M:%S", time.localtime(facts["arrival"]))
    yield f"{facts['id']} {facts['size']:>8} {arrived} {facts['return_path'] or '<>'}"
    for target in facts["targets"]:
        if target["state"] == DONE:
            continue
        if target["reply"]:
            yield f"      ({target['reply']})"
        yield f"{'':40} {target['address']}"
    yield ""
