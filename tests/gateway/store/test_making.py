"""A new store: made in one go, by whoever comes first, and whole after a crash at any of its calls."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import eventually
from store_bench import BODY, Bench, person

from directory.model import Condition, Deferred
from gateway.files.commit import Commit
from gateway.files.durable import make_new_folder
from gateway.store import making, markers, opening
from gateway.store.making import AT_ONCE, Site, make_stores
from gateway.store.memory import MemoryRepository
from gateway.store.repository import INBOX_ID, AccountRow, MailboxRow, MessageRow, NewAccount, Repository
from gateway.store.sqlite import SqliteRepository
from gateway.store.sqlite.shard import MODSEQ_BLOCK, UID_BLOCK
from gateway.store.stores import Target

ANN = person()


class Late(MemoryRepository):
    """Another process makes the row between our files and ours."""

    def create_accounts(
        self, wanted: Sequence[NewAccount], now: float
    ) -> list[tuple[AccountRow, MailboxRow] | Deferred]:
        for new in wanted:
            super().create_account(new.account, new.path, now, inbox_uidvalidity=4711)
        return super().create_accounts(wanted, now)


def test_marker_and_row_agree(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.deliver(ANN) == 1
    row, _ = bench.inbox(ANN)
    facts = markers.read_mailbox(str(bench.maildir(ANN)))
    assert facts is not None
    assert (facts["uidvalidity"], facts["id"]) == (row.uidvalidity, INBOX_ID)
    owner = markers.read(str(bench.maildir(ANN) / markers.ACCOUNT))
    assert owner is not None
    assert (owner["id"], owner["addresses"]) == (ANN.id, list(ANN.addresses))


def test_the_row_that_is_there_counts(tmp_path: Path) -> None:
    repository, maildir = Late(), str(tmp_path / "a" / "Maildir")
    site = Site(str(tmp_path), maildir, ANN.id, ANN.addresses)
    (made,) = make_stores(repository, Commit(str(tmp_path), "fsync"), [site])
    assert isinstance(made, tuple)
    assert made[1].uidvalidity == 4711
    facts = markers.read_mailbox(maildir)
    assert facts is not None
    assert facts["uidvalidity"] == 4711
    assert make_stores(repository, Commit(str(tmp_path), "fsync"), [site]) == [None]


@pytest.mark.parametrize(
    ("where", "call", "number"),
    [
        (os, "mkdir", 5),
        (os, "fsync", 1),
        (os, "fsync", 4),
        (making, "write_new", 1),
        (making, "write_new", 2),
        (making, "sync_folder", 1),
        (SqliteRepository, "create_accounts", 1),
    ],
)
def test_what_a_crash_leaves_is_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: object, call: str, number: int
) -> None:
    bench = Bench(tmp_path)
    real, count = getattr(where, call), 0

    def dies(*arguments: object, **more: object) -> object:
        nonlocal count
        count += 1
        if count == number:
            raise KeyboardInterrupt
        return real(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(where, call, dies)
        with pytest.raises(KeyboardInterrupt):
            bench.deliver(ANN)
    assert bench.deliver(ANN) > 0
    row, messages = bench.inbox(ANN)
    facts = markers.read_mailbox(str(bench.maildir(ANN)))
    assert facts is not None
    assert facts["uidvalidity"] == row.uidvalidity
    assert markers.read(str(bench.maildir(ANN) / markers.ACCOUNT)) is not None
    assert len(messages) == 1


@pytest.mark.parametrize("name", [markers.ACCOUNT, markers.MAILBOX])
def test_a_marker_that_a_power_cut_left_empty_is_written_anew(tmp_path: Path, name: str) -> None:
    bench = Bench(tmp_path)
    bench.deliver(ANN)
    (bench.maildir(ANN) / name).write_bytes(b"")
    bench.lose_index()
    assert bench.deliver(ANN) > 1
    row, messages = bench.inbox(ANN)
    assert len(messages) == 2
    facts = markers.read_mailbox(str(bench.maildir(ANN)))
    assert facts is not None
    assert facts["uidvalidity"] == row.uidvalidity
    assert markers.read(str(bench.maildir(ANN) / markers.ACCOUNT)) is not None


def test_rows_that_a_power_cut_took_come_back_behind_all_uids(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    before = [bench.deliver(ANN) for _ in range(3)]
    row, _ = bench.inbox(ANN)
    bench.stores.expunge(ANN, row, before[2:])
    bench.lose_index()
    after = bench.deliver(ANN)
    again, messages = bench.inbox(ANN)
    assert again.uidvalidity == row.uidvalidity
    assert [message.uid for message in messages] == [*before[:2], after]
    assert after > UID_BLOCK
    assert again.highestmodseq > row.highestmodseq + MODSEQ_BLOCK


def test_many_are_made_together(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    people = [person(f"p{number}") for number in range(AT_ONCE + 6)]
    taken = person("taken")
    bench.stores.open(taken)
    twin = replace(taken, id="t:twin", dn="uid=twin", maildir=str(bench.maildir(taken).relative_to(bench.volume)))
    everybody = [*people, twin, people[0], taken]
    outcomes = bench.stores.deliver_many(
        [Target(each, each.addresses[0]) for each in everybody], [BODY], len(BODY), len(BODY) + BODY.count(b"\n")
    )
    assert [isinstance(each, MessageRow) for each in outcomes] == [each is not twin for each in everybody]
    assert isinstance(outcomes[-3], Deferred)
    assert outcomes[-3].condition is Condition.ACCOUNT_REBIND
    for each in people:
        assert len(bench.inbox(each)[1]) == 1 + (each is people[0])
        assert bench.repository.owners(each.addresses[0], 0.0) == [each.id]
    assert bench.repository.account(twin.id) is None


def test_first_messages_that_wait_are_made_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path)
    people = [person(f"p{number}") for number in range(5)]
    batches: list[int] = []
    begun, go_on, real = threading.Event(), threading.Event(), making.make_stores

    def slow(repository: Repository, commit: Commit, sites: Sequence[Site]) -> object:
        batches.append(len(sites))
        begun.set()
        assert go_on.wait(60)
        return real(repository, commit, sites)

    monkeypatch.setattr(opening, "make_stores", slow)
    with ThreadPoolExecutor(9) as pool:
        uids = [pool.submit(bench.deliver, people[0])]
        assert begun.wait(60)
        uids += [pool.submit(bench.deliver, each) for each in [*people[1:], *people[1:]]]
        eventually(lambda: len(bench.stores._orders) == 8)
        go_on.set()
        given = sorted(uid.result(60) for uid in uids)
    assert given == [1] * 5 + [2] * 4
    assert batches == [1, 4]


def test_new_folders_below_the_top_only(tmp_path: Path) -> None:
    top = str(tmp_path)
    assert make_new_folder(top, f"{top}/a/b/c") == [f"{top}/a/b", f"{top}/a", top]
    assert make_new_folder(top, f"{top}/a/b/d") == [f"{top}/a/b"]
    with pytest.raises(FileExistsError):
        make_new_folder(top, f"{top}/a/b/d")
    with pytest.raises(FileNotFoundError):
        make_new_folder(f"{top}/gone", f"{top}/gone/a/b")
    assert not (tmp_path / "gone").exists()
