"""What follows a stop: mail is held and the postmaster told, of each account whatever is in trouble with another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from queue_bench import BODY, PROFILE, Bench

from directory.model import Condition, Deferred
from directory.view import View
from gateway.queue.brakes import Brakes
from gateway.queue.file import QueuedEnvelope, Target
from gateway.queue.sending_facts import SendingFacts
from gateway.service.brake_desk import BrakeDesk

NOTICE = ".B"


def desk(bench: Bench, folder: Path) -> tuple[BrakeDesk, Brakes]:
    brakes = Brakes(folder / "brakes.db")
    facts = SendingFacts(folder / "sending.db", 86400)
    view = View(bench.directory, PROFILE)
    return BrakeDesk(
        brakes, facts, bench.runner, bench.folder, bench.state, view, "mx.example", folder / "none", lambda: bench.now
    ), brakes  # fmt: skip


def put(bench: Bench, message: str, owner: str) -> None:
    bench.folder.inject(
        QueuedEnvelope(message, "me@example.com", bench.now, (Target("x@far.example"),), len(BODY), len(BODY),
                       login=owner, owner=owner, not_before=bench.now + 60), [BODY]
    )  # fmt: skip


def notices(bench: Bench) -> list[bytes]:
    return [b"".join(bench.folder.content(name)) for name in sorted(bench.folder.ids()) if NOTICE in name]


@pytest.mark.parametrize("trouble", [Deferred(Condition.QUEUE_FULL), ValueError("a bug")])
def test_one_who_cannot_be_told_of_keeps_no_other_unheld_and_untold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    bench = Bench(tmp_path)
    for message, owner in (("m1", "t:ann"), ("m2", "t:bob"), ("m3", "t:cid")):
        put(bench, message, owner)
    bench.runner.look()
    tending, brakes = desk(bench, tmp_path)
    for owner in ("t:ann", "t:bob", "t:cid"):
        assert brakes.stop(owner, "recipients", "1001 recipients", "brake", bench.now)
    good = bench.folder.inject

    def fails(envelope: QueuedEnvelope, pieces: Sequence[bytes], *, is_report: bool = False) -> None:
        if b"ann" in b"".join(pieces):
            raise trouble
        good(envelope, pieces, is_report=is_report)

    monkeypatch.setattr(bench.folder, "inject", fails)
    asyncio.run(tending.tend())
    assert [bench.state.targets(name)[0].state for name in ("m1", "m2", "m3")] == ["held"] * 3
    assert len(notices(bench)) == 2
    assert [one.account for one in brakes.untold()] == ["t:ann"]
    monkeypatch.setattr(bench.folder, "inject", good)
    asyncio.run(tending.tend())
    assert brakes.untold() == []
    assert len(notices(bench)) == 3
    assert all(b"is on hold: 1 message at the moment" in text for text in notices(bench)), "also the second time"
    brakes.close()
