"""Group commit: who shares a sync, who gets its error, and that none is served by a sync that began before."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.files import commit as module
from gateway.files.commit import Commit, Grouped, VolumeSync


def together(count: int, act: Callable[[], None]) -> list[BaseException]:
    """Call `act` in so many threads: what was raised."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_those_who_come_meanwhile_share_the_next() -> None:
    begun: list[float] = []
    started, go = threading.Event(), threading.Event()

    def sync() -> None:
        begun.append(time.monotonic())
        started.set()
        go.wait(5)

    grouped = Grouped(sync)
    first = threading.Thread(target=grouped.wait)
    first.start()
    started.wait(5)
    asked = time.monotonic()
    others = [threading.Thread(target=grouped.wait) for _ in range(20)]
    for thread in others:
        thread.start()
    time.sleep(0.1)
    go.set()
    for thread in (first, *others):
        thread.join(5)
    assert len(begun) == 2
    assert begun[1] > asked  # the first sync may not have seen what they wrote
    grouped.wait()
    assert len(begun) == 3


def test_an_error_is_everybodys_and_is_not_kept() -> None:
    calls = []

    def sync() -> None:
        calls.append(1)
        time.sleep(0.05)
        if len(calls) < 3:
            raise OSError(5, "Input/output error")

    grouped = Grouped(sync)
    errors = together(10, grouped.wait)
    assert len(calls) <= 10
    assert len(errors) >= 2
    for _ in range(2):
        grouped.wait()
        calls.append(1)


def test_a_sync_that_is_cut_off_is_no_success() -> None:
    started, go = threading.Event(), threading.Event()
    outcomes: list[str] = []

    def sync() -> None:
        started.set()
        go.wait(5)
        if threading.current_thread().name == "second":
            raise RuntimeError("cut off")

    grouped = Grouped(sync)

    def run() -> None:
        try:
            grouped.wait()
            outcomes.append("synced")
        except (OSError, RuntimeError) as error:
            outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=run, name=name) for name in ("first", "second", "third")]
    for thread in threads:
        thread.start()
        started.wait(5)
        time.sleep(0.05)
    go.set()
    for thread in threads:
        thread.join(5)
    assert sorted(outcomes) == ["OSError", "RuntimeError", "synced"]


def test_nobody_waits_for_ever_under_load() -> None:
    calls = []
    grouped = Grouped(lambda: calls.append(1))
    assert together(50, lambda: [grouped.wait() for _ in range(50)] and None) == []
    assert 0 < len(calls) <= 2_500


@pytest.mark.parametrize("durability", ["fsync", "syncfs"])
def test_files_and_folders_are_synced(tmp_path: Path, durability: str) -> None:
    folders = [tmp_path / str(number) for number in range(40)]
    for folder in folders:
        folder.mkdir()
    commit = Commit(str(tmp_path), durability)
    commit.begin()
    with (tmp_path / "file").open("wb") as file:
        file.write(b"x")
        file.flush()
        commit.file(file.fileno())
    commit.folders(map(str, folders))
    commit.folders([str(folders[0])])
    if durability == "fsync":
        with pytest.raises(FileNotFoundError):
            commit.folders([str(tmp_path / "gone")])
        with pytest.raises(FileNotFoundError):
            commit.folders([*map(str, folders), str(tmp_path / "gone")])
    commit.close()


def test_deliveries_into_one_folder_share_its_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []

    def sync(path: str) -> None:
        synced.append(path)
        time.sleep(0.05)

    monkeypatch.setattr(module, "sync_folder", sync)
    commit = Commit(str(tmp_path), "fsync")
    together(12, lambda: commit.folders([str(tmp_path)]))
    assert 1 <= len(synced) < 12
    assert commit._folders == {}


def test_the_error_of_syncfs_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = VolumeSync(str(tmp_path))
    sync.sync()
    fd = sync._fd
    sync.open()
    assert sync._fd == fd  # kept: an error between two syncs is told to those who had it open
    os.close(fd)
    sync._fd = os.open("/proc/self/status", os.O_RDONLY)
    sync.open()  # another file system
    assert os.fstat(sync._fd).st_dev == tmp_path.stat().st_dev
    sync.close()
    with pytest.raises(FileNotFoundError):
        VolumeSync(str(tmp_path / "gone")).open()
    monkeypatch.setattr(module, "_libc", type("Broken", (), {"syncfs": lambda *_: -1})())
    with pytest.raises(OSError, match=r"."):
        Commit(str(tmp_path), "syncfs").folders([])
