"""Taking responsibility: direct delivery, half failures, over quota, LMTP; the queue is real, the stores obey."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from native_entries import PROFILE

from directory.memory import MemorySource
from directory.model import Account, Condition, Deferred, MailboxHolder, Refused
from directory.view import View
from gateway.mail.envelope import Envelope, EnvelopeRecipient
from gateway.queue.file import QueuedEnvelope, QueueFolder, Target
from gateway.queue.grace import QuotaGrace
from gateway.queue.replied import Replied
from gateway.queue.settings import QueueSettings
from gateway.route.plan import Later, Local, Lost, Plan, Remote, Step
from gateway.service.accept import Acceptance, Arrival
from gateway.service.final_delivery import FinalDelivery
from gateway.service.reporting import Result
from gateway.service.vacation import Vacation
from gateway.store.repository import Limits, MessageRow
from gateway.store.stores import Target as StoreTarget

TROUBLE = Deferred(Condition.STORE_UNAVAILABLE)
FULL = Refused(Condition.MAILBOX_FULL)


class Stores:
    """Takes everything but what it is told not to."""

    def __init__(self) -> None:
        self.problems: dict[str, Deferred | Refused] = {}
        self.delivered: list[tuple[str, bytes]] = []
        self.repository = self
        self.used = 0
        self.soft = 0
        self.room: int | None = None
        self.has_index = True
        self.hanging: set[str] = set()

    def deliver_many(
        self, targets: Sequence[StoreTarget], pieces: Iterable[bytes], size: int, crlf: int
    ) -> list[MessageRow | Deferred | Refused]:
        content = b"".join(pieces)
        assert (size, crlf) == (len(content), len(content.replace(b"\n", b"\r\n")))
        outcomes: list[MessageRow | Deferred | Refused] = []
        for target in targets:
            if target.holder.id in self.problems:
                outcomes.append(self.problems[target.holder.id])
                continue
            self.delivered.append((target.holder.id, content))
            outcomes.append(MessageRow(len(self.delivered), 1, "", "", size, crlf, 0.0, 0.0, "u", "n"))
        return outcomes

    def check_takes_mail(self, holder: MailboxHolder) -> None:
        if holder.id in self.hanging:
            raise TROUBLE

    def limits(self, holder: MailboxHolder, *, note: bool = True) -> Limits:
        assert not note, "RCPT writes nothing"
        return Limits(self.soft or holder.quota or 0, 0)

    def room_of_domain(self, holder: MailboxHolder) -> int | None:
        return self.room

    def account(self, account: str) -> object:
        return SimpleNamespace(used_bytes=self.used, used_messages=0)


def local(name: str, return_path: str | None = None, quota: int | None = None) -> Local:
    return Local(Account(id=name, dn=name, quota=quota), f"{name}@example.com", return_path)


class Desk:
    def __init__(self, folder: Path, settings: QueueSettings | None = None) -> None:
        self.stores = Stores()
        self.queue = QueueFolder(folder / "queue", settings or QueueSettings())
        self.grace = QuotaGrace(folder / "grace.db", 100)
        view = View(MemorySource(PROFILE), PROFILE)
        vacation = Vacation(view, Replied(folder / "replied.db"), self.queue, folder / "none", "here.example", "+")
        delivery = FinalDelivery(self.stores, self.grace, vacation)  # type: ignore[arg-type]
        self.told: list[tuple[str, str, str]] = []
        self.acceptance = Acceptance(self.stores, self.queue, self.grace, delivery, self, folder / "none")  # type: ignore[arg-type]

    def report(self, envelope: QueuedEnvelope, results: Sequence[Result], content: object, now: float) -> None:
        """As a reporter does."""
        self.told += [(result.kind, result.target.address, result.target.original) for result in results]

    def take(self, *recipients: tuple[Step, ...], by_lmtp: bool = False, return_path: str = "a@b.example") -> list[str]:
        envelope = Envelope(return_path, {}, [EnvelopeRecipient("x", Plan(steps)) for steps in recipients])
        arrival = Arrival("id1", envelope, b"Received: x\n", [b"Subject: y\n\n", b"z\n"], "::1", "mx", by_lmtp)
        outcomes = self.acceptance.take(arrival)
        return [str(o.condition.code) if o is not None else "ok" for o in outcomes]

    def queued(self) -> list[str]:
        return [t.address.partition("@")[0] for m in self.queue.ids() for t in self.queue.read(m).targets]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_direct_delivery_needs_no_queue_file(desk: Desk) -> None:
    assert desk.take((local("ann"),), (local("bob", "list-bounces@x"), local("ann"))) == ["ok", "ok"]
    rest = b"Received: x\nSubject: y\n\nz\n"
    assert desk.stores.delivered == [
        ("ann", b"Return-Path: <a@b.example>\n" + rest), ("bob", b"Return-Path: <list-bounces@x>\n" + rest),
    ]  # fmt: skip
    assert desk.queued() == []


def test_a_report_stays_a_report(desk: Desk) -> None:
    desk.take((local("bob", "list-bounces@x"),), return_path="")
    assert desk.stores.delivered[0][1].startswith(b"Return-Path: <>\n")


@pytest.mark.parametrize("other", [Remote("out@far.example"), Later("out@example.com", "", TROUBLE)])
def test_anything_else_is_queued_whole(desk: Desk, other: Step) -> None:
    assert desk.take((local("ann"), other)) == ["ok"]
    assert desk.stores.delivered == []
    assert desk.queued() == ["ann", "out"]


def test_half_a_failure_goes_to_the_queue(desk: Desk) -> None:
    desk.stores.problems = {"bob": TROUBLE, "cat": FULL}
    assert desk.take((local("ann"),), (local("bob"),), (local("cat"),)) == ["ok"] * 3
    assert sorted(desk.queued()) == ["bob", "cat"]


def test_store_trouble_alone_goes_to_the_queue_and_only_without_it_is_it_451(tmp_path: Path, desk: Desk) -> None:
    desk.stores.problems = {"bob": TROUBLE}
    assert desk.take((local("bob"),)) == ["ok"]
    assert desk.queued() == ["bob"]
    full = Desk(tmp_path / "full", QueueSettings(max_messages=0)) if (tmp_path / "full").mkdir() is None else desk
    full.stores.problems = {"bob": TROUBLE}
    assert full.take((local("bob"),)) == ["451"]
    assert full.take((local("ann"),), (local("bob"),)) == ["ok", "451"]


def test_over_quota_is_answered_in_the_session(desk: Desk) -> None:
    desk.stores.problems = {"ann": FULL}
    assert desk.take((local("ann"),)) == ["452"]
    assert isinstance(desk.grace.full("ann", 1e12), Refused)
    assert desk.queued() == []
    desk.stores.problems = {}
    assert desk.take((local("ann"),)) == ["ok"]
    assert isinstance(desk.grace.full("ann", 1e12), Deferred)


def test_full_mailbox_is_answered_at_rcpt(desk: Desk) -> None:
    desk.stores.used = 100
    desk.acceptance.check_room(Plan((local("ann", quota=101),)))
    desk.acceptance.check_room(Plan((local("ann", quota=100), local("bob"))))
    with pytest.raises(Deferred) as caught:
        desk.acceptance.check_room(Plan((local("ann", quota=100),)))
    assert caught.value.condition.code == 452


def test_a_soft_quota_whose_grace_is_over_is_answered_at_rcpt(desk: Desk) -> None:
    desk.stores.used = 100
    plan = Plan((local("ann", quota=1000),))
    desk.acceptance.check_room(plan)
    desk.stores.soft = 100
    with pytest.raises(Deferred) as caught:
        desk.acceptance.check_room(plan)
    assert caught.value.condition is Condition.MAILBOX_FULL_FOR_NOW


def test_a_volume_that_hangs_is_answered_at_rcpt(desk: Desk) -> None:
    desk.stores.hanging = {"ann"}
    desk.acceptance.check_room(Plan((local("bob"),)))
    with pytest.raises(Deferred) as caught:
        desk.acceptance.check_room(Plan((local("ann"),)))
    assert caught.value.condition is Condition.STORE_UNAVAILABLE


def test_lmtp_answers_for_each_recipient_and_queues_nothing(desk: Desk) -> None:
    desk.stores.problems = {"bob": TROUBLE, "cat": FULL}
    assert desk.take((local("ann"),), (local("bob"),), (local("cat"),), by_lmtp=True) == ["ok", "451", "452"]
    assert desk.queued() == []


def test_a_roomy_mailbox_is_not_asked_for_each_message(desk: Desk) -> None:
    plan = Plan((local("ann", quota=1000),))
    desk.stores.used = 799
    desk.acceptance.check_room(plan)
    desk.stores.used = 1000
    desk.acceptance.check_room(plan)
    with pytest.raises(Deferred):
        desk.acceptance.check_room(Plan((local("ann", quota=999),)))


def test_a_full_domain_is_told_at_rcpt_as_a_full_mailbox_is(desk: Desk) -> None:
    plan = Plan((local("ann"),))
    desk.stores.room = 1
    desk.acceptance.check_room(plan)
    desk.stores.room = 0
    with pytest.raises(Deferred, match="gatepostDomainQuota") as caught:
        desk.acceptance.check_room(plan)
    assert caught.value.condition.code == 452


def notified(desk: Desk, *steps: Step, notify: str, lost: tuple[Lost, ...] = (), vouched: bool = True) -> Target:
    recipient = EnvelopeRecipient("x@example.com", Plan(steps, lost=lost), {"NOTIFY": notify, "ORCPT": "rfc822;x"})
    envelope = Envelope("a@b.example", {}, [recipient])
    arrival = Arrival("id2", envelope, b"", [b"Subject: y\n\n"], "::1", "mx", vouched=vouched)
    assert desk.acceptance.take(arrival) == [None]
    for message in desk.queue.ids():
        return desk.queue.read(message).targets[0]
    return Target("")


def test_success_of_a_direct_delivery_is_told(desk: Desk) -> None:
    notified(desk, local("ann"), notify="SUCCESS")
    assert desk.told == [("delivered", "ann@example.com", "x@example.com")]
    notified(desk, local("ann"), notify="FAILURE")
    assert len(desk.told) == 1


def test_success_of_what_is_queued_is_told_later_and_of_what_is_spread_now(desk: Desk) -> None:
    assert notified(desk, Remote("o@far.example"), notify="success,failure") == Target(
        "o@far.example", notify=("SUCCESS", "FAILURE"), orcpt="rfc822;x", original="x@example.com"
    )
    assert desk.told == []
    assert notified(desk, Remote("o@far.example"), local("ann"), notify="SUCCESS").notify == ("NEVER",)
    assert desk.told == [("expanded", "x@example.com", "")]


def test_a_lost_target_is_told_of(desk: Desk) -> None:
    notified(desk, local("ann"), notify="FAILURE", lost=(Lost("gone@example.com", FULL),))
    assert desk.told == [("failed", "gone@example.com", "x@example.com")]


def test_a_report_that_cannot_be_queued_does_not_touch_the_delivery(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise TROUBLE

    monkeypatch.setattr(desk, "report", fail)
    notified(desk, local("ann"), notify="SUCCESS")
    assert [holder for holder, _ in desk.stores.delivered] == ["ann"]
