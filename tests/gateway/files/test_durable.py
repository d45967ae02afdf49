"""Files that are whole or not there, names that nobody else gives."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.files import names
from gateway.files.durable import make_folders, rename_unique, write_synced
from gateway.files.names import host_id, unique_name


def test_what_was_written_so_far_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def pieces() -> Iterator[bytes]:
        yield b"some"
        raise RuntimeError("the client went away")

    with pytest.raises(RuntimeError):
        write_synced(str(path), pieces())

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_synced(str(path), [b"x"], sync=full)
    assert not path.exists()


def test_nothing_is_overwritten_or_followed(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    assert write_synced(str(path), [b"one ", b"two"], 1_000_000_000.0) == 7
    assert path.stat().st_mtime == 1_000_000_000.0
    assert path.stat().st_mode & 0o777 == 0o600
    link.symlink_to(tmp_path / "other")
    for target in (path, link):
        with pytest.raises(FileExistsError):
            write_synced(str(target), [b"x"])
    assert path.read_bytes() == b"one two"
    assert not (tmp_path / "other").exists()


def test_a_rename_that_was_done_already_is_success(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"x")
    rename_unique(str(source), str(target))
    rename_unique(str(source), str(target))
    with pytest.raises(FileNotFoundError):
        rename_unique(str(source), str(tmp_path / "c"))


def test_folders_are_made_below_the_top_only(tmp_path: Path) -> None:
    make_folders(str(tmp_path), str(tmp_path / "a" / "b"), str(tmp_path / "a" / "c"))
    make_folders(str(tmp_path), str(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match=r"."):
        make_folders(str(tmp_path), str(tmp_path / "file" / "c"))


def test_names_are_unique_and_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names.socket, "gethostname", lambda: "a/b:c,d")
    host = host_id()
    assert not set("/:,") & set(host)
    monkeypatch.setattr(names.time, "time_ns", lambda: 1_700_000_000_123_456_789)  # the clock stands still
    made = {unique_name(host, 3) for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(name.startswith(f"1700000000.M123456P{os.getpid()}_3_") for name in made)
