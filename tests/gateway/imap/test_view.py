"""What two sessions are told of one mailbox that changes: a client that believes it never goes wrong."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.parser import BadCommand, Parser
from gateway.imap.view import Contents, Row, View

_LINE = re.compile(rb"\* (\d+) (?:(EXISTS|EXPUNGE)|FETCH \(UID (\d+) FLAGS \(([^)]*)\)\))\r\n")


class Truth:
    """The index."""

    def __init__(self) -> None:
        self.modseq = 1
        self.uidnext = 1
        self.rows: dict[int, Row] = {}
        self.tombstones: list[tuple[int, int]] = []

    def do(self, action: str, which: int) -> None:
        self.modseq += 1
        if action == "add":
            self.rows[self.uidnext] = Row(self.uidnext, self.modseq, b"", 10, 0.0)
            self.uidnext += 1
        elif self.rows:
            uid = sorted(self.rows)[which % len(self.rows)]
            if action == "expunge":
                del self.rows[uid]
                self.tombstones.append((uid, self.modseq))
            else:
                self.rows[uid] = self.rows[uid]._replace(modseq=self.modseq, flags=b"k%d" % self.modseq)

    def read(self, contents: Contents) -> None:
        since = contents.modseq
        rows = [row for _, row in sorted(self.rows.items()) if row.modseq > since]
        gone = [uid for uid, modseq in self.tombstones if modseq > since]
        contents.apply(rows, gone, uidnext=self.uidnext, modseq=self.modseq)


class Client:
    """Believes what it is told."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.uids = [message.uid for message in view.messages()]
        self.flags = {message.uid: message.flags for message in view.messages()}

    def sync(self, *, may_expunge: bool) -> None:
        told = self.view.changes(may_expunge=may_expunge)
        assert _LINE.sub(b"", told) == b""
        for number, word, uid, flags in _LINE.findall(told):
            if word == b"EXPUNGE":
                assert may_expunge
                del self.uids[int(number) - 1]
            elif word == b"EXISTS":
                assert int(number) > len(self.uids)
                new = range(len(self.uids) + 1, int(number) + 1)
                self.uids += [self.view.uid(number) for number in new]
                self.flags.update({message.uid: message.flags for message in self.view.messages(new)})
            else:
                assert self.uids[int(number) - 1] == int(uid)
                assert self.flags[int(uid)] != flags, "told twice"
                self.flags[int(uid)] = flags
        assert self.uids == [message.uid for message in self.view.messages()]


ACTIONS = st.tuples(st.sampled_from(["add", "add", "flag", "expunge", "read", "sync", "hold"]), st.integers(0, 50))


@given(st.lists(ACTIONS, max_size=60))
def test_a_client_that_believes_what_it_is_told_is_right(actions: list[tuple[str, int]]) -> None:
    truth = Truth()
    for _ in range(5):
        truth.do("add", 0)
    contents = Contents(("key", 1, ""), 1)
    truth.read(contents)
    clients = [Client(View(contents)), Client(View(contents))]
    for action, which in actions:
        if action == "read":
            truth.read(contents)
        elif action in ("sync", "hold"):
            clients[which % 2].sync(may_expunge=action == "sync")
        else:
            truth.do(action, which)
    truth.read(contents)
    for client in clients:
        client.sync(may_expunge=True)
        assert client.uids == sorted(truth.rows)
        assert {uid: client.flags[uid] for uid in client.uids} == {uid: row.flags for uid, row in truth.rows.items()}
        assert not client.view.is_pending


def test_a_session_far_behind_is_told_everything() -> None:
    contents = Contents(("key", 1, ""), 1)
    contents.apply([Row(uid, uid, b"", 1, 0.0) for uid in range(1, 10_001)], (), uidnext=10_001, modseq=10_000)
    client = Client(View(contents))
    for modseq in range(10_001, 18_001):
        row = Row(modseq - 10_000, modseq, b"k", 1, 0.0)
        contents.apply([row], (), uidnext=10_001, modseq=modseq)
    client.sync(may_expunge=True)
    assert sum(flags == b"k" for flags in client.flags.values()) == 8_000


def test_an_old_reading_changes_nothing() -> None:
    contents = Contents(("key", 1, ""), 1)
    contents.apply([Row(1, 1, b"", 1, 0.0), Row(2, 2, b"", 1, 0.0)], (), uidnext=3, modseq=2)
    contents.apply((), [2], uidnext=3, modseq=5)
    contents.apply([Row(2, 4, b"x", 1, 0.0)], (), uidnext=3, modseq=4)
    assert [message.uid for message in View(contents).messages()] == [1]


def test_a_new_message_that_changed_while_it_was_read() -> None:
    """`modseq` was read, then message 1 was flagged, then the rows were read."""
    contents = Contents(("key", 1, ""), 1)
    contents.apply([Row(1, 5, b"x", 1, 0.0), Row(2, 2, b"", 1, 0.0)], (), uidnext=3, modseq=2)
    view = View(contents)
    assert [(message.uid, message.flags) for message in view.messages()] == [(1, b"x"), (2, b"")]
    contents.apply([Row(1, 5, b"x", 1, 0.0)], (), uidnext=3, modseq=5)
    assert not contents.superseded
    contents.apply([Row(1, 6, b"y", 1, 0.0)], (), uidnext=3, modseq=6)
    assert view.changes(may_expunge=True) == b"* 1 FETCH (UID 1 FLAGS (y))\r\n"


def test_a_message_that_comes_back_between_others() -> None:
    contents = Contents(("key", 1, ""), 1)
    contents.apply([Row(1, 1, b"", 1, 0.0), Row(3, 3, b"", 1, 0.0)], (), uidnext=4, modseq=3)
    contents.apply([Row(2, 4, b"", 1, 0.0)], (), uidnext=4, modseq=4)
    assert contents.superseded


def test_what_a_session_did_itself_is_not_repeated() -> None:
    contents = Contents(("key", 1, ""), 1)
    contents.apply([Row(1, 1, b"", 1, 0.0), Row(2, 2, b"", 1, 0.0)], (), uidnext=3, modseq=2)
    own, other = View(contents), View(contents)
    contents.apply([Row(1, 3, b"x", 1, 0.0)], (), uidnext=3, modseq=3)
    own.tell([1])
    assert own.changes(may_expunge=True) == b""
    assert other.changes(may_expunge=True) == b"* 1 FETCH (UID 1 FLAGS (x))\r\n"
    contents.apply([Row(1, 4, b"y", 1, 0.0)], (), uidnext=3, modseq=4)
    assert own.changes(may_expunge=True, with_modseq=True) == b"* 1 FETCH (UID 1 FLAGS (y) MODSEQ (4))\r\n"


@pytest.mark.parametrize(
    ("text", "by_uid", "numbers"),
    [
        (b"1", False, [1]),
        (b"*", False, [4]),
        (b"*:3", False, [3, 4]),
        (b"2:1,2:3", False, [1, 2, 3]),
        (b"4,1,4", False, [1, 4]),
        (b"5", False, None),
        (b"1:5", False, None),
        (b"*:40", True, [4]),
        (b"1:9", True, []),
        (b"10:20", True, [1, 2]),
        (b"25:*", True, [3, 4]),
        (b"99:*", True, [4]),
        (b"1:4294967295", True, [1, 2, 3, 4]),
    ],
)
def test_sequence_sets(text: bytes, by_uid: bool, numbers: list[int] | None) -> None:
    contents = Contents(("key", 1, ""), 1)
    contents.apply([Row(uid, uid, b"", 1, 0.0) for uid in (10, 20, 30, 40)], (), uidnext=41, modseq=40)
    ranges = Parser((text,)).sequence_set()
    view = View(contents)
    if numbers is None:
        with pytest.raises(BadCommand):
            view.numbers(ranges, by_uid=by_uid)
    else:
        found = view.numbers(ranges, by_uid=by_uid)
        assert list(found) == numbers
        assert view.uids(found) == [number * 10 for number in numbers]


def test_an_empty_mailbox_has_no_last_message() -> None:
    view = View(Contents(("key", 1, ""), 1))
    with pytest.raises(BadCommand):
        view.numbers(((1, 0),), by_uid=False)
    assert list(view.numbers(((1, 0),), by_uid=True)) == []


def test_what_is_gone_is_shown_as_it_was_last() -> None:
    """Flags that were told do not become older ones because others have removed the message."""
    truth, contents = Truth(), Contents(("t:1", 1, ""), 7)
    for _ in range(3):
        truth.do("add", 0)
    truth.read(contents)
    behind = View(contents)
    truth.do("expunge", 0)
    truth.read(contents)
    truth.do("change", 0)  # UID 2, which the session knows as its number 2
    truth.read(contents)
    changed = truth.rows[2]
    assert b"UID 2 FLAGS (" + changed.flags in behind.changes(may_expunge=False)
    truth.do("expunge", 0)
    truth.read(contents)
    told = behind.message(2)
    assert (told.uid, told.modseq, told.flags) == (2, changed.modseq, changed.flags)
