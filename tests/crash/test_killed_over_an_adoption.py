"""kill -9 at every link, rename, fsync and other change of names while a store of Dovecot is taken over.

Whoever opens the account then finds its messages whole; the other store is as it was; the next call ends with everything in
place, the UIDs kept, and nothing twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import adoption_child
import pytest
from children import Children
from crash_child import ANN, SHARDS

from gateway.store.stores import Stores

CALLS = {"linkat": 2, "mkdir": 4, "rename": 1, "fsync": 8, "unlinkat": 1, "pwrite64": 16}
MAX_CALLS = 150
LONG = bool(os.environ.get("GATEPOST_LONG_TESTS"))  # every single call


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    started = Children(adoption_child.__file__)
    yield started
    started.close()


def found(stores: Stores, name: str = "INBOX") -> list[tuple[int, str]]:
    """UIDs and flags of a mailbox, each message whole."""
    row = stores.open_mailbox(ANN, name)
    messages = stores.repository.messages(ANN.id, row.id)
    for message in messages:
        assert stores.read(ANN.id, row, message) == adoption_child.BODY
    return [(message.uid, message.flags) for message in messages]


@pytest.mark.parametrize("call", CALLS)
def test_killed(children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    monkeypatch.setattr("gateway.store.sqlite.repository.SHARDS", SHARDS)
    monkeypatch.setattr("gateway.store.adopting.MISSING_SECONDS", 0.0)
    for number in range(1, MAX_CALLS, 1 if LONG else CALLS[call]):
        folder = tmp_path / str(number)
        folder.mkdir()
        got_through, was_told = children.attempt(call, number, folder)
        stores = adoption_child.open_stores(folder)
        if number % 2:  # a client or a delivery may come first, or the administrator
            assert len(found(stores)) in (0, 1, 4)
        adoption_child.take_over(folder, stores)
        assert found(stores) == [(5, "S"), (7, ""), (9, ""), (10, "")]
        assert found(stores, "Work") == [(1, "F")]
        assert stores.open_mailbox(ANN, "INBOX").uidvalidity == 77
        assert stores.check(ANN.id) == []
        for place, files in adoption_child.OLD.items():
            assert sorted(os.listdir(folder / "old" / place)) == sorted(files)
        maildir = Path(stores.open(ANN).path)
        assert os.listdir(maildir.parent) == ["Maildir"]
        stores.close()
        if got_through:
            assert was_told
            assert number > 1, f"{call} is never called"
            print(f"killed at each of {number - 1} {call}")
            return
    pytest.fail("never got through")
