"""Hints between processes: heard by who listens, never in anybody's way."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from pathlib import Path

import pytest

from gateway.service.notify import EVERYTHING, Hints


def test_another_process_is_heard(tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    folder = tmp_path / ("a-rather-long-name-" * 10) / "hints"
    code = (
        "import sys; from pathlib import Path; from gateway.service.notify import Hints;"
        "h = Hints(Path(sys.argv[1])); h.send([('src:é 1', 7, 1 << 40)]); h.send([('two', 1, 2)])"
    )

    async def main() -> None:
        hints = Hints(folder)
        hints.listen(lambda *hint: heard.append(hint))
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(folder))
        assert await process.wait() == 0
        for _ in range(100):
            if len(heard) == 2:
                break
            await asyncio.sleep(0.05)
        hints.close()

    asyncio.run(main())
    assert heard == [("src:é 1", 7, 1 << 40), ("two", 1, 2)]
    assert os.listdir(folder) == []


def test_nobody_listens(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in ("hints", "file"):
        hints = Hints(tmp_path / folder)
        hints.send([("a", 1, 1)])
        hints.close()


def test_a_socket_without_a_process_is_removed(tmp_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    left.bind(str(tmp_path / "4711"))
    left.close()
    hints = Hints(tmp_path)
    hints.send([("a", 1, 1)])
    hints.close()
    assert os.listdir(tmp_path) == []


def test_a_stuck_receiver_holds_nobody_up(tmp_path: Path) -> None:
    stuck = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    stuck.bind(str(tmp_path / "1"))
    hints = Hints(tmp_path)
    start = time.monotonic()
    for modseq in range(3_000):
        hints.send([("a", 1, modseq)])
    assert time.monotonic() - start < 10
    stuck.close()
    hints.close()


def test_what_is_no_hint_is_ignored(tmp_path: Path) -> None:
    heard: list[object] = []

    async def main() -> None:
        hints = Hints(tmp_path)
        hints.listen(lambda *hint: heard.append(hint))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            for octets in (b"", b"x", b"1 x a", b"-1 2 a", b"\xff" * 2000, b"1 2 a"):
                sender.sendto(octets, str(tmp_path / str(os.getpid())))
        await asyncio.sleep(0.1)
        hints.close()

    asyncio.run(main())
    assert heard == [("a", 1, 2)]


def test_many_at_once_are_all_heard(tmp_path: Path) -> None:
    changes = [(f"src:{number:036d}", 1, number) for number in range(1000)]
    heard: list[tuple[str, int, int]] = []

    async def main() -> None:
        own, other = Hints(tmp_path), Hints(tmp_path)
        own.listen(lambda *hint: heard.append(hint))
        other.send([*changes, ("x" * 2000, 1, 1)])
        own.send(changes[:3])
        await asyncio.sleep(0)
        for _ in range(100):
            if len(heard) == 1003:
                break
            await asyncio.sleep(0.05)
        own.close()
        other.close()

    asyncio.run(main())
    assert sorted(heard) == sorted([*changes, *changes[:3]])


def test_a_busy_receiver_hears_it_later(tmp_path: Path) -> None:
    """More than the system queues for it: nothing of it is lost."""
    heard: dict[tuple[str, int], int] = {}

    async def main() -> None:
        own, other = Hints(tmp_path), Hints(tmp_path)
        own.listen(lambda account, mailbox, modseq: heard.update({(account, mailbox): modseq}))
        for number in range(1, 2_001):
            other.send([("a", number % 50 + 1, number), ("b", 7, number)])  # while nobody takes anything
        for _ in range(600):
            if len(heard) == 51 and heard["b", 7] == 2_000 and heard["a", 1] == 2_000:
                break
            await asyncio.sleep(0.05)
        own.close()
        other.close()

    asyncio.run(main())
    assert heard == {("b", 7): 2_000, **{("a", number % 50 + 1): number for number in range(1_951, 2_001)}}


@pytest.mark.parametrize("finds", ["who sends", "its successor"])
def test_after_a_kill_all_look_at_everything(tmp_path: Path, finds: str) -> None:
    heard: list[tuple[str, int, int]] = []

    async def main() -> None:
        own, other = Hints(tmp_path), Hints(tmp_path)
        own.listen(lambda *hint: heard.append(hint))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left:
            left.bind(str(tmp_path / "4711"))
        if finds == "who sends":
            other.send([("a", 1, 1)])
        else:
            await asyncio.to_thread(other._send_others, [b""], ())  # as `listen` does, of which there is one a process
        for _ in range(600):
            if EVERYTHING in heard:
                break
            await asyncio.sleep(0.05)
        own.close()
        other.close()

    asyncio.run(main())
    assert EVERYTHING in heard
    assert os.listdir(tmp_path) == []
