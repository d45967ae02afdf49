"""What a mailbox holds, shared by all sessions of a process, and what one session has been told of it.

`Contents` keeps a mailbox as columns, about 30 octets a message, however many sessions look at it. Flags
change in place; new messages are appended; an expunge makes new columns, and sessions that have not been told
yet keep the old ones for their numbering. A `View` is a session's place in that: which columns its message
numbers mean, how many messages and changes up to which MODSEQ it was told (RFC 3501 2.3.1.2, 7.4.1).

Everything here runs in one thread. What is applied is always read from the index, never a hint.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from gateway.imap.flags import SEEN, has_flag
from gateway.imap.parser import SAVED, BadCommand, Ranges
from gateway.imap.sets import lines_of, runs_of

#: flag changes remembered to be told; a session that is further behind compares every MODSEQ
MAX_LOG = 4096


class Message(NamedTuple):
    """A message as a session sees it. `flags` is what FETCH shows, `size` counts octets on the wire."""

    number: int
    uid: int
    modseq: int
    flags: bytes
    size: int
    internaldate: float


class Row(NamedTuple):
    """A message as it is read from the index."""

    uid: int
    modseq: int
    flags: bytes
    size: int
    internaldate: float


class _Step:
    """What lies between columns and those that followed them: so that old columns need not be kept for it."""

    __slots__ = ("following", "removed")

    def __init__(self) -> None:
        #: UID -> (MODSEQ, flags) of what was removed, as it was last
        self.removed: Mapping[int, tuple[int, bytes]] = {}
        self.following: _Step | None = None


class Columns:
    """The messages of a mailbox by UID, a column a field."""

    __slots__ = ("dates", "flags", "modseqs", "sizes", "step", "uids")

    def __init__(self) -> None:
        self.step = _Step()
        self.uids = array("I")
        self.modseqs = array("Q")
        self.flags: list[bytes] = []
        self.sizes = array("Q")
        self.dates = array("d")

    def extend(
        self,
        uids: Iterable[int],
        modseqs: Iterable[int],
        flags: Iterable[bytes],
        sizes: Iterable[int],
        dates: Iterable[float],
    ) -> None:
        """Append many rows, given by column."""
        self.uids.extend(uids)
        self.modseqs.extend(modseqs)
        self.flags.extend(flags)
        self.sizes.extend(sizes)
        self.dates.extend(dates)

    def append(self, row: Row) -> None:
        self.uids.append(row.uid)
        self.modseqs.append(row.modseq)
        self.flags.append(row.flags)
        self.sizes.append(row.size)
        self.dates.append(row.internaldate)

    def index(self, uid: int) -> int:
        """Where `uid` stands, -1 when it does not."""
        at = bisect_left(self.uids, uid)
        return at if at < len(self.uids) and self.uids[at] == uid else -1

    def without(self, indexes: Collection[int]) -> Columns:
        """A copy that lacks some rows, and follows."""
        kept, start = Columns(), 0
        for end in (*sorted(indexes), len(self.uids)):
            for name in ("uids", "modseqs", "flags", "sizes", "dates"):
                getattr(kept, name).extend(getattr(self, name)[start:end])
            start = end + 1
        self.step.removed = {self.uids[at]: (self.modseqs[at], self.flags[at]) for at in indexes}
        self.step.following = kept.step
        return kept


class Contents:
    """One mailbox: every change up to `modseq` is in it. `key` is (account, mailbox id,
    whose \\Seen it shows where each reader has an own one)."""

    __slots__ = (
        "__weakref__",
        "_log",
        "_log_from",
        "_summary",
        "columns",
        "hinted",
        "key",
        "looked",
        "modseq",
        "superseded",
        "uidnext",
        "uidvalidity",
    )

    def __init__(self, key: tuple[str, int, str], uidvalidity: int) -> None:
        self.key = key
        self.uidvalidity = uidvalidity
        self.uidnext = 1
        self.modseq = 0
        #: a change up to here was hinted at
        self.hinted = 0
        #: when its files were looked at last, by its owner's clock
        self.looked = float("-inf")
        #: a message came back between others (after a crash): no session can be told, it has to open anew
        self.superseded = False
        self.columns = Columns()
        self._log: deque[tuple[int, int]] = deque(maxlen=MAX_LOG)
        self._log_from = 0
        self._summary: tuple[int, bytes, int] | None = None

    def __len__(self) -> int:
        return len(self.columns.uids)

    def fill(self, columns: Columns, *, uidnext: int, modseq: int) -> None:
        """Begin with a whole mailbox, complete up to `modseq`. Only for contents that nothing was applied to."""
        self.columns = columns
        # a message that came after UIDNEXT was read is here already
        self.uidnext = max(uidnext, columns.uids[-1] + 1 if columns.uids else 0)
        self.modseq = self._log_from = modseq

    def apply(self, rows: Iterable[Row], gone: Iterable[int], *, uidnext: int, modseq: int) -> None:
        """Take over what changed since `self.modseq`, complete up to `modseq`: rows by UID, expunged UIDs.

        What is older than what is known already is ignored.
        """
        if modseq < self.modseq or (modseq == self.modseq and self.modseq):
            return
        first = not self.modseq
        columns = self.columns
        changed: list[tuple[int, int]] = []
        last = columns.uids[-1] if columns.uids else 0
        for row in rows:
            if row.uid > last:
                columns.append(row)  # even one that has changed since `modseq` was read: it must not come later
                last = row.uid
            elif row.modseq > modseq:
                continue  # it comes with the next change
            elif (at := columns.index(row.uid)) >= 0 and row.modseq > columns.modseqs[at]:
                columns.modseqs[at] = row.modseq
                columns.flags[at] = row.flags
                changed.append((row.modseq, row.uid))
            elif at < 0:
                self.superseded = True
        removed = {at for uid in gone if (at := columns.index(uid)) >= 0}
        if removed:
            self.columns = columns.without(removed)
        if first:
            self._log_from = modseq
        elif changed:
            changed.sort()
            if len(self._log) + len(changed) > MAX_LOG:
                kept = (*self._log, *changed)[-MAX_LOG:]
                self._log_from = kept[0][0]  # of this MODSEQ some may be missing
                self._log.clear()
                self._log.extend(change for change in kept if change[0] > self._log_from)
            else:
                self._log.extend(changed)
        self.uidnext = max(self.uidnext, uidnext, last + 1)
        self.modseq = modseq

    def changed_since(self, modseq: int) -> Iterable[int]:
        """UIDs of messages whose flags changed after `modseq`, each once, by UID; new ones may be among them."""
        if modseq >= self.modseq:
            return ()
        if modseq < self._log_from:
            columns = self.columns
            return [uid for uid, changed in zip(columns.uids, columns.modseqs, strict=True) if changed > modseq]
        found: set[int] = set()
        for changed, uid in reversed(self._log):
            if changed <= modseq:
                break
            found.add(uid)
        return sorted(found)

    def first_unseen(self) -> int:
        """The number of the first message without \\Seen, 0 when there is none."""
        flags = self.columns.flags
        return min((flags.index(text) + 1 for text in set(flags) if SEEN not in text.split()), default=0)

    def summary(self) -> tuple[bytes, int]:
        """What SELECT tells of flags: every keyword, and `first_unseen`. Made once for each state."""
        if self._summary is None or self._summary[0] != self.modseq:
            self._summary = (self.modseq, b" ".join(sorted(self.keywords())), self.first_unseen())
        return self._summary[1:]

    def flagged(self, flag: bytes) -> list[int]:
        """The UIDs of all messages with a flag."""
        texts = {text for text in set(self.columns.flags) if has_flag(text, flag)}
        return [uid for uid, text in zip(self.columns.uids, self.columns.flags, strict=True) if text in texts]

    def keywords(self) -> set[bytes]:
        """Every keyword that some message has."""
        return {flag for text in set(self.columns.flags) for flag in text.split() if not flag.startswith(b"\\")}


class View:
    """A session's view of a mailbox. Message numbers begin with 1."""

    __slots__ = ("_columns", "_own", "contents", "count", "saved", "told", "visited")

    def __init__(self, contents: Contents, *, is_visited: bool = False) -> None:
        self.contents = contents
        #: the contents where the mailbox is not the selected one
        self.visited = contents if is_visited else None
        self._columns = contents.columns
        self.count = len(contents)
        #: changes of flags up to this MODSEQ are told
        self.told = contents.modseq
        self._own: dict[int, int] = {}
        #: UIDs that `$` stands for, ascending; those of messages that are gone mean nothing
        self.saved: Sequence[int] = ()

    @property
    def is_stale(self) -> bool:
        """True when there was a hint of a change that is not in the contents yet."""
        return self.contents.hinted > self.contents.modseq

    @property
    def is_pending(self) -> bool:
        """True when there is, or may be, something to tell."""
        contents = self.contents
        return (
            self.told != contents.modseq
            or self._columns is not contents.columns
            or self.count != len(contents)
            or self.is_stale
        )

    @property
    def is_expunging(self) -> bool:
        """True when something is expunged that was not told."""
        return self._columns is not self.contents.columns

    # numbers and UIDs

    def number(self, uid: int) -> int:
        """The number of the message with this UID, 0 when the session knows none."""
        at = bisect_left(self._columns.uids, uid, 0, self.count)
        return at + 1 if at < self.count and self._columns.uids[at] == uid else 0

    def uid(self, number: int) -> int:
        return self._columns.uids[number - 1]

    @property
    def last_uid(self) -> int:
        """The greatest UID the session knows, 0 when there is no message."""
        return self._columns.uids[self.count - 1] if self.count else 0

    def spans(self, ranges: Ranges, *, by_uid: bool) -> list[range]:
        """The messages a sequence set means, as ranges of numbers: ascending, none twice.

        UIDs that do not exist are ignored, a number that does not is an error (RFC 9051 9). Raises BadCommand.
        """
        if ranges is SAVED:
            ranges, by_uid = tuple([(uid, uid) for uid in self.saved]), True
        top = self.last_uid if by_uid else self.count
        pairs: list[tuple[int, int]] = []
        for first, last in ranges:
            low, high = sorted((first or top, last or top))
            if by_uid:
                low = bisect_left(self._columns.uids, low, 0, self.count) + 1
                high = bisect_right(self._columns.uids, high, 0, self.count)
            elif not 0 < low <= high <= self.count:
                raise BadCommand("there is no message of that number")
            if low <= high:
                pairs.append((low, high))
        pairs.sort()
        merged: list[range] = []
        for low, high in pairs:
            if merged and low <= merged[-1].stop:
                merged[-1] = range(merged[-1].start, max(merged[-1].stop, high + 1))
            else:
                merged.append(range(low, high + 1))
        return merged

    def numbers(self, ranges: Ranges, *, by_uid: bool) -> Sequence[int]:
        """The message numbers a sequence set means, ascending. Raises BadCommand."""
        spans = self.spans(ranges, by_uid=by_uid)
        return spans[0] if len(spans) == 1 else [number for span in spans for number in span]

    def uids(self, numbers: Iterable[int]) -> list[int]:
        """The UIDs of messages."""
        if isinstance(numbers, range) and numbers.step == 1:
            return self._columns.uids[numbers.start - 1 : numbers.stop - 1].tolist() if numbers else []
        uids = self._columns.uids
        return [uids[number - 1] for number in numbers]

    # messages

    def message(self, number: int) -> Message:
        """The message as it is now; of one expunged meanwhile what was known last."""
        return next(self.messages((number,)))

    def messages(self, numbers: Sequence[int] | None = None) -> Iterator[Message]:
        """Messages by number (all when None), each as it is when it is reached."""
        columns, contents = self._columns, self.contents
        for number in range(1, self.count + 1) if numbers is None else numbers:
            at = number - 1
            uid, now = columns.uids[at], columns
            if contents.columns is not columns:
                if (moved := contents.columns.index(uid)) >= 0:
                    at, now = moved, contents.columns
                else:
                    modseq, flags = self._last_of(uid)
                    yield Message(number, uid, modseq, flags, now.sizes[at], now.dates[at])
                    continue
            yield Message(number, uid, now.modseqs[at], now.flags[at], now.sizes[at], now.dates[at])

    def _last_of(self, uid: int) -> tuple[int, bytes]:
        """MODSEQ and flags of a message that is expunged: it may have changed since these columns were left behind."""
        step = self._columns.step
        while uid not in step.removed and step.following is not None:
            step = step.following
        return step.removed[uid]

    def still_there(self, numbers: Sequence[int]) -> Sequence[int]:
        """Those of the messages that are not expunged, whether the session knows or not."""
        columns = self.contents.columns
        if columns is self._columns:
            return numbers
        return [number for number in numbers if columns.index(self.uid(number)) >= 0]

    # what has to be told

    def tell(self, uids: Iterable[int]) -> None:
        """The session is being told the present flags of these messages: `changes` does not repeat them."""
        columns = self.contents.columns
        for uid in uids:
            at = columns.index(uid)
            if at >= 0 and columns.modseqs[at] > self.told:
                self._own[uid] = columns.modseqs[at]

    def tell_shown(self, messages: Iterable[Message]) -> None:
        """The session is being told these flags, which need not be the present ones any more when it reads them."""
        for message in messages:
            if message.modseq > self.told:
                self._own[message.uid] = message.modseq

    def changes(
        self, *, may_expunge: bool, with_modseq: bool = False, by_uid: bool = False, uid_only: bool = False
    ) -> bytes:
        """Untagged EXPUNGE (VANISHED with `by_uid`), FETCH (UIDFETCH with `uid_only`) and EXISTS for what the session does not know yet; from then on it does.

        While a command with message numbers runs no EXPUNGE may be sent (RFC 3501 7.4.1), nor then EXISTS,
        since the new messages' numbers would be wrong.
        """
        contents = self.contents
        out: list[bytes] = []
        if may_expunge and self._columns is not contents.columns:
            self._expunge(out, by_uid=by_uid)
        for uid in contents.changed_since(self.told):
            number = self.number(uid)
            at = contents.columns.index(uid)
            if number and at >= 0 and self._own.get(uid) != contents.columns.modseqs[at]:
                modseq = b" MODSEQ (%d)" % contents.columns.modseqs[at] if with_modseq else b""
                head = b"* %d UIDFETCH (" % uid if uid_only else b"* %d FETCH (UID %d " % (number, uid)
                out.append(b"%bFLAGS (%b)%b)\r\n" % (head, contents.columns.flags[at], modseq))
        self._own.clear()
        self.told = contents.modseq
        if self._columns is contents.columns and self.count != len(contents):
            self.count = len(contents)
            out.append(b"* %d EXISTS\r\n" % self.count)
        return b"".join(out)

    def _expunge(self, out: list[bytes], *, by_uid: bool) -> None:
        step, numbers = self._columns.step, []
        while step.following is not None:
            numbers += [number for number in map(self.number, step.removed) if number]
            step = step.following
        numbers.sort(reverse=True)
        if by_uid and numbers:
            out += lines_of(b"* VANISHED ", runs_of(self.uids(numbers[::-1])))
        elif not by_uid:
            out.extend(b"* %d EXPUNGE\r\n" % number for number in numbers)
        self._columns = self.contents.columns
        self.count -= len(numbers)
