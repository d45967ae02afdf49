"""What check finds, repair puts right; rebuild makes the same index again from the files."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from store_bench import BODY, Bench, person

from directory.model import Deferred
from gateway.store import caring, markers
from gateway.store.rebuilding import restore_account
from gateway.store.repository import AccountRow, Repository
from gateway.store.sqlite import SqliteRepository, shard

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


def test_no_mailbox_gets_what_a_deleted_one_had_before_a_rebuild(bench: Bench) -> None:
    # many made within a second are ahead of the clock, from which the numbers begin
    given = set()
    for _ in range(3):
        for _ in range(5):
            row = bench.stores.create_mailbox(ANN, "Passing")
            assert {row.id, row.uidvalidity}.isdisjoint(given)
            given |= {row.id, row.uidvalidity}
            bench.stores.delete_mailbox(ANN, "Passing")
        bench.stores.rebuild(ANN.id)
    maildir = bench.stores.open(ANN).path
    bench.repository.delete_account(ANN.id)
    restore_account(bench.repository, ANN.id, maildir)
    assert bench.repository.next_mailbox(ANN.id)[1] > max(given)


def test_rebuild_forgets_nothing_where_the_files_are_away(bench: Bench) -> None:
    maildir = bench.maildir(ANN)
    away = maildir.with_name("away")
    maildir.rename(away)
    with pytest.raises(Deferred):
        bench.stores.rebuild(ANN.id)
    away.rename(maildir)
    assert kinds(bench) == []
    assert len(bench.inbox(ANN)[1]) == 4


def test_others_see_one_change(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads while an index is rebuilt sees what was before: no mailbox is gone or empty for a moment."""
    before, messages = bench.inbox(ANN)
    other = SqliteRepository(bench.path / "index")
    monkeypatch.setattr(shard, "BUSY_MS", 50)
    hasty = SqliteRepository(bench.path / "index")
    seen: list[object] = []

    def restore(repository: Repository, account: str, maildir: str, **known: Any) -> AccountRow:
        assert repository.account(account) is None  # where it is done it is gone
        seen.append(other.mailbox_by_id(ANN.id, before.id))
        seen.append(other.messages(ANN.id, before.id))
        with pytest.raises(Deferred):
            hasty.store_flags(ANN.id, before.id, [1], "add", "F", "")
        return restore_account(repository, account, maildir, **known)

    monkeypatch.setattr(caring, "restore_account", restore)
    bench.changes.clear()
    bench.stores.rebuild(ANN.id)
    assert seen == [before, messages]
    after = other.mailbox_by_id(ANN.id, before.id)
    assert after is not None
    assert after.highestmodseq > before.highestmodseq
    assert [row.uid for row in other.messages(ANN.id, before.id)] == [row.uid for row in messages]
    assert (ANN.id, before.id, after.highestmodseq) in bench.changes  # told once it can be seen
    other.close()
    hasty.close()


def test_a_rebuild_that_fails_forgets_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    before = bench.inbox(ANN)

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(caring, "restore_account", fail)
    with pytest.raises(Deferred):
        bench.stores.rebuild(ANN.id)
    assert bench.inbox(ANN) == before
    assert bench.deliver(ANN) == before[0].uidnext


def test_what_others_have_begun_with_files_is_finished(bench: Bench) -> None:
    """A message that has its row and not yet its name keeps its UID, one whose file is not yet gone stays gone."""
    row, messages = bench.inbox(ANN)
    coming, going = messages[1], messages[2]
    maildir = bench.maildir(ANN)
    (maildir / "cur" / f"{coming.name}:2,").rename(maildir / "tmp" / coming.ukey)
    bench.repository.expunge(ANN.id, row.id, [going.uid])
    bench.stores.rebuild(ANN.id)
    assert [each.uid for each in bench.inbox(ANN)[1]] == [each.uid for each in messages if each is not going]
    # who had begun with it goes on, and finds that it has its name
    bench.stores._give_name(
        ANN.id, row.id, coming.uid, str(maildir / "tmp" / coming.ukey), str(maildir / "cur" / f"{coming.name}:2,")
    )


def test_what_was_expunged_before_is_not_known_any_more(bench: Bench) -> None:
    """Whoever asks what has vanished since is told to compare, not that nothing has."""
    row, messages = bench.inbox(ANN)
    bench.stores.expunge(ANN, row, [messages[0].uid])
    bench.stores.rebuild(ANN.id)
    assert bench.repository.tombstone_floor(ANN.id, row.id) > row.highestmodseq
