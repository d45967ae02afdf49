"""Messages by conversation (RFC 5256 THREAD), the one with the newest message first. What was found is kept while the mailbox
holds the same messages: a set of UIDs is the same one when UIDVALIDITY, UIDNEXT and the number of messages are.
"""

from __future__ import annotations

import re
import threading
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

MAX_KEPT = 64  # mailboxes
_NUMBER = re.compile(rb"\d+")
Key: TypeAlias = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Conversations:
    """UIDs, one conversation behind the other; `starts` is where each begins, and the end."""

    uids: array[int]
    starts: array[int]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def of(self, first: int, count: int) -> list[Sequence[int]]:
        """`count` conversations from the place `first`, the messages of each in ascending order."""
        last = min(first + count, len(self))
        return [self.uids[self.starts[at] : self.starts[at + 1]] for at in range(first, last)]

    def with_message(self, uid: int) -> Sequence[int]:
        """The conversation that a message is in; the message alone when it is in none."""
        try:
            place = self.uids.index(uid)
        except ValueError:
            return [uid]
        at = bisect_right(self.starts, place) - 1
        return self.uids[self.starts[at] : self.starts[at + 1]]


def read(answer: bytes) -> Conversations:
    """The lists in an answer to UID THREAD."""
    groups = [sorted(map(int, _NUMBER.findall(each))) for each in _top(answer)]
    groups = [group for group in groups if group]
    groups.sort(key=lambda group: group[-1], reverse=True)
    uids, starts = array("I"), array("I", [0])
    for group in groups:
        uids.extend(group)
        starts.append(len(uids))
    return Conversations(uids, starts)


def _top(answer: bytes) -> list[bytes]:
    """What stands in each outermost pair of parentheses."""
    found = []
    depth = start = 0
    for match in re.finditer(rb"[()]", answer):
        if match[0] == b"(":
            if depth == 0:
                start = match.end()
            depth += 1
        else:
            depth -= 1
            if depth == 0:
                found.append(answer[start : match.start()])
    return found


class Kept:
    """The conversations of mailboxes that were looked at last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[Key, tuple[Key, Conversations]] = OrderedDict()

    def get(self, place: Key, state: Key) -> Conversations | None:
        """What is known of a place in this state."""
        with self._lock:
            found = self._known.get(place)
            if found is None or found[0] != state:
                return None
            self._known.move_to_end(place)
            return found[1]

    def put(self, place: Key, state: Key, found: Conversations) -> None:
        """Keep it; the place that was not looked at for longest is forgotten."""
        with self._lock:
            self._known[place] = (state, found)
            self._known.move_to_end(place)
            while len(self._known) > MAX_KEPT:
                self._known.popitem(last=False)


KEPT = Kept()
