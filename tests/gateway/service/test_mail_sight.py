"""Who sees what of queued messages, and may change it."""

from __future__ import annotations

from typing import Any

import pytest

from directory.model import Account
from directory.rights import READS_ONLY, Actor
from gateway.control.server import Caller, VerbError
from gateway.queue.file import QueuedEnvelope, Target
from gateway.service.mail_sight import Hand, Sight, sight

OURS, THEIRS = "ours.example", "theirs.example"
PEOPLE = {
    "t:ann": Account(id="t:ann", dn="uid=ann", addresses=(f"ann@{OURS}",)),
    "t:both": Account(id="t:both", dn="uid=both", addresses=(f"both@{OURS}", f"both@{THEIRS}")),
    "t:far": Account(id="t:far", dn="uid=far", addresses=(f"far@{THEIRS}",)),
}


class Actors:
    """Of somebody who may look at and change the mail of these domains; None = all."""

    def __init__(
        self, looks: frozenset[str] | None, changes: frozenset[str] | None, *, reads_only: bool = False
    ) -> None:
        self._looks, self._changes, self._reads_only = looks, changes, reads_only
        self.directory = self
        self.rights = self

    def by_id(self, entry_id: str) -> Any:
        return PEOPLE.get(entry_id)

    def actor(self, caller: Caller) -> Actor:
        return Actor("uid=who", PEOPLE["t:ann"], reads_only=self._reads_only)

    def mail_domains(self, actor: Actor, *, to_change: bool = False) -> frozenset[str] | None:
        return self._changes if to_change else self._looks


def eye_and_hand(*of: Any, **more: Any) -> tuple[Sight, Hand]:
    return sight(Actors(*of, **more), Caller(0, None))  # type: ignore[arg-type]


def message(*targets: Target, login: str = "", path: str = f"who@{OURS}") -> QueuedEnvelope:
    return QueuedEnvelope("m", path, 1.0, targets, 1, 1, login=login, owner=login)


def seen(eye: Sight, envelope: QueuedEnvelope) -> list[str]:
    return [each.address for each in eye.targets(envelope)]


HIS = frozenset({OURS})


def test_what_somebody_writes_as_the_sender_counts_for_nothing() -> None:
    eye, hand = eye_and_hand(HIS, HIS)
    forged = message(Target(f"far@{THEIRS}"), path=f"boss@{OURS}")
    assert seen(eye, forged) == [] and hand.refusal(forged)


def test_of_a_message_from_elsewhere_his_recipients_are_seen() -> None:
    eye, hand = eye_and_hand(HIS, HIS)
    mixed = message(
        Target(f"ANN@{OURS.upper()}"),
        Target(f"far@{THEIRS}", account="t:far"),
        Target("x@out.example", account="t:ann"),
    )
    assert seen(eye, mixed) == [f"ANN@{OURS.upper()}", "x@out.example"]
    assert "other domains too" in hand.refusal(mixed)
    assert hand.refusal(message(Target(f"ann@{OURS}"))) == ""


def test_of_what_his_people_sent_all_is_seen_but_not_where_it_led() -> None:
    eye, hand = eye_and_hand(HIS, HIS)
    sent = message(
        Target("x@out.example"),
        Target("secret@out.example", account="t:far", original=f"alias@{THEIRS}"),
        Target("member@out.example", list="t:list"),
        login="t:ann",
    )
    assert seen(eye, sent) == ["x@out.example", f"alias@{THEIRS}"]
    assert [each.with_reply for each in eye.targets(sent)] == [True, False]
    assert "other domains too" in hand.refusal(sent), "copies of another domain's list are that one's business"
    assert hand.refusal(message(Target("x@out.example"), login="t:ann")) == ""
    assert seen(eye, message(Target("x@out.example"), login="t:both")) == [], "he is somebody of another domain, too"
    assert seen(eye, message(Target("x@out.example"), login="uid 1000")) == []


def test_the_help_desk_looks_and_changes_where_it_administers() -> None:
    eye, hand = eye_and_hand(None, frozenset())
    far = message(Target(f"far@{THEIRS}"))
    assert seen(eye, far) == [f"far@{THEIRS}"] and "help desk looks" in hand.refusal(far)
    eye, hand = eye_and_hand(None, HIS)
    assert seen(eye, far) and "other domains" in hand.refusal(far) and not hand.refusal(message(Target(f"ann@{OURS}")))


def test_administrators_do_everything_with_a_token_that_may_write() -> None:
    far = message(Target(f"far@{THEIRS}"))
    assert eye_and_hand(None, None)[1].refusal(far) == ""
    assert eye_and_hand(None, None, reads_only=True)[1].refusal(far) == READS_ONLY


def test_domains_are_known_in_every_script() -> None:
    eye, _ = eye_and_hand(frozenset({"xn--fsqu00a.example"}), frozenset())
    assert eye.has("wei@例子.example") and eye.has("wei@XN--FSQU00A.example") and not eye.has("no address")


def test_others_see_nothing() -> None:
    with pytest.raises(VerbError) as refused:
        eye_and_hand(frozenset(), frozenset())
    assert refused.value.code == 5
