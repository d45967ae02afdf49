"""Several messages by one call: all of them or none, whatever fails, and each on disk before it has a name."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest
from store_bench import Bench, person

from directory.model import Condition, Deferred, Refused
from gateway.store import appending, delivering
from gateway.store.appending import NewContent
from gateway.store.delivering import LfPieces
from gateway.store.repository import INBOX, Limits

ANN = person()
THREE = [NewContent([b"Subject: %d\r\n\r\nx\r\n" % number], "S", "work", 1e9 + number) for number in range(3)]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, "memory")


def nothing_is_there(bench: Bench) -> bool:
    maildir = Path(bench.stores.open(ANN).path)
    row = bench.stores.repository.mailbox(ANN.id, INBOX)
    assert row is not None
    account = bench.stores.repository.account(ANN.id)
    assert account is not None
    files = [file for place in ("tmp", "cur") for file in os.listdir(maildir / place)]
    return not files and not bench.stores.repository.messages(ANN.id, row.id) and not account.used_bytes


def test_all_of_them(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(appending, "sync_file", lambda path, _: synced.append(os.path.basename(path)))
    rows = bench.stores.append_all(ANN, INBOX, THREE)
    assert [row.uid for row in rows] == [1, 2, 3]
    assert {row.modseq for row in rows} == {rows[0].modseq}
    assert [(row.flags, row.keywords, row.internaldate) for row in rows] == [("S", "work", 1e9 + n) for n in range(3)]
    assert synced == [row.ukey for row in rows]


@pytest.mark.parametrize("step", ["write", "sync", "place", "rename"])
@pytest.mark.parametrize("at", [1, 3])
def test_none_of_them(bench: Bench, monkeypatch: pytest.MonkeyPatch, step: str, at: int) -> None:
    where, name = {
        "write": (appending, "write_synced"),
        "sync": (appending, "sync_file"),
        "place": (bench.stores.repository, "add"),
        "rename": (delivering, "rename_unique"),
    }[step]
    bench.stores.open(ANN)
    real, calls = getattr(where, name), []

    def failing(*arguments: object, **more: object) -> object:
        calls.append(arguments)
        if step == "place":
            raise Deferred(Condition.STORE_UNAVAILABLE)
        if len(calls) == at:
            raise OSError(errno.ENOSPC, "no space")
        return real(*arguments, **more)

    monkeypatch.setattr(where, name, failing)
    with pytest.raises(Deferred):
        bench.stores.append_all(ANN, INBOX, THREE)
    monkeypatch.undo()
    assert nothing_is_there(bench)
    assert [row.uid for row in bench.stores.append_all(ANN, INBOX, THREE)][-1] >= 3


def test_what_does_not_fit(bench: Bench) -> None:
    bench.stores.open(ANN)
    with pytest.raises(Refused):
        bench.stores.append_all(ANN, INBOX, THREE, Limits(messages=2))
    assert nothing_is_there(bench)


@pytest.mark.parametrize(
    "text", [b"a\r\r\nb\r\n", b"\r\r\r", b"\r\n\r\n", b"a\rb\r\r\r\nc\r", b"", b"\n\r\n\r\r", b"a\r\r\rb\n"]
)
def test_no_crlf_is_stored_however_it_comes(text: bytes) -> None:
    expected = re.sub(rb"\r+\n", b"\n", text)
    for first in range(len(text) + 1):
        for second in range(first, len(text) + 1):
            pieces = LfPieces([text[:first], text[first:second], text[second:]])
            assert b"".join(pieces) == expected
            assert (pieces.size, pieces.crlf) == (len(expected), len(expected) + expected.count(b"\n"))
