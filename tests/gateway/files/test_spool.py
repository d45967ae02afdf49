"""Messages kept in a file while they arrive: nothing is left behind, memory stays small, the octets are the same."""

from __future__ import annotations

import os
import threading
import tracemalloc
from pathlib import Path

import pytest

from gateway.files.durable import write_synced
from gateway.files.spool import PIECE, Joined, Spool, lines_of, prefixed, size_of


def filled(folder: Path, size: int) -> tuple[Spool, bytes]:
    content = (b"0123456789abcde\n" * (size // 16 + 1))[:size]
    spool = Spool(str(folder))
    for start in range(0, size, 100_000):
        spool.append([content[start : start + 50_000], content[start + 50_000 : start + 100_000]])
    return spool, content


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 77])
def test_what_comes_out_went_in(tmp_path: Path, size: int) -> None:
    spool, content = filled(tmp_path, size)
    assert b"".join(spool) == content
    assert spool.size == size_of(spool) == size
    assert spool.lines == lines_of(spool) == content.count(b"\n")
    assert all(len(piece) <= PIECE for piece in spool)
    if size:
        assert spool[-1] == list(spool)[-1]
    with pytest.raises(IndexError):
        spool[len(spool)]
    joined = Joined([b"a\n", b"b"], spool)
    assert b"".join(joined) == b"".join(joined[:]) == b"a\nb" + content
    assert len(list(joined)) == len(joined)
    assert joined[1] == b"b"
    assert joined.size == size + 3
    whole = prefixed(b"head\n", joined)
    assert b"".join(whole) == b"head\na\nb" + content
    assert (size_of(whole), lines_of(whole)) == (size + 8, content.count(b"\n") + 2)
    assert prefixed(b"x", [b"y"]) == [b"x", b"y"]


def test_the_file_has_no_name_and_its_descriptor_goes_with_the_last_user(tmp_path: Path) -> None:
    spool, content = filled(tmp_path, 1000)
    fd = spool._fd
    assert os.listdir(tmp_path) == []
    joined = Joined([], spool)
    del spool
    assert b"".join(joined) == content
    del joined
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_a_reader_in_another_thread_is_not_cut_off_when_the_session_ends(tmp_path: Path) -> None:
    spool, content = filled(tmp_path, 4 * PIECE)
    got: list[bytes] = []
    begun, go = threading.Event(), threading.Event()

    def read(pieces: Joined) -> None:
        begun.set()
        go.wait(10)
        got.append(b"".join(pieces))

    thread = threading.Thread(target=read, args=(Joined([], spool),))
    thread.start()
    begun.wait(10)
    del spool
    go.set()
    thread.join(10)
    assert got == [content]


def test_copying_a_large_message_takes_little_memory(tmp_path: Path) -> None:
    spool, content = filled(tmp_path, 30 * 1024 * 1024)
    pieces = prefixed(b"Received: x\n", Joined([b"Subject: y\n\n"], spool))
    tracemalloc.start()
    try:
        write_synced(str(tmp_path / "copy"), pieces)
        assert size_of(pieces) == 25 - 1 + len(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * PIECE
    assert (tmp_path / "copy").stat().st_size == size_of(pieces)


def test_no_room_is_an_error_and_a_missing_folder_too(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        Spool(str(tmp_path / "missing"))
    if not Path("/dev/full").exists():
        return
    spool = Spool(str(tmp_path))
    os.dup2(os.open("/dev/full", os.O_RDWR), spool._fd)
    with pytest.raises(OSError, match="No space left"):
        spool.append([b"x" * 100])
