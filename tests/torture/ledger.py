"""What is true of every mailbox, whoever asks: collected from the answers of all sessions, each checked against the others.

Everything happens in one thread, so what was answered before a command was sent has happened before it: `now` counts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


class Violation(AssertionError):
    """A session was told what cannot be."""


def must(is_true: object, *what: object) -> None:
    if not is_true:
        raise Violation(" ".join(map(str, what)))


@dataclass(slots=True)
class Mailbox:
    """One mailbox with one UIDVALIDITY, whatever it is called. `is_lasting`: nobody deletes or renames it."""

    name: str
    is_lasting: bool
    #: when a UID was first told of, and what message it is (b"" while nobody has read that)
    born: dict[int, int] = field(default_factory=dict)
    tokens: dict[int, bytes] = field(default_factory=dict)
    #: UIDs that APPENDUID or COPYUID gave
    given: set[int] = field(default_factory=set)
    #: when somebody was told that a UID is gone
    gone: dict[int, int] = field(default_factory=dict)
    #: UIDs that somebody wanted to go: \Deleted was asked for, or a move
    doomed: set[int] = field(default_factory=set)
    moved: set[int] = field(default_factory=set)
    #: (whose \Seen, UID, MODSEQ) -> flags
    states: dict[tuple[str, int, int], frozenset[bytes]] = field(default_factory=dict)
    #: (UID, MODSEQ) from which a STORE UNCHANGEDSINCE has changed something
    claims: set[tuple[int, int]] = field(default_factory=set)
    highest: int = 0
    uidnext: int = 1


class Ledger:
    def __init__(self, lasting: set[str]) -> None:
        self.lasting = lasting
        self.mailboxes: dict[tuple[bytes, int], Mailbox] = {}
        self._validity: dict[str, int] = {}
        self.now = 0
        #: how often a message may be somewhere because an answer was cut off
        self.maybe: Counter[bytes] = Counter()
        self.done: Counter[str] = Counter()

    def tick(self) -> int:
        self.now += 1
        return self.now

    def mailbox(self, name: str, identity: bytes, uidvalidity: int) -> Mailbox:
        """The mailbox that a SELECT has opened."""
        if name in self.lasting:
            known = self._validity.setdefault(name, uidvalidity)
            must(known == uidvalidity, name, "UIDVALIDITY was", known, "is", uidvalidity)
        key = identity, uidvalidity
        found = self.mailboxes.get(key)
        if found is None:
            found = self.mailboxes[key] = Mailbox(name, name in self.lasting)
        return found

    def named(self, name: str, uidvalidity: int) -> Mailbox | None:
        """The mailbox that APPENDUID or COPYUID tell of, None when nobody has opened it yet."""
        found = [box for (_, validity), box in self.mailboxes.items() if box.name == name and validity == uidvalidity]
        return found[0] if len(found) == 1 else None

    def give(self, box: Mailbox, uid: int, token: bytes, since: int) -> None:
        """A UID was given by a command that was sent at `since`."""
        must(uid not in box.given, box.name, "UID", uid, "was given twice")
        box.given.add(uid)
        last = max((known for known, born in box.born.items() if born < since), default=0)
        must(uid > last, box.name, "UID", uid, "given behind", last)
        self.see(box, uid, token)

    def see(self, box: Mailbox, uid: int, token: bytes = b"") -> None:
        """A UID exists, and stands for this message."""
        box.born.setdefault(uid, self.tick())
        if token:
            known = box.tokens.setdefault(uid, token)
            must(known == token, box.name, "UID", uid, "is", token, "and was", known)

    def vanish(self, box: Mailbox, uid: int) -> None:
        """Somebody was told that a UID is gone."""
        box.gone.setdefault(uid, self.tick())

    def check(self, box: Mailbox, there: dict[int, bytes], ours: bytes) -> None:
        """Nothing has been lost, and nothing is there that nobody has put there; `ours` begins what players put anywhere."""
        for uid in (box.born.keys() | box.given) - there.keys():
            is_explained = uid in box.doomed or self.maybe[box.tokens.get(uid, b"")] or self.maybe[b"?"]
            must(is_explained, box.name, "UID", uid, "has gone and nobody wanted that")
        for uid, token in there.items():
            is_explained = uid in box.given or self.maybe[token] or self.maybe[b"?"] or not token.startswith(ours)
            must(is_explained, box.name, "UID", uid, token, "is there and nobody has put it there")
            must(uid not in box.gone, box.name, "UID", uid, "had gone")

    def state(self, box: Mailbox, reader: str, uid: int, modseq: int, flags: frozenset[bytes]) -> None:
        """A message has these flags since this MODSEQ."""
        known = box.states.setdefault((reader, uid, modseq), flags)
        must(known == flags, box.name, "UID", uid, "MODSEQ", modseq, "has", set(flags), "and", set(known))
