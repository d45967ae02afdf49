"""A new store: made in one go, by whoever comes first, and whole after a crash at any of its calls."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from store_bench import Bench, person

from gateway.files.durable import make_new_folder
from gateway.store import making, markers
from gateway.store.making import make_store
from gateway.store.memory import MemoryRepository
from gateway.store.repository import INBOX_ID, AccountRow

ANN = person()


class Late(MemoryRepository):
    """Another process makes the row between our files and ours."""

    def create_account(
        self, account: str, path: str, now: float, *, inbox_uidvalidity: int = 0, inbox_uidnext: int = 0
    ) -> AccountRow:
        super().create_account(account, path, now, inbox_uidvalidity=4711)
        return super().create_account(account, path, now, inbox_uidvalidity=inbox_uidvalidity)


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
    assert make_store(repository, str(tmp_path), maildir, "t:ann", ["ann@example.com"]) is not None
    facts = markers.read_mailbox(maildir)
    assert facts is not None
    assert facts["uidvalidity"] == 4711
    assert make_store(repository, str(tmp_path), maildir, "t:ann", ["ann@example.com"]) is None


@pytest.mark.parametrize("call", ["mkdir", "sync_folder", "write_account", "write_mailbox"])
def test_what_a_crash_leaves_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    bench = Bench(tmp_path)
    where = {"mkdir": (os, "mkdir"), "sync_folder": (making, "sync_folder")}.get(call, (markers, call))
    real, count = getattr(*where), 0

    def dies(*arguments: object, **more: object) -> object:
        nonlocal count
        count += 1
        if count == (5 if call == "mkdir" else 1):
            raise KeyboardInterrupt
        return real(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(*where, dies)
        with pytest.raises(KeyboardInterrupt):
            bench.deliver(ANN)
    assert bench.deliver(ANN) > 0
    row, messages = bench.inbox(ANN)
    facts = markers.read_mailbox(str(bench.maildir(ANN)))
    assert facts is not None
    assert facts["uidvalidity"] == row.uidvalidity
    assert len(messages) == 1


def test_new_folders_below_the_top_only(tmp_path: Path) -> None:
    top = str(tmp_path)
    assert make_new_folder(top, f"{top}/a/b/c") == [f"{top}/a/b", f"{top}/a", top]
    assert make_new_folder(top, f"{top}/a/b/d") == [f"{top}/a/b"]
    with pytest.raises(FileExistsError):
        make_new_folder(top, f"{top}/a/b/d")
    with pytest.raises(FileNotFoundError):
        make_new_folder(f"{top}/gone", f"{top}/gone/a/b")
    assert not (tmp_path / "gone").exists()
