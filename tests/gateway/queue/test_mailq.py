"""The queue as mailq prints it."""

from __future__ import annotations

from pathlib import Path

from gateway.queue.file import MESSAGES, QueuedEnvelope, QueueFolder, Target
from gateway.queue.listing import HEAD, listing
from gateway.queue.settings import QueueSettings
from gateway.queue.state import DONE, WAITING, Arrived, QueueState, TargetRow


def test_listing(tmp_path: Path) -> None:
    folder = QueueFolder(tmp_path, QueueSettings(min_free_bytes=0))
    assert list(listing(tmp_path / MESSAGES, tmp_path / "queue.db")) == ["Mail queue is empty"]
    assert list(listing(tmp_path / "nowhere", tmp_path / "queue.db")) == ["Mail queue is empty"]
    targets = (Target("you@far.example"), Target("other@far.example"))
    folder.inject(QueuedEnvelope("1.a", "me@example.com", 0.0, targets, 2048, 2100), [b"x" * 2048])
    folder.inject(QueuedEnvelope("2.b", "", 1.0, targets[:1], 1024, 1100), [b"x" * 1024])
    (tmp_path / MESSAGES / "3.c").write_bytes(b"garbage\n")
    lines = list(listing(tmp_path / MESSAGES, tmp_path / "queue.db"))
    assert lines[0] == HEAD
    assert lines[1].startswith("1.a     2048 ")
    assert lines[1].endswith(" me@example.com")
    assert [line.strip() for line in lines[2:4]] == ["you@far.example", "other@far.example"]
    assert lines[5].endswith(" <>")
    assert "damaged" in lines[-2]
    assert lines[-1] == "-- 3 Kbytes in 3 Requests."


def test_who_has_it_is_left_out_and_the_last_answer_is_told(tmp_path: Path) -> None:
    folder = QueueFolder(tmp_path, QueueSettings(min_free_bytes=0))
    targets = tuple(Target(f"{name}@far.example") for name in ("got", "waits", "new"))
    folder.inject(QueuedEnvelope("1.a", "me@example.com", 0.0, targets, 1, 1), [b"x"])
    state = QueueState(tmp_path / "queue.db")
    state.add([Arrived("1.a", 2, 0.0)])  # the third is not known to the runner yet
    state.claim("1.a", 0.0)
    state.record("1.a", [TargetRow(0, DONE, 1, 0.0, "250 ok"), TargetRow(1, WAITING, 1, 9.0, "421 busy")])
    lines = list(listing(tmp_path / MESSAGES, tmp_path / "queue.db"))
    state.close()
    assert [line.strip() for line in lines[2:]] == [
        "(421 busy)", "waits@far.example", "new@far.example", "", "-- 0 Kbytes in 1 Requests.",
    ]  # fmt: skip
