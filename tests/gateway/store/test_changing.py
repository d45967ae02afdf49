"""COPY, MOVE, EXPUNGE and APPEND: rows and files agree, and what a crash leaves is put right."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from store_bench import BODY, Bench, person

from directory.model import Condition, Deferred, MailboxHolder, Refused
from gateway.store.errors import NoSuchMailbox
from gateway.store.repository import Limits

ANN = person()
BOB = person("bob")


@pytest.fixture(params=["sqlite", "memory"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return Bench(tmp_path, request.param)


def used(bench: Bench, holder: MailboxHolder = ANN) -> tuple[int, int]:
    row = bench.repository.account(holder.id)
    assert row is not None
    return row.used_bytes, row.used_messages


def test_append_turns_line_ends_and_keeps_flags_and_date(bench: Bench, tmp_path: Path) -> None:
    wire = BODY.replace(b"\n", b"\r\n")
    spooled = tmp_path / "spooled"
    spooled.write_bytes(wire)
    halves = [wire[: wire.index(b"\n")], wire[wire.index(b"\n") :]]
    first = bench.stores.append(ANN, "INBOX", halves, "SF", "work", 1_000_000_000.0)
    second = bench.stores.append(ANN, "inbox", spooled)
    row, messages = bench.inbox(ANN)
    assert messages == [first, second]
    assert (first.flags, first.keywords, first.internaldate) == ("FS", "work", 1_000_000_000.0)
    assert (first.size, first.crlf) == (second.size, second.crlf) == (len(BODY), len(wire))
    assert [bench.stores.read(ANN.id, row, m) for m in messages] == [BODY, BODY]
    assert os.stat(bench.maildir(ANN) / "cur" / f"{first.name}:2,").st_mtime == 1_000_000_000.0
    assert bench.changes[-1] == (ANN.id, 1, second.modseq)


def test_append_refuses_what_does_not_fit_and_what_is_not_there(bench: Bench) -> None:
    with pytest.raises(Refused) as caught:
        bench.stores.append(ANN, "INBOX", [BODY], limits=Limits(bytes=len(BODY) - 1))
    assert caught.value.condition is Condition.MAILBOX_FULL
    with pytest.raises(NoSuchMailbox):
        bench.stores.append(ANN, "Nowhere", [BODY])
    assert bench.files(ANN) == {"tmp": [], "new": [], "cur": []}
    assert used(bench) == (0, 0)


def test_copy_links_the_file_and_counts_twice(bench: Bench) -> None:
    bench.deliver(ANN)
    message = bench.stores.append(ANN, "INBOX", [BODY], "S", "work")
    bench.stores.create_mailbox(ANN, "Work/Old")
    inbox, _ = bench.inbox(ANN)
    pairs = bench.stores.copy(ANN, inbox, [1, 2, 99], "Work/Old")
    assert [(source.uid, new.uid) for source, new in pairs] == [(1, 1), (2, 2)]
    target, messages = bench.open(ANN, "Work/Old")
    assert [(m.flags, m.keywords) for m in messages] == [("", ""), ("S", "work")]
    assert bench.stores.read(ANN.id, target, messages[1]) == BODY
    assert used(bench) == (4 * len(BODY), 4)
    own = bench.maildir(ANN)
    assert (own / "cur" / f"{message.name}:2,").samefile(own / ".Work.Old" / "cur" / f"{messages[1].name}:2,")
    assert (ANN.id, target.id, messages[0].modseq) in bench.changes


def test_copy_over_quota_copies_nothing(bench: Bench) -> None:
    for _ in range(3):
        bench.deliver(ANN)
    bench.stores.create_mailbox(ANN, "Work")
    inbox, _ = bench.inbox(ANN)
    with pytest.raises(Refused):
        bench.stores.copy(ANN, inbox, [1, 2, 3], "Work", limits=Limits(messages=5))
    assert bench.files(ANN, ".Work") == {"tmp": [], "new": [], "cur": []}
    assert used(bench) == (3 * len(BODY), 3)


def test_move_leaves_no_file_behind(bench: Bench) -> None:
    for _ in range(3):
        bench.deliver(ANN)
    bench.stores.create_mailbox(ANN, "Work")
    inbox, before = bench.inbox(ANN)
    full = person(quota=len(BODY))  # moving needs no room
    pairs = bench.stores.move(full, inbox, [1, 3], "Work")
    assert [(source.uid, new.uid) for source, new in pairs] == [(1, 1), (3, 2)]
    after, messages = bench.inbox(ANN)
    assert [m.uid for m in messages] == [2]
    assert len(bench.files(ANN)["cur"]) == 1
    assert len(bench.files(ANN, ".Work")["cur"]) == 2
    assert bench.files(ANN, ".Work")["tmp"] == []
    assert [uid for uid, _ in bench.repository.expunged(ANN.id, 1, before[-1].modseq)] == [1, 3]
    assert bench.repository.leftovers(ANN.id, 1) == []
    assert used(bench) == (3 * len(BODY), 3)
    assert (ANN.id, 1, after.highestmodseq) in bench.changes


def test_move_to_another_account(bench: Bench) -> None:
    bench.deliver(ANN)
    inbox, _ = bench.inbox(ANN)
    with pytest.raises(Refused):
        bench.stores.move(ANN, inbox, [1], "INBOX", into=person("bob", quota=3))
    assert [m.uid for m in bench.inbox(ANN)[1]] == [1]
    bench.stores.move(ANN, inbox, [1], "INBOX", into=BOB)
    assert bench.inbox(ANN)[1] == []
    row, messages = bench.inbox(BOB)
    assert bench.stores.read(BOB.id, row, messages[0]) == BODY
    assert used(bench) == (0, 0)
    assert used(bench, BOB) == (len(BODY), 1)


def test_expunge_unlinks_and_frees(bench: Bench) -> None:
    for _ in range(3):
        bench.deliver(ANN)
    inbox, _ = bench.inbox(ANN)
    assert [row.uid for row in bench.stores.expunge(ANN, inbox, [2, 3, 77])] == [2, 3]
    assert len(bench.files(ANN)["cur"]) == 1
    assert used(bench) == (len(BODY), 1)
    assert bench.deliver(ANN) == 4
    assert [m.uid for m in bench.inbox(ANN)[1]] == [1, 4]


def test_a_file_that_was_renamed_for_flags_is_read_copied_and_expunged(bench: Bench) -> None:
    bench.deliver(ANN)
    bench.stores.create_mailbox(ANN, "Work")
    inbox, (message,) = bench.inbox(ANN)
    cur = bench.maildir(ANN) / "cur"
    (cur / f"{message.name}:2,").rename(cur / f"{message.name}:2,RS")
    assert bench.stores.read(ANN.id, inbox, message) == BODY
    assert bench.stores.path_of(ANN.id, inbox, message) == str(cur / f"{message.name}:2,RS")
    assert len(bench.stores.copy(ANN, inbox, [1], "Work")) == 1
    bench.stores.expunge(ANN, inbox, [1])
    assert list(cur.iterdir()) == []
    for act in (bench.stores.read, bench.stores.path_of):
        with pytest.raises(FileNotFoundError):
            act(ANN.id, inbox, message)


def test_many_messages_go_in_batches(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.changing.BATCH", 2)
    for _ in range(5):
        bench.deliver(ANN)
    bench.stores.create_mailbox(ANN, "Work")
    inbox, _ = bench.inbox(ANN)
    assert len(bench.stores.copy(ANN, inbox, range(1, 6), "Work")) == 5
    assert len(bench.stores.move(ANN, inbox, range(1, 6), "Work")) == 5
    with pytest.raises(Refused):  # the third batch does not fit: nothing stays
        bench.stores.copy(ANN, bench.open(ANN, "Work")[0], range(1, 11), "INBOX", limits=Limits(messages=15))
    assert bench.inbox(ANN)[1] == []
    assert [m.uid for m in bench.open(ANN, "Work")[1]] == list(range(1, 11))
    assert used(bench) == (10 * len(BODY), 10)


def test_a_read_only_volume_is_trouble_and_nothing_else(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.deliver(ANN)
    bench.stores.create_mailbox(ANN, "Work")
    inbox, _ = bench.inbox(ANN)

    def refused(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "link", refused)
    for act in (bench.stores.copy, bench.stores.move):
        with pytest.raises(Deferred) as caught:
            act(ANN, inbox, [1], "Work")
        assert caught.value.condition is Condition.STORE_UNAVAILABLE
    assert [m.uid for m in bench.inbox(ANN)[1]] == [1]
    assert bench.open(ANN, "Work")[1] == []
