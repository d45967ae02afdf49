"""What every repository does: one suite, run on SQLite and in memory."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from directory.model import Condition, Deferred, Refused
from gateway.store.errors import MailboxExists
from gateway.store.memory import MemoryRepository
from gateway.store.repository import INBOX_ID, Limits, MessageRow, NewMessage, Placement, Repository
from gateway.store.sqlite import SqliteRepository
from gateway.store.sqlite.shard import UID_BLOCK

NONE = Limits()


def new(number: int, size: int = 10, **facts: object) -> NewMessage:
    return NewMessage(f"k{number}", size, size + 1, 5.0, **facts)  # type: ignore[arg-type]


@pytest.fixture(params=["sqlite", "memory"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Repository]:
    made: Repository = SqliteRepository(tmp_path) if request.param == "sqlite" else MemoryRepository()
    made.create_account("a", "/a", 1000.0)
    yield made
    made.close()


def uids(rows: list[MessageRow]) -> list[int]:
    return [row.uid for row in rows]


def used(repository: Repository, account: str = "a") -> tuple[int, int]:
    row = repository.account(account)
    assert row is not None
    return row.used_bytes, row.used_messages


def test_an_account_begins_with_its_inbox(repository: Repository) -> None:
    inbox = repository.mailbox("a", "INBOX")
    assert inbox is not None
    assert (inbox.id, inbox.uidvalidity, inbox.uidnext, inbox.highestmodseq) == (INBOX_ID, 1000, 1, 1)
    assert repository.create_account("a", "/elsewhere", 2000.0).path == "/a"
    assert repository.account("b") is None
    assert repository.mailboxes("b") == []
    assert repository.mailbox("a", "inbox") is None


def test_who_is_named_in_the_rights_of_a_mailbox_is_found(repository: Repository) -> None:
    work = repository.create_mailbox("a", "Work", acl='{"t:1":"lr"}', metadata="{}")
    assert (work.acl, work.metadata) == ('{"t:1":"lr"}', "{}")
    assert repository.mailbox("a", "Work") == work
    assert repository.granted({"t:1", "t:2"}, 10) == [("a", work.id)]
    row = repository.annotate("a", 1, lambda row: replace(row, acl='{"t:1":"l","t:2":"a"}'))
    assert repository.mailbox_by_id("a", 1) == row
    assert repository.granted({"t:1", "t:2"}, 10) == [("a", 1), ("a", work.id)]
    assert repository.granted({"t:1", "t:2"}, 1) == [("a", 1)]
    repository.annotate("a", 1, lambda row: replace(row, acl=""))
    repository.delete_mailbox("a", work.id)
    assert repository.granted({"t:1", "t:2"}, 10) == []
    with pytest.raises(Deferred):
        repository.annotate("a", work.id, lambda row: row)


def test_flags_that_may_not_change_stay(repository: Repository) -> None:
    repository.add("a", 1, [new(1, flags="FS", keywords="Old")], NONE)
    rows, _ = repository.store_flags("a", 1, [1], "replace", "T", "", None, "ST")
    assert [(row.flags, row.keywords) for row in rows] == [("FT", "Old")]
    rows, _ = repository.store_flags("a", 1, [1], "replace", "S", "New", None, "K")
    assert [(row.flags, row.keywords) for row in rows] == [("FT", "New")]


def test_an_index_of_an_older_format_is_brought_up(tmp_path: Path) -> None:
    SqliteRepository(tmp_path).close()
    for number in range(16):
        with closing(sqlite3.connect(tmp_path / f"{number:02x}.db", isolation_level=None)) as db:
            for statement in (
                "DROP TABLE grantee", "DROP INDEX seen_modseq", "ALTER TABLE mailbox DROP COLUMN acl", "ALTER TABLE mailbox DROP COLUMN metadata",
                "ALTER TABLE seen DROP COLUMN is_seen", "PRAGMA user_version=2",
            ):  # fmt: skip
                db.execute(statement)
    repository = SqliteRepository(tmp_path)
    repository.create_account("a", "/a", 1000.0)
    assert repository.annotate("a", 1, lambda row: replace(row, acl='{"t:1":"l"}')).acl == '{"t:1":"l"}'
    repository.close()


def test_uids_and_modseqs_ascend(repository: Repository) -> None:
    rows = repository.add("a", 1, [new(n) for n in range(3)], NONE)
    assert uids(rows) == [1, 2, 3]
    assert {row.modseq for row in rows} == {2}
    assert rows[0].name == "k0,S=10,W=11,U=1"
    outcomes = repository.place([Placement("a", 1, new(n)) for n in range(3, 5)])
    assert [row.uid for row in outcomes if isinstance(row, MessageRow)] == [4, 5]
    inbox = repository.mailbox("a", "INBOX")
    assert inbox is not None
    assert inbox.uidnext == 6
    assert inbox.highestmodseq >= 3  # those of one call may share a MODSEQ
    assert uids(repository.messages("a", 1, 2)) == [4, 5]
    assert uids(repository.messages_of("a", 1, [5, 9, 1])) == [1, 5]
    assert repository.message("a", 1, 9) is None


def test_place_answers_for_each(repository: Repository) -> None:
    repository.create_account("b", "/b", 1000.0)
    outcomes = repository.place([
        Placement("a", 1, new(0), Limits(bytes=15)),
        Placement("a", 1, new(1), Limits(bytes=15)),
        Placement("b", 1, new(2), Limits(messages=1)),
        Placement("b", 1, new(3), Limits(messages=1)),
        Placement("nobody", 1, new(4)),
        Placement("a", 77, new(5)),
    ])  # fmt: skip
    assert [type(outcome) for outcome in outcomes] == [MessageRow, Refused, MessageRow, Refused, Deferred, Deferred]
    assert used(repository) == (10, 1)
    assert used(repository, "b") == (10, 1)
    assert repository.place([]) == []


def test_room_limits_what_is_added_whatever_is_there(repository: Repository) -> None:
    outcomes = repository.place([Placement("a", 1, new(n), Limits(room=room)) for n, room in enumerate((10, 9, 0))])
    assert [type(outcome) for outcome in outcomes] == [MessageRow, Refused, Refused]
    with pytest.raises(Refused, match="gatepostDomainQuota"):
        repository.add("a", 1, [new(3), new(4)], Limits(bytes=1000, room=19))
    assert len(repository.add("a", 1, [new(3), new(4)], Limits(room=20))) == 2


def test_add_is_all_or_nothing(repository: Repository) -> None:
    with pytest.raises(Refused) as caught:
        repository.add("a", 1, [new(n) for n in range(3)], Limits(messages=2))
    assert caught.value.condition is Condition.MAILBOX_FULL
    assert repository.messages("a", 1) == []
    assert used(repository) == (0, 0)
    with pytest.raises(Deferred):
        repository.add("a", 77, [new(0)], NONE)


def test_flags(repository: Repository) -> None:
    repository.add("a", 1, [new(n) for n in range(3)], NONE)
    rows, failed = repository.store_flags("a", 1, [1, 2, 99], "add", "ST", "Work $Forwarded")
    assert [(row.uid, row.flags, row.keywords, row.modseq) for row in rows] == [
        (1, "ST", "$Forwarded Work", 3),
        (2, "ST", "$Forwarded Work", 3),
    ]
    assert failed == []
    assert repository.store_flags("a", 1, [1], "add", "S", "work") == ([], [])  # already so, keywords without case
    rows, failed = repository.store_flags("a", 1, [2, 3], "remove", "T", "WORK", unchanged_since=2)
    assert (rows, failed) == ([], [2])
    rows, _ = repository.store_flags("a", 1, [2], "replace", "D", "")
    assert [(row.flags, row.keywords) for row in rows] == [("D", "")]
    counts = repository.counts("a", 1)
    assert (counts.messages, counts.unseen, counts.deleted, counts.octets) == (3, 2, 1, 30)


def test_letters_of_other_programs_are_deltas(repository: Repository) -> None:
    repository.add("a", 1, [new(0, flags="F")], NONE)
    assert [(r.flags, r.info) for r in repository.take_info("a", 1, {1: ("k0,S=10", "S")})] == [("FS", "S")]
    repository.store_flags("a", 1, [1], "add", "T", "")
    assert [(r.flags, r.keywords) for r in repository.take_info("a", 1, {1: ("k0,S=10", "P")})] == [
        ("FT", "$Forwarded")
    ]
    assert repository.take_info("a", 1, {1: ("k0", "P"), 9: ("k9", "S")}) == []  # only the name changed
    row = repository.message("a", 1, 1)
    assert row is not None
    assert row.name == "k0"


def test_expunge_leaves_tombstones_until_they_are_pruned(repository: Repository) -> None:
    repository.add("a", 1, [new(n) for n in range(4)], NONE)
    assert uids(repository.expunge("a", 1, [2, 3, 9])) == [2, 3]
    assert repository.expunged("a", 1, 0) == [(2, 3), (3, 3)]
    assert repository.expunged("a", 1, 3) == []
    assert [(row.uid, row.name) for row in repository.leftovers("a", 1)] == [
        (2, "k1,S=10,W=11,U=2"),
        (3, "k2,S=10,W=11,U=3"),
    ]
    assert used(repository) == (20, 2)
    assert repository.prune("a", 1, 1e12, 0) == 0  # their files may still be there
    repository.files_gone("a", 1, [2, 3])
    assert repository.leftovers("a", 1) == []
    assert repository.tombstone_floor("a", 1) == 0
    assert repository.prune("a", 1, 0.0, 5) == 0
    assert repository.prune("a", 1, 1e12, 5) == 2
    assert repository.expunged("a", 1, 0) == []
    assert repository.tombstone_floor("a", 1) == 3
    assert repository.expunge("a", 1, [2]) == []
    assert uids(repository.add("a", 1, [new(9)], NONE)) == [5]


def test_copy_and_move(repository: Repository) -> None:
    work = repository.create_mailbox("a", "Work")
    repository.add("a", 1, [new(n, flags="S", keywords="x") for n in range(3)], NONE)
    with pytest.raises(Refused):
        repository.copy("a", 1, [1, 2], work.id, {1: "c1", 2: "c2"}, Limits(messages=4))
    assert repository.messages("a", work.id) == []
    pairs = repository.copy("a", 1, [2, 1, 9], work.id, {1: "c1", 2: "c2", 9: "c9"}, NONE)
    assert [(source.uid, new_row.uid, new_row.ukey) for source, new_row in pairs] == [(1, 1, "c1"), (2, 2, "c2")]
    moved = repository.move("a", 1, [1, 3], work.id, {1: "m1", 3: "m3"})
    assert [(source.uid, new_row.uid, new_row.flags, new_row.keywords) for source, new_row in moved] == [
        (1, 3, "S", "x"),
        (3, 4, "S", "x"),
    ]
    assert uids(repository.messages("a", 1)) == [2]
    assert uids(repository.leftovers("a", 1)) == [1, 3]
    assert used(repository) == (50, 5)
    assert repository.counts("a", work.id).messages == 4
    with pytest.raises(Deferred):
        repository.move("a", 1, [2], 77, {2: "z"})
    assert uids(repository.messages("a", 1)) == [2]


def test_adopt_takes_what_is_not_known(repository: Repository) -> None:
    repository.add("a", 1, [new(0)], NONE)
    repository.expunge("a", 1, [1])
    found = repository.adopt("a", 1, [new(0), new(1, name="k1,S=10", info="S", flags="S", uid=1), new(1)])
    assert [(row.uid, row.name, row.info) for row in found] == [(2, "k1,S=10", "S")]
    assert repository.files("a", 1) == [(1, "k0", "k0,S=10,W=11,U=1", "", True), (2, "k1", "k1,S=10", "S", False)]
    repository.files_gone("a", 1, [1])
    assert uids(repository.adopt("a", 1, [new(0)])) == [3]  # put there again, a message of its own


def test_lost_uids_come_back_once(repository: Repository) -> None:
    row = repository.create_mailbox("a", "Work", "\\Archive", mailbox=9, uidvalidity=555, uidnext=100)
    assert (row.id, row.uidvalidity, row.uidnext, row.special_use) == (9, 555, 100, "\\Archive")
    assert row.highestmodseq > 1_600_000_000_000
    found = repository.adopt("a", 9, [new(1, uid=7), new(2, uid=3), new(3, uid=7), new(4, uid=100), new(5)])
    assert [(r.uid, r.ukey) for r in found] == [(3, "k2"), (7, "k1"), (100, "k3"), (101, "k4"), (102, "k5")]
    repository.settle("a", 9)
    assert uids(repository.adopt("a", 9, [new(6, uid=4)])) == [103]
    after = repository.create_mailbox("a", "Next")
    assert after.id == 10
    assert after.uidvalidity > 555


def test_mailboxes(repository: Repository) -> None:
    made = repository.create_mailbox("a", "Work", "\\Archive")
    repository.create_mailbox("a", "Work/x")
    repository.create_mailbox("a", "Workshop")
    repository.add("a", made.id, [new(0)], NONE)
    with pytest.raises(MailboxExists):
        repository.create_mailbox("a", "Work")
    with pytest.raises(MailboxExists):
        repository.rename_mailbox("a", made.id, "Workshop")
    renamed = repository.rename_mailbox("a", made.id, "Play")
    assert [(old, row.name, row.id) for old, row in renamed] == [("Work", "Play", made.id), ("Work/x", "Play/x", 3)]
    assert [row.name for row in repository.mailboxes("a")] == ["INBOX", "Play", "Play/x", "Workshop"]
    repository.set_special_use("a", made.id, "")
    assert repository.mailbox_by_id("a", made.id) == repository.mailbox("a", "Play")
    repository.delete_mailbox("a", made.id)
    repository.delete_mailbox("a", made.id)
    assert used(repository) == (0, 0)
    assert repository.create_mailbox("a", "Work").uidvalidity > made.uidvalidity
    for act in (repository.delete_mailbox, lambda a, m: repository.rename_mailbox(a, m, "X")):
        with pytest.raises(ValueError, match="INBOX"):
            act("a", INBOX_ID)


def test_who_owned_an_address(repository: Repository) -> None:
    repository.own("a", ["x@example.com", "y@example.com"], 100.0)
    repository.own("b", ["x@example.com"], 100_000.0)
    assert repository.owners("x@example.com", 0.0) == ["a", "b"]
    assert repository.owners("x@example.com", 101.0) == ["b"]
    repository.own("a", ["x@example.com"], 200.0)  # too soon to be written again
    assert repository.owners("x@example.com", 101.0) == ["b"]
    repository.disown("b", ["x@example.com"])
    assert repository.owners("x@example.com", 101.0) == []


def test_rebind_gives_everything(repository: Repository) -> None:
    repository.create_mailbox("a", "Work")
    repository.add("a", 2, [new(0)], NONE)
    before = repository.mailboxes("a")
    for name in ("b", "c", "d"):  # one of them is on another shard
        owner = {"b": "a", "c": "b", "d": "c"}[name]
        repository.rebind_account(owner, name)
        assert repository.account(owner) is None
        assert repository.mailboxes(name) == before
        assert uids(repository.messages(name, 2)) == [1]
    with pytest.raises(ValueError, match=r"store|give"):
        repository.rebind_account("a", "x")
    repository.create_account("a", "/a", 1.0)
    with pytest.raises(ValueError, match=r"store|give"):
        repository.rebind_account("a", "d")
    repository.delete_account("d")
    assert repository.mailboxes("d") == []


def test_cache_of_parsed_messages(repository: Repository) -> None:
    repository.add("a", 1, [new(0), new(1)], NONE)
    repository.put_parsed("a", 1, {1: b"x", 2: b"y"}, version=3)
    assert repository.parsed("a", 1, [1, 2, 3], version=3) == {1: b"x", 2: b"y"}
    assert repository.parsed("a", 1, [1, 2, 3], version=3, waits=False) == {1: b"x", 2: b"y"}
    assert repository.parsed("a", 1, [1, 2], version=4) == {}


def test_more_than_a_transaction_takes(repository: Repository) -> None:
    count = 4_500
    work = repository.create_mailbox("a", "Work")
    repository.adopt("a", work.id, [new(n, size=1) for n in range(count)])
    assert repository.counts("a", work.id).messages == count
    rows, _ = repository.store_flags("a", work.id, range(1, count + 1), "add", "S", "")
    assert len(rows) == count
    assert len(repository.expunge("a", work.id, range(1, 3_001))) == 3_000
    assert used(repository) == (1_500, 1_500)
    repository.delete_mailbox("a", work.id)
    assert used(repository) == (0, 0)
    outcomes = repository.place([Placement("a", 1, new(n)) for n in range(2_500)])
    assert len({row.uid for row in outcomes if isinstance(row, MessageRow)}) == 2_500
    assert isinstance(outcomes[-1], MessageRow)
    assert outcomes[-1].used in (None, used(repository)[0]), "told rightly, if at all"


# what only the real one can show


def test_the_cache_forgets_what_is_gone(tmp_path: Path) -> None:
    repository = SqliteRepository(tmp_path)
    repository.create_account("a", "/a", 1000.0)
    work = repository.create_mailbox("a", "Work")
    repository.add("a", 1, [new(n) for n in range(3)], NONE)
    repository.add("a", work.id, [new(9)], NONE)
    repository.put_parsed("a", 1, dict.fromkeys((1, 2, 3), b"x"))
    repository.put_parsed("a", work.id, {1: b"x"})
    repository.expunge("a", 1, [1])
    repository.move("a", 1, [2], work.id, {2: "m"})
    repository.delete_mailbox("a", work.id)
    assert repository.parsed("a", 1, [1, 2, 3]) == {3: b"x"}
    assert repository.parsed("a", work.id, [1, 2]) == {}
    repository.delete_account("a")
    assert repository.parsed("a", 1, [3]) == {}
    repository.close()


def test_numbers_are_never_given_again_after_a_power_cut(tmp_path: Path) -> None:
    first = SqliteRepository(tmp_path, "boot 1")
    first.create_account("a", "/a", 1000.0)
    for number in range(UID_BLOCK + 10):  # over the end of a reservation
        first.add("a", 1, [new(number)], NONE)
    given = first.mailbox_by_id("a", 1)
    assert given is not None
    # the machine goes down without closing; what was committed last may be lost, so it may have given more
    second = SqliteRepository(tmp_path, "boot 2")
    after = second.mailbox_by_id("a", 1)
    assert after is not None
    assert given.uidnext + UID_BLOCK > after.uidnext > given.uidnext
    assert after.highestmodseq > given.highestmodseq
    row = second.add("a", 1, [new(9_999)], NONE)[0]
    assert row.uid == after.uidnext
    # a lost row's file brings its UID back, if nobody else has it
    adopted = second.adopt("a", 1, [new(10_001, uid=given.uidnext + 3), new(10_002, uid=5), new(10_003, uid=row.uid)])
    assert [r.uid for r in adopted] == [given.uidnext + 3, row.uid + 1, row.uid + 2]
    second.close()
    third = SqliteRepository(tmp_path, "boot 3")
    clean = third.mailbox_by_id("a", 1)
    assert clean is not None
    assert clean.uidnext == row.uid + 3  # closed before the power went: nothing is skipped
    third.close()
    first.close()


def test_two_processes_may_have_it_open(tmp_path: Path) -> None:
    one, two = SqliteRepository(tmp_path), SqliteRepository(tmp_path)
    one.create_account("a", "/a", 1000.0)

    def run(repository: SqliteRepository, side: int) -> None:
        for number in range(150):
            repository.place([Placement("a", 1, new(side * 1000 + number))])

    threads = [threading.Thread(target=run, args=(r, n)) for n, r in enumerate((one, two, one, two))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert uids(two.messages("a", 1)) == list(range(1, 601))
    assert used(one) == (6_000, 600)
    one.close()
    two.close()


def test_a_newer_format_is_refused_and_a_damaged_file_is_trouble(tmp_path: Path) -> None:
    SqliteRepository(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "05.db")
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(Deferred, match="newer version"):
        SqliteRepository(tmp_path)
    for file in tmp_path.glob("05.db*"):
        file.write_bytes(b"no database at all" * 1000)
    with pytest.raises(Deferred) as caught:
        SqliteRepository(tmp_path)
    assert caught.value.condition is Condition.STORE_UNAVAILABLE


def test_a_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    SqliteRepository(tmp_path).close()
    for file in tmp_path.glob("parsed-*.db"):
        file.write_bytes(b"no database at all" * 1000)
    repository = SqliteRepository(tmp_path)
    repository.put_parsed("a", 1, {1: b"x"})
    assert repository.parsed("a", 1, [1]) == {1: b"x"}
    repository.close()


def test_who_does_not_wait_gets_nothing_of_the_cache_while_somebody_writes(tmp_path: Path) -> None:
    repository = SqliteRepository(tmp_path)
    repository.put_parsed("a", 1, {1: b"x"})
    for _, lock in repository._cache._files:
        lock.acquire()
    assert repository.parsed("a", 1, [1], waits=False) == {}
    for _, lock in repository._cache._files:
        lock.release()
    assert repository.parsed("a", 1, [1], waits=False) == {1: b"x"}
    repository.close()


def test_listings_are_whole_between_tombstones_and_empty_without_a_mailbox(repository: Repository) -> None:
    box = repository.create_mailbox("a", "Box")
    repository.add("a", box.id, [new(n) for n in range(1, 8)], NONE)
    repository.expunge("a", box.id, [1, 2, 4, 7])
    repository.files_gone("a", box.id, [1, 4])
    assert [row[0] for row in repository.outline("a", box.id)] == [3, 5, 6]
    assert [(row[0], row[4]) for row in repository.files("a", box.id)] == [
        (2, True), (3, False), (5, False), (6, False), (7, True),
    ]  # fmt: skip
    repository.expunge("a", box.id, [3, 5, 6])
    assert repository.outline("a", box.id) == []
    repository.add("a", box.id, [new(9)], NONE)
    assert [row[0] for row in repository.outline("a", box.id)] == [8]
    repository.delete_mailbox("a", box.id)
    assert repository.outline("a", box.id) == []
    assert repository.files("a", box.id) == []
    assert repository.outline("nobody", 1) == []


def test_a_listing_does_not_walk_the_tombstones_of_what_was_collected(tmp_path: Path) -> None:
    repository = SqliteRepository(tmp_path)
    repository.create_account("a", "/a", 1000.0)
    repository.add("a", 1, [new(n) for n in range(1_500)], NONE)
    repository.expunge("a", 1, range(1, 1_501))
    repository.files_gone("a", 1, range(1, 1_501))
    repository.add("a", 1, [new(9_999)], NONE)
    reader = repository._shard("a")._reader
    steps = 0

    def stepped() -> None:
        nonlocal steps
        steps += 1

    reader.set_progress_handler(stepped, 100)
    assert [row[0] for row in repository.files("a", 1)] == [row[0] for row in repository.outline("a", 1)] == [1_501]
    reader.set_progress_handler(None, 0)
    assert steps < 10
    repository.close()
