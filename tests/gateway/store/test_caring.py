"""What check finds, repair puts right; rebuild makes the same index again from the files."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from store_bench import BODY, Bench, person

from directory.model import Deferred
from gateway.store import markers

ANN = person()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    for number in range(4):
        made.deliver(ANN, BODY + b"%d\n" % number)
    made.stores.create_mailbox(ANN, "Work", "\\Archive")
    made.stores.append(ANN, "Work", [BODY], "S", "word")
    return made


def kinds(bench: Bench) -> list[tuple[str, str]]:
    return [(finding.mailbox, finding.kind) for finding in bench.stores.check(ANN.id)]


def spoil(bench: Bench, statement: str) -> None:
    for file in (bench.path / "index").glob("[0-9a-f][0-9a-f].db"):
        with closing(sqlite3.connect(file, isolation_level=None)) as db:
            db.execute(statement)


def test_a_store_in_order(bench: Bench) -> None:
    assert kinds(bench) == []
    bench.stores.repair(ANN.id)
    assert kinds(bench) == []


def test_files_without_rows_are_adopted(bench: Bench) -> None:
    (bench.maildir(ANN) / "cur" / "1.foreign.host:2,F").write_bytes(BODY)
    folder = bench.maildir(ANN) / ".New"
    for place in ("cur", "new", "tmp"):
        (folder / place).mkdir(parents=True)
    (folder / "new" / "2.foreign.host").write_bytes(BODY)
    assert kinds(bench) == [("New", "folder"), ("INBOX", "orphan")]
    assert "1.foreign.host:2,F" in bench.stores.check(ANN.id)[1].detail
    bench.stores.repair(ANN.id)
    assert kinds(bench) == []
    assert [row.flags for row in bench.inbox(ANN)[1]] == ["", "", "", "", "F"]
    assert len(bench.open(ANN, "New")[1]) == 1


def test_counts_are_taken_anew(bench: Bench) -> None:
    spoil(bench, "UPDATE account SET used_bytes=7, used_messages=99")
    spoil(bench, "UPDATE mailbox SET messages=3, unseen=77, octets=1, deleted=5 WHERE name='Work'")
    assert set(kinds(bench)) == {("", "count"), ("Work", "count")}
    bench.stores.repair(ANN.id)
    assert kinds(bench) == []
    row = bench.repository.account(ANN.id)
    assert row is not None
    assert row.used_messages == 5
    work = bench.repository.mailbox(ANN.id, "Work")
    assert work is not None
    counts = bench.repository.counts(ANN.id, work.id)
    assert (counts.messages, counts.unseen, counts.octets, counts.deleted) == (1, 0, len(BODY), 0)


def test_a_mark_that_is_missing_is_written_and_a_foreign_one_is_left(bench: Bench) -> None:
    mark, account = bench.maildir(ANN) / ".Work" / markers.MAILBOX, bench.maildir(ANN) / markers.ACCOUNT
    mark.write_bytes(b"damaged")
    account.unlink()
    assert kinds(bench) == [("", "owner"), ("Work", "marker")]
    bench.stores.repair(ANN.id)
    assert kinds(bench) == []
    assert list(markers.read_flags(str(mark.parent)).values()) == [("S", "word")]
    shutil.copy(bench.maildir(ANN) / markers.MAILBOX, mark)
    before = mark.read_bytes()
    bench.stores.repair(ANN.id)
    assert kinds(bench) == [("Work", "marker")]
    assert mark.read_bytes() == before


def test_a_message_that_is_gone_is_told_of_and_not_taken_for_removed_at_once(bench: Bench) -> None:
    next((bench.maildir(ANN) / "cur").glob("*,U=2:2,")).unlink()
    assert kinds(bench) == [("INBOX", "missing")]
    bench.stores.repair(ANN.id)
    assert kinds(bench) == [("INBOX", "missing")]
    assert len(bench.inbox(ANN)[1]) == 4


def test_rebuild_gives_the_same_index_again(bench: Bench) -> None:
    bench.repository.store_flags(ANN.id, 1, [2], "add", "F", "later")
    bench.repository.restore_seen(ANN.id, 1, [(3, "t:bob", True)])
    bench.stores.expunge(ANN, bench.inbox(ANN)[0], [4])
    before = {name: bench.open(ANN, name) for name in ("INBOX", "Work")}
    bench.stores.rebuild(ANN.id)
    assert kinds(bench) == []
    for name, (row, messages) in before.items():
        after, found = bench.open(ANN, name)
        assert (after.id, after.uidvalidity, after.special_use) == (row.id, row.uidvalidity, row.special_use)
        assert after.uidnext >= row.uidnext
        assert after.highestmodseq > row.highestmodseq
        facts = [(m.uid, m.name, m.flags, m.keywords, m.size, m.crlf, m.internaldate) for m in messages]
        assert [(m.uid, m.name, m.flags, m.keywords, m.size, m.crlf, m.internaldate) for m in found] == facts
    assert bench.repository.seen_by(ANN.id, 1, [1, 2, 3], "t:bob") == {3}
    account = bench.repository.account(ANN.id)
    assert account is not None
    assert account.used_messages == 4
    assert bench.deliver(ANN) >= before["INBOX"][0].uidnext


def test_rebuild_forgets_nothing_where_the_files_are_away(bench: Bench) -> None:
    maildir = bench.maildir(ANN)
    away = maildir.with_name("away")
    maildir.rename(away)
    with pytest.raises(Deferred):
        bench.stores.rebuild(ANN.id)
    away.rename(maildir)
    assert kinds(bench) == []
    assert len(bench.inbox(ANN)[1]) == 4
