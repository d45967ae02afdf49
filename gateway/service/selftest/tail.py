"""What the service writes into its trail from now on: the events of the self-test's own messages.

Only what is added to the files behind the start is read, so a host with gigabytes of trail costs nothing.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec

from gateway.files.trail import DAY, day_of

MAX_LINES = 500_000  # of all mail of the host meanwhile; about 80 MB
MAX_PIECE = 8 * 1024 * 1024  # of one file in one look
MAX_EVENTS = 1000  # of one message

Event = dict[str, Any]


class Tail:
    """Raises OSError where the folder may not be read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, int] = {path.name: path.stat().st_size for path in self._files()}
        self._lines: list[bytes] = []

    def _files(self) -> list[Path]:
        if not self._folder.exists():
            return []
        first = day_of(time.time() - DAY)
        return [path for path in self._folder.iterdir() if path.name.partition(".")[0] >= first]

    def _look(self) -> None:
        for path in self._files():
            begin = self._read.get(path.name, 0)
            with path.open("rb") as file:
                file.seek(begin)
                piece = file.read(MAX_PIECE)
            cut = piece.rfind(b"\n") + 1
            self._read[path.name] = begin + cut
            self._lines += piece[:cut].splitlines()
        del self._lines[:-MAX_LINES]

    def story(self, message: str) -> list[Event]:
        """The events of a message and of those that came of it (reports, copies by rules), in order of time."""
        self._look()
        found: list[Event] = []
        open_ids, known = [message], {message}
        while open_ids:
            wanted = open_ids.pop().encode()
            for line in [line for line in self._lines if wanted in line]:
                event = _decoded(line)
                own, parent = event.get("id", ""), event.get("parent", "")
                if own and parent.encode() == wanted and own not in known:
                    known.add(own)
                    open_ids.append(own)
                if own.encode() == wanted and len(found) < MAX_EVENTS:
                    found.append(event)
        return sorted(found, key=lambda event: float(event["at"]))


def _decoded(line: bytes) -> Event:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.MsgspecError:
        return {}  # cut by a full disk or a crash


def told(events: list[Event]) -> str:
    """Events in few words, for a person."""
    words = []
    for event in events:
        more = " ".join(str(event[key]) for key in ("state", "reply") if event.get(key))
        words.append(f"{event['event']}{f' ({more})' if more else ''}")
    return ", ".join(words) or "nothing"
