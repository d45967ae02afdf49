"""Results that are kept up to date (RFC 5267 4.3): what comes to and goes from a search is told as it happens.

A context lives as long as its mailbox is selected. What is expunged leaves it before the EXPUNGE, what has changed or come
is tested again after FETCH and EXISTS were told. Keys that time alone makes true or false are refused (NOUPDATE).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from gateway.ask import Dialogue
from gateway.imap.content import Candidates
from gateway.imap.progress import Progress
from gateway.imap.search_keys import Keys, Test
from gateway.imap.sets import set_of
from gateway.imap.view import View

MAX_CONTEXTS = 16  # of one session
MAX_RESULTS = 100_000  # of one context
#: {UID: its value of each key} of messages, by number, and UIDs in order by such values
Values: TypeAlias = Callable[[Sequence[int]], Dialogue]
Ordered: TypeAlias = Callable[[dict[int, Any]], list[int]]


@dataclass(slots=True)
class Context:
    """One search and what was found so far; `values` of a SORT are what its results are put in order by."""

    tag: bytes
    by_uid: bool
    keys: Keys
    test: Test
    find: Callable[[View, Keys, Test, Progress], Dialogue]
    #: UIDs: in the order of SORT, else ascending
    results: list[int]
    #: tested are all changes up to this MODSEQ, and the messages up to this UID
    modseq: int
    last_uid: int
    values: dict[int, Any] = field(default_factory=dict)
    values_of: Values | None = None
    ordered: Ordered | None = None

    def leaving(self, view: View) -> Iterator[bytes]:
        """What is expunged and not told yet, with the numbers that it still has."""
        if not view.is_expunging:
            return
        columns = view.contents.columns
        gone = [uid for uid in self.results if columns.index(uid) < 0]
        if gone:
            yield from self._told(view, b"REMOVEFROM", self._take_out(gone))

    def update(self, view: View) -> Dialogue:
        """Test again what has changed, and tell what that changes. Raises Deferred; then it is tested again later."""
        contents = view.contents
        modseq, last_uid = contents.modseq, view.last_uid
        changed = {uid for uid in contents.changed_since(self.modseq) if uid <= last_uid}
        if last_uid > self.last_uid:
            changed.update(view.uids(view.numbers(((self.last_uid + 1, last_uid),), by_uid=True)))
        numbers = sorted(number for number in map(view.number, changed) if number)
        if numbers:
            self.keys.candidates = Candidates()
            self.keys.within = [range(number, number + 1) for number in numbers]
            found = yield from self.find(view, self.keys, self.test, Progress(self.tag))
            match = set(view.uids(found))
            before = set(self.results)
            out = sorted((before & changed) - match)
            new = sorted(match - before)
            if out:
                yield from self._told(view, b"REMOVEFROM", self._take_out(out))
            if new:
                if self.values_of is not None:
                    self.values.update((yield from self.values_of([view.number(uid) for uid in new])))
                yield from self._told(view, b"ADDTO", self._put_in(new))
        self.modseq, self.last_uid = modseq, max(last_uid, self.last_uid)

    def _take_out(self, uids: Sequence[int]) -> list[tuple[int, int]]:
        """(place, UID), each place as it is when those before it are gone; place 0 where there is no order."""
        gone = set(uids)
        places = [(at, uid) for at, uid in enumerate(self.results, 1) if uid in gone] if self.ordered else []
        self.results = [uid for uid in self.results if uid not in gone]
        for uid in gone:
            self.values.pop(uid, None)
        if not self.ordered:
            return [(0, uid) for uid in uids]
        return [(at - before, uid) for before, (at, uid) in enumerate(places)]

    def _put_in(self, uids: Sequence[int]) -> list[tuple[int, int]]:
        """(place, UID), ascending, so that each is right when it is put in."""
        if self.ordered is None:
            self.results = sorted((*self.results, *uids))
            return [(0, uid) for uid in uids]
        new = set(uids)
        self.results = self.ordered(self.values)
        return [(at, uid) for at, uid in enumerate(self.results, 1) if uid in new]

    def _told(self, view: View, what: bytes, items: Sequence[tuple[int, int]]) -> Iterator[bytes]:
        shown = [(place, uid if self.by_uid else view.number(uid)) for place, uid in items]
        shown = [(place, each) for place, each in shown if each]
        if not shown:
            return
        if self.ordered is None:
            said = b"0 " + set_of([each for _, each in shown]).encode()
        else:
            said = b" ".join([b"%d %d" % item for item in shown])
        kind = b" UID" if self.by_uid else b""
        yield b"* ESEARCH (TAG %b)%b %b (%b)\r\n" % (quoted_tag(self.tag), kind, what, said)


def quoted_tag(tag: bytes) -> bytes:
    """A tag as a string."""
    return b'"%b"' % tag.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
