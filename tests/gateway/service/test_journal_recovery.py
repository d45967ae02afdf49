"""Copies that a crash left are taken into the queue once their message is in nobody's hand."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from native_entries import PROFILE

from directory.memory import MemorySource
from directory.view import View
from gateway.queue.file import QueuedEnvelope, QueueFolder, Target
from gateway.queue.settings import QueueSettings
from gateway.service.journal import JournalDesk
from gateway.service.journal_recovery import AFTER_SECONDS, recover

CONTENT = b"Subject: a copy\n\nbody\n"


class Left:
    """A queue with copies in it that nobody has committed."""

    def __init__(self, folder: Path) -> None:
        self.queue = QueueFolder(folder / "queue", QueueSettings(min_free_bytes=0))
        view = View(MemorySource(PROFILE), PROFILE)
        self.journals = JournalDesk(view, self.queue, folder / "none", "mx.example", lambda: b"k" * 32)
        self.now = time.time()

    def write(self, name: str, age: float = 2 * AFTER_SECONDS, journal_of: str = "a.example") -> Path:
        size = len(CONTENT)
        target = Target("j@keep.example")
        self.queue.write(
            QueuedEnvelope(name, "", self.now, (target,), size, size + 3, journal_of=journal_of), [CONTENT]
        )
        path = self.queue.folder / "tmp" / name
        os.utime(path, (self.now - age, self.now - age))
        return path

    def recover(self) -> tuple[int, set[str]]:
        return recover(self.queue, self.journals, self.now), self.queue.ids()

    @property
    def unfinished(self) -> set[str]:
        return set(os.listdir(self.queue.folder / "tmp"))


@pytest.fixture
def left(tmp_path: Path) -> Left:
    return Left(tmp_path)


def test_whole_copies_come_into_the_queue(left: Left) -> None:
    left.write("1.a.J0")
    left.write("1.a.J1")
    assert left.recover() == (2, {"1.a.J0", "1.a.J1"})
    assert b"".join(left.queue.content("1.a.J0")) == CONTENT
    assert left.recover() == (0, {"1.a.J0", "1.a.J1"}) and left.unfinished == set()


def test_a_copy_whose_message_may_be_in_hand_waits(left: Left) -> None:
    left.write("1.a.J0", age=AFTER_SECONDS / 2)
    assert left.recover() == (0, set())
    left.now += AFTER_SECONDS
    assert left.recover() == (1, {"1.a.J0"})


def test_the_copy_that_names_everybody_comes_before_the_one_that_names_some(left: Left) -> None:
    left.write("1.a.J0")
    left.write("1.a.J0p")
    left.write("1.b.J0p")
    assert left.recover() == (2, {"1.a.J0", "1.b.J0p"})
    assert left.unfinished == set()


def test_half_a_copy_and_what_is_no_copy_stay(left: Left) -> None:
    torn = left.write("1.a.J0")
    torn.write_bytes(torn.read_bytes()[:-1])
    os.utime(torn, (left.now - 2 * AFTER_SECONDS, left.now - 2 * AFTER_SECONDS))
    left.write("1.b")
    left.write("1.c.J0", journal_of="")
    assert left.recover() == (0, set())
    assert left.unfinished == {"1.a.J0", "1.b", "1.c.J0"}
    left.queue.clean()
    assert left.unfinished == {"1.a.J0", "1.b", "1.c.J0"}, "too young to be thrown away"
    for name in left.unfinished:
        os.utime(left.queue.folder / "tmp" / name, (0, 0))
    left.queue.clean()
    assert left.unfinished == set()
