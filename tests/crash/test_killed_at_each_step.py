"""kill -9 at every rename, fsync, link, unlink and write of a delivery, a first one too, a copy, a move and an expunge.

Whatever was said to be done is there; whatever was not is there whole, or not at all; nothing has a row
without a file or a file without a row; UIDs are never given again; quota use is what is there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import crash_child
import pytest
from children import Children

from directory.model import MailboxHolder
from gateway.store import markers
from gateway.store.repository import MessageRow
from gateway.store.stores import Stores

CALLS = {
    "deliver": ("openat", "write", "link", "fsync", "rename", "pwrite64"),
    "copy": ("link", "fsync", "rename", "pwrite64"),
    "move": ("link", "fsync", "rename", "unlink", "pwrite64"),
    "expunge": ("unlink", "fsync", "pwrite64"),
}
MAX_CALLS = 61
LONG = bool(os.environ.get("GATEPOST_LONG_TESTS"))  # every single write of the index


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    started = Children(crash_child.__file__)
    yield started
    started.close()


def state(stores: Stores, holder: MailboxHolder, name: str) -> list[MessageRow]:
    """The messages of a mailbox, each of them whole; files and rows agree."""
    row = stores.open_mailbox(holder, name)
    row = stores.open_mailbox(holder, name)  # what the first look put in place is seen by the second
    messages = stores.repository.messages(holder.id, row.id)
    for message in messages:
        assert stores.read(holder.id, row, message) == crash_child.BODY
    folder = Path(stores.open(holder).path, "" if name == "INBOX" else f".{name}")
    assert sorted(os.listdir(folder / "cur")) == sorted(f"{m.name}:2,{m.info}" for m in messages)
    assert os.listdir(folder / "new") == []
    assert len({m.uid for m in messages}) == len(messages)
    return messages


@pytest.mark.parametrize(("action", "call"), [(action, call) for action, calls in CALLS.items() for call in calls])
def test_killed(children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str, call: str) -> None:
    monkeypatch.setattr("gateway.store.sqlite.repository.SHARDS", crash_child.SHARDS)
    monkeypatch.setattr("gateway.store.adopting.UNFINISHED_SECONDS", -1.0)
    monkeypatch.setattr("gateway.store.adopting.MISSING_SECONDS", 0.0)
    for number in range(1, MAX_CALLS, 1 if call != "pwrite64" or LONG else 4):
        folder = tmp_path / str(number)
        folder.mkdir()
        got_through, was_told = children.attempt(call, number, action, folder)
        stores = crash_child.open_stores(folder)
        inbox, work = state(stores, crash_child.ANN, "INBOX"), state(stores, crash_child.ANN, "Work")
        bobs = state(stores, crash_child.BOB, "INBOX")
        if action == "deliver":
            assert was_told <= (len(inbox) == len(bobs) == 3)
            assert len(inbox) in (2, 3)
            assert len(bobs) in (2, 3)
        elif action == "copy":
            assert [m.uid for m in inbox] == [1, 2]
            assert was_told <= (len(work) == 2)
        elif action == "move":
            # each message is in exactly one of the two
            assert len(inbox) + len(work) == 2
            assert was_told <= (len(work) == 2)
        else:
            assert was_told <= (inbox == [])
        account = stores.repository.account(crash_child.ANN.id)
        assert account is not None
        assert account.used_messages == len(inbox) + len(work)
        assert account.used_bytes == account.used_messages * len(crash_child.BODY)
        highest = max((uid for uid, _ in stores.repository.expunged(crash_child.ANN.id, 1, 0)), default=0)
        crash_child.deliver(stores)
        again = state(stores, crash_child.ANN, "INBOX")
        assert again[-1].uid > max([highest, *(m.uid for m in inbox)])
        stores.repository.close()
        if got_through:
            assert was_told
            assert number > 1, f"{call} is never called"
            print(f"killed at each of {number - 1} {call}")
            return
    pytest.fail("never got through")


@pytest.mark.parametrize("call", ["mkdir", "mkdirat", "openat", "write", "writev", "fsync", "pwrite64", "rename"])
def test_killed_over_a_first_message(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Two stores are made and get a message: what is half made is completed by the next delivery."""
    monkeypatch.setattr("gateway.store.sqlite.repository.SHARDS", crash_child.SHARDS)
    monkeypatch.setattr("gateway.store.adopting.UNFINISHED_SECONDS", -1.0)
    monkeypatch.setattr("gateway.store.adopting.MISSING_SECONDS", 0.0)
    for number in range(1, MAX_CALLS):
        folder = tmp_path / str(number)
        folder.mkdir()
        got_through, was_told = children.attempt(call, number, "first", folder)
        stores = crash_child.open_stores(folder)
        crash_child.deliver(stores)
        for holder in (crash_child.ANN, crash_child.BOB):
            messages = state(stores, holder, "INBOX")
            assert 1 + was_told <= len(messages) <= 2
            maildir = stores.open(holder).path
            owner, facts = markers.read(f"{maildir}/{markers.ACCOUNT}"), markers.read_mailbox(maildir)
            row = stores.repository.mailbox(holder.id, "INBOX")
            assert owner is not None
            assert facts is not None
            assert row is not None
            assert (owner["id"], facts["uidvalidity"]) == (holder.id, row.uidvalidity)
            assert stores.repository.owners(holder.addresses[0], 0.0) == [holder.id]
        stores.repository.close()
        if got_through:
            assert was_told
            assert number > 1, f"{call} is never called"
            print(f"killed at each of {number - 1} {call}")
            return
    pytest.fail("never got through")
