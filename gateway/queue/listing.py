"""The queue as Sendmail's `mailq` prints it: who has not got a message yet, and the last answer; reads only."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from gateway.queue.file import Damaged, read_envelope
from gateway.queue.state import DONE, rows_of

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
        arrived = time.strftime("%a %b %d %H:%M:%S", time.localtime(envelope.arrival))
        yield f"{name} {envelope.size:>8} {arrived} {envelope.return_path or '<>'}"
        known = {row.number: row for row in rows.get(name, ())}
        for place, target in enumerate(envelope.targets):
            row = known.get(place)
            if row is not None and row.state == DONE:
                continue
            if row is not None and row.reply:
                yield f"      ({row.reply})"
            yield f"{'':40} {target.address}"
        yield ""
    yield f"-- {octets // 1024} Kbytes in {len(names)} Requests." if names else "Mail queue is empty"
