"""A mail program that believes what it is told: numbers, UIDs and flags of the selected mailbox, from responses alone."""

from __future__ import annotations

import re

from ledger import Ledger, Mailbox, must

_NUMBERED = re.compile(rb"^\* (\d+) (EXPUNGE|EXISTS|FETCH \()")
_VANISHED = re.compile(rb"^\* VANISHED (\(EARLIER\) )?([\d:,]+)$")
_UID = re.compile(rb"[( ]UID (\d+)")
_FLAGS = re.compile(rb"[( ]FLAGS \(([^)]*)\)")
_MODSEQ = re.compile(rb"[( ]MODSEQ \((\d+)\)")
_TOKEN = re.compile(rb"X-Torture: ([\w.-]+)")
#: while these run numbers stay as they are (RFC 9051 7.5.1; RFC 5256 has it so for its own)
KEEPING = ("FETCH", "STORE", "SEARCH", "SORT", "THREAD")


def numbers_of(text: bytes) -> list[int]:
    """The numbers of a set without `*`, in its order."""
    found: list[int] = []
    for part in text.split(b","):
        low, _, high = part.partition(b":")
        first, last = int(low), int(high or low)
        found += range(first, last + 1) if first <= last else range(first, last - 1, -1)
    return found


class Believer:
    """The selected mailbox as one session knows it. `cache` is what it keeps between two SELECTs."""

    def __init__(self, ledger: Ledger, box: Mailbox, *, reader: str, qresync: bool) -> None:
        self.ledger, self.box, self.reader, self.qresync = ledger, box, reader, qresync
        self.uids: list[int] = []
        self.flags: dict[int, frozenset[bytes]] = {}
        self.modseqs: dict[int, int] = {}
        self.highest = 0  # all changes up to here are known
        self.seen_modseq = 0  # the highest MODSEQ of a FETCH
        self.is_selecting = True
        self.early: set[int] = set()
        self.is_free = False  # NOTIFY tells of the selected mailbox at any time

    def restore(self, uids: list[int], flags: dict[int, frozenset[bytes]], modseq: int) -> None:
        """Begin with what was known before."""
        self.early, self.flags, self.highest = set(uids), dict(flags), modseq

    def begun(self, uidnext: int) -> None:
        """SELECT has told all it has to: what was known before, without what vanished and with what is told, is there."""
        if not self.is_selecting:
            return
        self.is_selecting, exists = False, len(self.uids)
        must(all(uid < uidnext for uid in self.uids), self.box.name, "UIDNEXT", uidnext, "and a UID", self.uids)
        if self.early:
            known = sorted(self.early)
            must(len(known) == exists, self.box.name, "after QRESYNC", len(known), "known and", exists, "there:", known)
            told = {n: uid for n, uid in enumerate(self.uids, 1) if uid}
            must(all(known[n - 1] == uid for n, uid in told.items()), self.box.name, "QRESYNC numbers", told, known)
            self.uids = known

    def unknown(self) -> int:
        """The first number whose UID is not known, 0 when all are."""
        return self.uids.index(0) + 1 if 0 in self.uids else 0

    def hear(self, line: bytes, command: str) -> bool:
        """Take an untagged response in, while `command` runs ("" between commands). True when it was about the mailbox."""
        match = _NUMBERED.match(line)
        if match is None:
            return self._vanished(line, command)
        number, kind = int(match[1]), match[2]
        if kind == b"EXISTS":
            must(number >= len(self.uids), "EXISTS shrinks from", len(self.uids), "to", number, "in", command)
            self.uids += [0] * (number - len(self.uids))
        elif kind == b"EXPUNGE":
            self._may_expunge(line, command)
            must(not self.qresync, "EXPUNGE after ENABLE QRESYNC")
            must(1 <= number <= len(self.uids), "EXPUNGE of an unknown number", line, "of", len(self.uids))
            self._forget(self.uids.pop(number - 1))
        else:
            self._fetched(number, line, command)
        return True

    def _may_expunge(self, line: bytes, command: str) -> None:
        must(command not in KEEPING, line, "while", command, "runs")
        must(command or self.is_free, line, "while no command runs")

    def _vanished(self, line: bytes, command: str) -> bool:
        match = _VANISHED.match(line)
        if match is None:
            return False
        must(self.qresync, "VANISHED without QRESYNC")
        gone = numbers_of(match[2])
        must(len(set(gone)) == len(gone), "a UID vanishes twice", line)
        if match[1]:
            must(self.is_selecting or command == "UID FETCH", "EARLIER in", command)
            for uid in gone:
                if self.is_selecting:
                    self.early.discard(uid)
                must(uid not in self.uids, "EARLIER is one that has a number", uid)
            return True
        self._may_expunge(line, command)
        for uid in gone:
            if uid in self.uids:
                self.uids.remove(uid)
            else:
                # one of those that were told of by EXISTS only, between its neighbours
                at = 1 + max((n for n, known in enumerate(self.uids) if 0 < known < uid), default=-1)
                must(at < len(self.uids) and not self.uids[at], "VANISHED of an unknown UID", uid, self.uids)
                del self.uids[at]
            self._forget(uid)
        return True

    def _forget(self, uid: int) -> None:
        if uid:
            self.flags.pop(uid, None)
            self.modseqs.pop(uid, None)
            self.ledger.vanish(self.box, uid)

    def _fetched(self, number: int, line: bytes, command: str) -> None:
        must(1 <= number <= len(self.uids), "FETCH of an unknown number", line, "of", len(self.uids))
        if (told := _UID.search(line)) is not None:
            uid = int(told[1])
            must(self.uids[number - 1] in (0, uid), "number", number, "was", self.uids[number - 1], "is", uid, command)
            self.uids[number - 1] = uid
            below = max((known for known in self.uids[: number - 1] if known), default=0)
            above = min((known for known in self.uids[number:] if known), default=uid + 1)
            must(below < uid < above, "UIDs do not ascend at", number, below, uid, above)
            if self.is_selecting and self.early:
                self.early.add(uid)
            token = _TOKEN.search(line)
            self.ledger.see(self.box, uid, token[1] if token is not None else b"")
        uid, flags, modseq = self.uids[number - 1], _FLAGS.search(line), _MODSEQ.search(line)
        if modseq is not None:
            at = int(modseq[1])
            self.seen_modseq = max(self.seen_modseq, at)
            if uid:
                must(
                    at >= self.modseqs.get(uid, 0), "MODSEQ of UID", uid, "falls to", at, "from", self.modseqs.get(uid)
                )
                self.modseqs[uid] = at
        if flags is not None and uid:
            self.flags[uid] = frozenset(flags[1].lower().split())
            if modseq is not None:
                self.ledger.state(self.box, self.reader, uid, int(modseq[1]), self.flags[uid])
