"""From a failed copy to a parked member: our own report goes to the member's return path and is understood there."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from list_company import Desk

from directory.model import Condition, Deferred, Refused
from gateway.lists.addresses import served
from gateway.lists.settings import ListSettings
from gateway.mail.settings import BounceSettings
from gateway.queue.file import QueuedEnvelope
from gateway.queue.list_state import bounces
from gateway.route.plan import Local, Remote
from gateway.service.accept import target_of
from gateway.service.reporting import Reporter, Result

NO = Refused(Condition.REMOTE_REFUSED, "no", status="5.1.1", host="mx.far.example", reply="550 5.1.1 who?")
LATE = Deferred(Condition.REMOTE_DEFERRED, "later", status="4.4.1", host="mx.far.example")


@pytest.mark.parametrize(("outcome", "member", "score"), [
    (NO, "out@far.example", 1.0), (LATE, "out@far.example", 0.5), (NO, "ann@example.com", 1.0),
])  # fmt: skip
def test_our_own_reports_are_counted(tmp_path: Path, outcome: Refused | Deferred, member: str, score: float) -> None:
    desk = Desk(tmp_path, settings=ListSettings(bounce_limit=2))
    reporter = Reporter(desk.queue, desk.router, BounceSettings(), hostname="mx.example.com", bell=tmp_path / "none",
                        lifetime=432000.0)  # fmt: skip
    steps = desk.router.route("team@example.com", time.time()).steps
    (step,) = [s for s in steps if isinstance(s, Local | Remote) and s.recipient == member]
    target = target_of(step, "author@else.example")
    assert target.list == desk.team.id
    content = b"Subject: hello\n\nbody\n"
    for number in ("a", "b", "c", "d"):
        envelope = QueuedEnvelope(number, "author@else.example", 0.0, (target,), len(content), 24, vouched=True)
        reporter.report(envelope, [Result(target, "failed", outcome)], lambda: iter((content,)), time.time())
        ((recipients, path, octets),) = desk.sent()
        assert path == ""
        assert "author" not in recipients[0]
        found = served(recipients[0].partition("@")[0])
        assert found is not None
        assert bool(found[2]) == (member == "out@far.example"), "a token for members outside"
        asyncio.run(desk.handle("bounce", octets, return_path="", number=number, token=found[2]))
        (one,) = bounces(tmp_path / "lists.db", desk.team.id)
        assert one.member == member
        if number == "a":
            assert one.score == score
        if one.parked is not None:
            ((told, _, _),) = desk.sent()
            assert told == ["team-owner@example.com"]
            break
    assert desk.state.parked(desk.team.id) == {member}
    assert member not in [s.recipient for s in desk.router.route("team@example.com", time.time()).steps]
    desk.close()
