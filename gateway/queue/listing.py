"""The queue as Sendmail's `mailq` prints it, from the queue files alone; reads only."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from gateway.queue.file import Damaged, read_envelope

HEAD = "-Queue ID- --Size-- ----Arrival Time---- -Sender/Recipient-------"


def listing(folder: Path) -> Iterator[str]:
    """Lines of text, the oldest message first. Raises OSError."""
    names = sorted(entry.name for entry in os.scandir(folder)) if folder.exists() else []
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
        for target in envelope.targets:
            yield f"{'':40} {target.address}"
        yield ""
    yield f"-- {octets // 1024} Kbytes in {len(names)} Requests." if names else "Mail queue is empty"
