"""Finding the stories of messages in the files of their events. Linear over the days asked for, newest first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from gateway.files.trail import DAY, day_of

CHUNK = 1024 * 1024
MAX_EVENTS = 10_000  # of one story
MAX_KEPT = 10_000  # stories, while it is found out which are the newest
#: in these is looked; never in a subject
SEARCHED = ("id", "return_path", "recipient", "recipients", "message_id")

Event = dict[str, Any]
_decode = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(slots=True)
class Story:
    """All events of one message, in order; `id` is empty for an answer in a session that took nothing."""

    id: str
    events: list[Event] = field(default_factory=list)

    @property
    def began(self) -> float:
        return float(self.events[0]["at"]) if self.events else 0.0


#: True when a search is to end with what it has
Stop = Callable[[], bool]


def _never() -> bool:
    return False


def lines_of(path: Path, wanted: re.Pattern[bytes], stop: Stop = _never) -> Iterator[Event]:
    """The events of a file that have the pattern in them."""
    rest = b""
    with path.open("rb") as file:
        while not stop() and (piece := file.read(CHUNK)):
            piece = rest + piece
            cut = piece.rfind(b"\n") + 1
            rest, piece = piece[cut:], piece[:cut]
            position = 0
            while match := wanted.search(piece, position):
                begin, end = piece.rfind(b"\n", 0, match.start()) + 1, piece.find(b"\n", match.end())
                position = end + 1
                try:
                    event = _decode(piece[begin:end])
                except msgspec.MsgspecError:
                    continue  # cut by a full disk or a crash
                yield event


def files_of(folder: Path, since: float, until: float) -> list[Path]:
    """Newest day first."""
    if not folder.exists():
        return []
    first, last = day_of(since), day_of(until)
    found = [path for path in folder.iterdir() if first <= path.name.partition(".")[0] <= last]
    return sorted(found, key=lambda path: path.name, reverse=True)


def in_json(text: str) -> bytes:
    """How a text stands in a line, as a pattern."""
    return re.escape(msgspec.json.encode(text)[1:-1])


def _is_about(event: Event, query: str) -> bool:
    for name in SEARCHED:
        value = event.get(name)
        texts = value if isinstance(value, list) else [value]
        if any(query in str(text).lower() for text in texts if text is not None):
            return True
    return False


def search(
    folder: Path,
    query: str,
    *,
    since: float,
    until: float,
    limit: int,
    counts: Callable[[Event], bool] | None = None,
    stop: Stop = _never,
) -> list[Story]:
    """The `limit` newest messages that an address, a part of one, a Message-ID or an id names, the oldest of them
    first, and what came of each of them. `counts`: whether an event that names it is one to be found. Raises OSError."""
    wanted = re.compile(in_json(query.lower()), re.IGNORECASE)
    stories: dict[str, Story] = {}
    alone: list[Story] = []
    for path in files_of(folder, since, until):
        for event in lines_of(path, wanted, stop):
            if not since <= event.get("at", 0.0) <= until or not _is_about(event, query.lower()):
                continue
            if counts is not None and not counts(event):
                continue
            if event.get("id"):
                stories.setdefault(event["id"], Story(event["id"], [event]))
            else:
                alone.append(Story("", [event]))
            if len(stories) + len(alone) > MAX_KEPT + limit:  # an older one of a busy day is none of the newest
                kept = sorted([*stories.values(), *alone], key=lambda story: story.began)[-limit:]
                stories, alone = {each.id: each for each in kept if each.id}, [each for each in kept if not each.id]
    newest = sorted([*stories.values(), *alone], key=lambda story: story.began)[-limit:]
    chosen = {story.id: story for story in newest if story.id}
    complete(folder, chosen, stop)
    return sorted((story for story in newest if story.events), key=lambda story: story.began)


def complete(folder: Path, chosen: dict[str, Story], stop: Stop = _never) -> None:
    """All events of these messages, and of those that came of them: reports, replies, copies of lists."""
    if not chosen:
        return
    begin = min(story.began for story in chosen.values())
    for story in chosen.values():
        story.events.clear()
    ids = dict.fromkeys(chosen)
    while ids:
        wanted = re.compile(b"|".join(in_json(each) for each in ids))
        new: dict[str, None] = {}
        for path in reversed(files_of(folder, begin - DAY, begin + 366 * DAY)):
            for event in lines_of(path, wanted, stop):
                own, parent = event.get("id", ""), event.get("parent", "")
                if parent in chosen and own and chosen.get(own) is not chosen[parent]:
                    if own not in chosen:
                        new[own] = None
                    elif own in ids:  # found for itself: told with the message that it came of
                        chosen[parent].events += chosen[own].events
                        chosen[own].events = []
                    chosen[own] = chosen[parent]
                if own in ids and len(chosen[own].events) < MAX_EVENTS:
                    chosen[own].events.append(event)
        ids = new
    for story in chosen.values():
        story.events.sort(key=lambda event: event["at"])
