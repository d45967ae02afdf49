"""Everything that the queue does on a disk that is full for a moment, at each step of it; run by a test in a mount
namespace of its own, with a folder.

Whoever was told that it is accepted is served once the disk has room again, once; whoever was not is not served twice.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from queue_child import ACTIONS, REPLIES, Company, Inline
from scripted_smtp import scripted_smtp
from test_queue_killed_at_each_step import Seen, check_end, check_once, look

from directory.model import Deferred
from gateway.service import queue_runner

ACTS = ("attempt", "alias", "list", "rules", "post", "drop-folder", "accept", "accept-half", "accept-journalled")
PAGE = 4096
FREE = (0, 2, 5, 12)  # pages
FULL_SECONDS = 0.1


def fill(path: Path, pages: int) -> None:
    """Until only so many pages are free."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65536)
        except OSError:
            pass
        try:
            while True:
                file.write(b"x" * PAGE)
        except OSError:
            pass
        file.truncate(max(0, file.tell() - pages * PAGE))


async def attempt(company: Company, action: str, filler: Path, pages: int) -> bool:
    """False when it was told that it cannot be done now."""
    todo = ACTIONS[action]
    if (prepared := todo.prepare(company)) is not None:
        await prepared
    fill(filler, pages)
    has_room = asyncio.Event()

    def make_room() -> None:
        filler.unlink()
        has_room.set()

    asyncio.get_running_loop().call_later(FULL_SECONDS, make_room)
    try:
        await todo.act(company)
    except (Deferred, OSError, AssertionError):
        return False
    finally:
        await has_room.wait()
    return True


async def again(company: Company) -> None:
    company.moderation.recover()
    company.sweep()
    await company.work(company.runner())


def outcomes(disk: Path) -> Iterator[tuple[str, bool]]:
    with scripted_smtp(replies=dict(REPLIES)) as far_end:
        for action in ACTS:
            todo = ACTIONS[action]
            for pages in FREE:
                folder = disk / f"{action}-{pages}"
                folder.mkdir()
                company = Company(folder, far_end.port)

                async def first(company: Company = company, action: str = action, pages: int = pages) -> bool:
                    asyncio.get_running_loop().set_default_executor(Inline(1))
                    return await attempt(company, action, disk / "filler", pages)

                was_done = asyncio.run(first())
                later = Company(folder, far_end.port, 3600.0)
                asyncio.run(again(later))
                seen = look(folder, far_end)
                try:
                    if todo.is_accepted or was_done:
                        check_end(seen, todo.fates)
                    assert check_once(seen, Seen()) == 0
                except AssertionError as error:
                    raise AssertionError(f"{action} with {pages} pages: {error}") from error
                yield action, was_done
                shutil.rmtree(folder)
                del company, later, first
                gc.collect()  # a file that is open takes room, though it has no name


def main(folder: Path) -> None:
    disk = folder / "small"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], check=True)
    logging.disable()
    queue_runner.TROUBLE_SECONDS = 0.02
    began, put_off = time.monotonic(), 0
    found = list(outcomes(disk))
    put_off = sum(not was_done for _, was_done in found)
    assert any(not was_done for action, was_done in found if action == "accept"), "the disk was never full"
    print(f"{len(found)} times, {put_off} put off, {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
