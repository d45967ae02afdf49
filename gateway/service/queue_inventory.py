"""What is in the queue, as its runner knows it: files that came in, and rows of queue.db.

A message that came in is tried first and written down with the outcome; it gets rows before that only where it cannot
be tried soon, where an operator asks for it, or where more came in than are kept in mind. All that is known here and
not written is found again by a look at the folder.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from directory.model import Deferred
from gateway.observe.log import fields
from gateway.queue.file import Damaged, Newer, QueuedEnvelope, QueueFolder
from gateway.queue.state import TRYING, WAITING, Arrived, QueueState

LOOK_SECONDS = 60.0  # a lost wake-up costs this much
LOOK_AGAIN_SECONDS = 0.2  # between looks that somebody wants
LOOK_SHARE = 20.0  # and so many times as long as the last one took
TIDY_SECONDS = 1.0  # rows of files that are gone stay no longer than this without need
BATCH = 1000  # messages that are noted in one transaction
NEW_MAX = 1000  # messages that came in and of which nothing is written yet
READ_AT_ONCE = 200  # files that a look found are read without letting others work
_log = logging.getLogger("gatepost.queue")


@dataclass(slots=True)
class Later:
    """A message that is put off and not written down yet: until when and why, and the envelope of one without rows."""

    until: float
    why: str
    envelope: QueuedEnvelope | None


def _arrived(message: str, envelope: QueuedEnvelope, now: float) -> Arrived:
    """All rows of a message, due as soon as it may be tried."""
    return Arrived(message, len(envelope.targets), max(now, envelope.not_before), owner=envelope.owner)


class QueueInventory:
    """In the runner's event loop."""

    def __init__(self, folder: QueueFolder, state: QueueState, clock: Callable[[], float]) -> None:
        self._folder, self._state, self._clock = folder, state, clock
        #: every message that is in hand or has rows
        self.known: set[str] = set()
        #: of these, those without rows: they came in, and their first attempt has not ended
        self.unwritten: set[str] = set()
        #: of these, those that are not begun
        self.new: deque[str] = deque()
        #: files that a look found and nobody has read
        self.found: deque[str] = deque()
        #: what is put off and not written down yet
        self.later: dict[str, Later] = {}
        #: messages in an attempt, or put off without being written down
        self.busy: set[str] = set()
        #: files that are gone; their rows go with the next batch
        self.gone: list[str] = []
        #: finished, but the file could not be removed
        self.left_over: set[str] = set()
        #: when queue.db may have something that is due and not in hand
        self.due_at = 0.0
        #: somebody came whose name was lost
        self.wants_look = True
        self._looked, self._look_costs = float("-inf"), 0.0
        self._tidied = 0.0

    def recover(self) -> None:
        """At the start of a runner. Raises Deferred."""
        self._state.recover(self._clock())
        self.known.update(self._state.messages())
        # cut off in its first attempt, it has no rows by which a look would miss its file
        if begun := self._state.begun():
            self._state.forget(begun - self._folder.ids())
        for message in self._state.finished():
            self.remove(message)

    def look(self) -> None:
        """Find files that came in without notice; drop rows whose file is gone. Raises Deferred, OSError."""
        began = time.monotonic()
        # a name that is known is not kept a second time: there may be a hundred thousand
        missing, found = self.known.copy(), []
        for name in self._folder.names():
            if name in self.known:
                missing.discard(name)
            else:
                found.append(name)
        for message in self._state.claimed():
            if message not in self.busy:  # its outcome could not be written
                self._state.change(message, TRYING, WAITING, self._clock())
        for message in sorted(self.left_over - missing - self.busy):
            self.left_over.discard(message)
            self.remove(message)
        self.found = deque(found)
        self.gone.extend(missing - self.busy)
        self.forget()
        self.due_at, self.wants_look = 0.0, False
        self._looked, self._look_costs = time.monotonic(), time.monotonic() - began

    def may_look(self) -> bool:
        """A long look is not repeated at once."""
        wait = max(self._look_costs * LOOK_SHARE, LOOK_AGAIN_SECONDS) if self.wants_look else LOOK_SECONDS
        return time.monotonic() - self._looked >= wait

    def begin_found(self) -> None:
        """Take files that a look found as if they had been named, as far as there is room."""
        while self.found and len(self.new) < NEW_MAX:
            self.wake([self.found.popleft()])

    def read_found(self) -> None:
        """Make rows for some of the files that a look found."""
        some = [self.found.popleft() for _ in range(min(READ_AT_ONCE, len(self.found)))]
        try:
            self._came(some)
        except Deferred:
            self.wants_look = True
            raise

    def _came(self, messages: Iterable[str]) -> None:
        """Make rows for these files. What cannot be read now is looked at again; a damaged one is held."""
        arrived: list[Arrived] = []
        damaged: dict[str, str] = {}
        now = self._clock()
        for message in messages:
            if message in self.known:
                continue
            try:
                envelope = self._folder.read(message)
            except FileNotFoundError:
                continue
            except (Newer, OSError) as error:
                _log.error("%s", fields(id=message, event="queue-file-unread", detail=str(error)))
                continue
            except Damaged as error:
                damaged[message] = str(error)
                arrived.append(Arrived(message, 1, now))
                continue
            arrived.append(_arrived(message, envelope, now))
        if arrived:
            self._state.add(arrived)
            self.known.update(each.message for each in arrived)
            self.expect(min(each.due for each in arrived))
        for message, why in damaged.items():
            self.hold_damaged(message, why)

    def hold_damaged(self, message: str, why: str) -> None:
        """An administrator decides about a file that cannot be read."""
        _log.error("%s", fields(id=message, event="queue-file-damaged", detail=why))
        self.make_rows(message)
        self._state.hold(message, f"damaged: {why}")

    def make_rows(self, message: str) -> None:
        """Rows for a message that has none, as far as it can be read; what they lack is found when it is read."""
        if message not in self.unwritten:
            return
        now = self._clock()
        try:
            arrived = _arrived(message, self._folder.read(message), now)
        except Exception:  # the file, or the bug of ours that brought us here
            arrived = Arrived(message, 1, now)
        self._add(arrived)

    def add_rows(self, message: str, envelope: QueuedEnvelope, now: float) -> None:
        """The rows that a message has not, and what they lack. Raises Deferred."""
        self._add(_arrived(message, envelope, now))

    def _add(self, arrived: Arrived) -> None:
        self._state.add([arrived])
        self.unwritten.discard(arrived.message)
        self.expect(arrived.due)

    def tidy(self) -> None:
        """Write down what may wait for others of its kind, but not for long."""
        if max(len(self.gone), len(self.later)) >= BATCH or time.monotonic() - self._tidied >= TIDY_SECONDS:
            self._tidied = time.monotonic()
            self.write_later()
            self.forget()

    def forget(self) -> None:
        """Drop the rows of what is gone."""
        if self.gone:
            self._state.forget(self.gone)
            self.known.difference_update(self.gone)
            self.unwritten.difference_update(self.gone)
            self.gone = []

    def wake(self, messages: Sequence[str] = ("",)) -> None:
        """These messages came in (a name with a slash is none); "" = look for yourself, none = queue.db was changed."""
        for message in messages:
            if not message or (message not in self.known and len(self.new) >= NEW_MAX):
                self.wants_look = True
            elif "/" not in message and message not in self.known:
                self.known.add(message)
                self.unwritten.add(message)
                self.new.append(message)
        if not messages:
            self.due_at = 0.0

    def write_down(self, message: str) -> None:
        """Make rows for a message that waits for its first attempt, so that an operator can decide about it. Raises
        Deferred, Damaged, OSError."""
        if message in self.unwritten and message not in self.busy:
            self.add_rows(message, self._folder.read(message), self._clock())

    def write_later(self) -> None:
        """Write down what was put off, many at a time."""
        if not self.later:
            return
        new = [
            Arrived(message, len(each.envelope.targets), each.until, each.why, each.envelope.owner)
            for message, each in self.later.items()
            if each.envelope is not None
        ]
        old = [(message, each.until, each.why) for message, each in self.later.items() if each.envelope is None]
        if new:
            self._state.add(new)
            self.unwritten.difference_update(each.message for each in new)
        if old:
            self._state.postpone(old, self._clock())
        self.expect(min(each.until for each in self.later.values()))
        self.busy.difference_update(self.later)
        self.later = {}

    def is_tried(self, message: str) -> bool:
        """True while an attempt at a message is under way: it may be delivered at any instant."""
        return message in self.busy and message not in self.later

    def put_off(self, message: str, until: float, why: str, envelope: QueuedEnvelope | None) -> None:
        """It cannot be tried before `until`; `envelope` of one without rows. Written down with others of its kind."""
        self.later[message] = Later(until, why, envelope)

    def expect(self, due: float) -> None:
        """Something in queue.db is due then."""
        self.due_at = min(self.due_at, due)

    def owe_later(self, message: str, seconds: float) -> None:
        """The reports that it owes are made then."""
        due = self._clock() + seconds
        self._state.owe_later(message, due)
        self.expect(due)

    def remove(self, message: str) -> None:
        """The file of a finished message; its rows go with the next batch. One that stays is tried again at a look."""
        try:
            self._folder.remove(message)
        except OSError as error:
            self.say_trouble(error, message)
            self.left_over.add(message)
        else:
            self.gone.append(message)

    def drop(self, message: str) -> None:
        """Take out a message of which no attempt is under way; nobody gets it. Raises OSError, Deferred."""
        self._folder.remove(message)
        if self.later.pop(message, None) is not None:
            self.busy.discard(message)
        self.unwritten.discard(message)  # what is not written is not tried
        self._state.forget([message])
        self.known.discard(message)

    @staticmethod
    def say_trouble(error: Exception, message: str | None = None) -> None:
        _log.error("%s", fields(id=message, event="queue-trouble", detail=str(error)))
