"""Copies for journals: which, with whom, on disk before the answer, and nothing of what was not accepted."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Sequence
from email.message import EmailMessage
from pathlib import Path
from types import SimpleNamespace

import pytest
from native_entries import PROFILE, entry

from directory.memory import MemorySource
from directory.model import Condition, Deferred, Refused
from directory.view import View
from gateway.deliver.port import Taken
from gateway.files.spool import Spool
from gateway.mail.envelope import Envelope, EnvelopeRecipient
from gateway.mail.settings import BounceSettings
from gateway.queue.file import QueuedEnvelope, QueueFolder
from gateway.queue.settings import QueueSettings
from gateway.route.router import Router
from gateway.service.accept import Acceptance, Arrival
from gateway.service.final_delivery import Outcome
from gateway.service.journal import JournalDesk
from gateway.service.reporting import Reporter, Result

KEY = b"k" * 32
MESSAGE = b"Message-ID: <1@x>\nSubject: hello\n\nbody\n"


def domain(name: str, *journal: str, **more: str | list[str]):  # type: ignore[no-untyped-def]
    return entry(
        f"cn={name}", "gatepostEntry gatepostDomain", gatepostDomainName=name, gatepostJournal=list(journal), **more
    )


def person(name: str, *addresses: str):  # type: ignore[no-untyped-def]
    return entry(f"uid={name}", "gatepostAccount", uid=name, mail=addresses[0], gatepostAddress=list(addresses))


COMPANY = (
    domain("a.example", "j@keep.example", gatepostDomainAlias="also.example"),
    domain("b.example", "j@b.example", "j2@b.example"),
    domain("c.example", "J@keep.example"),
    domain("free.example"),
    person("ann", "ann@a.example", "ann@free.example"),
    person("bea", "bea@b.example"),
    person("cyd", "cyd@c.example"),
    person("fay", "fay@free.example", "fay@a.example"),
    person("fred", "fred@free.example"),
    entry("cn=all", "gatepostEntry gatepostList", cn="all", mail="all@free.example", gatepostAddress="all@free.example",
          gatepostMemberAddress=["ann@a.example", "fred@free.example"]),
)  # fmt: skip


class Desk:
    """An acceptance over real queue files; `outcomes` are what deliveries become."""

    def __init__(self, folder: Path, queue: QueueSettings | None = None) -> None:
        self.view = View(MemorySource(PROFILE, COMPANY), PROFILE)
        self.router = Router(self.view)
        self.queue = QueueFolder(folder / "queue", queue or QueueSettings())
        self.outcomes: dict[str, Deferred | Refused] = {}
        self.delivered: list[str] = []
        stores = SimpleNamespace(volume_name=lambda holder: "main")
        self.acceptance = Acceptance(
            stores, self.queue, None, self, None, folder / "none",  # type: ignore[arg-type]
            JournalDesk(self.view, self.queue, folder / "none", "mx.example", lambda: KEY),
        )  # fmt: skip

    def deliver(self, steps: Sequence[object], path: str, content: Sequence[bytes], message: str) -> list[Outcome]:
        """As FinalDelivery does. A copy is on disk before, and not in the queue."""
        self.tmp = len(list((self.queue.folder / "tmp").iterdir()))
        self.in_queue = len(self.queue.ids())
        self.delivered += [step.holder.id for step in steps]  # type: ignore[attr-defined]
        return [self.outcomes.get(step.holder.id) for step in steps]  # type: ignore[attr-defined]

    def take(
        self, *recipients: str, sender: str = "x@far.example", login: str = "", vouched: bool = False,
        by_lmtp: bool = False, pieces: Sequence[bytes] = (MESSAGE,), **parameters: str,
    ) -> list[str]:  # fmt: skip
        named = [EnvelopeRecipient(each, self.router.route(each, 0.0, outside=True)) for each in recipients]
        arrival = Arrival(
            "id1", Envelope(sender, parameters, named), b"Received: by us\n", pieces, "192.0.2.1", "mx", by_lmtp,
            login=login, vouched=vouched or bool(login),
        )  # fmt: skip
        outcomes = self.acceptance.take(arrival)
        return [str(outcome.condition.code) if outcome is not None else "ok" for outcome in outcomes]

    def copies(self) -> dict[str, list[str]]:
        """Who is named, by who gets the copy."""
        found = {}
        for name in self.queue.ids():
            envelope = self.queue.read(name)
            if envelope.journal_of:
                assert (envelope.return_path, envelope.login) == ("", "")
                key = " ".join(sorted(target.address for target in envelope.targets))
                assert key not in found
                found[key] = values(self.report(name), "Recipient")
        return found

    def report(self, name: str) -> EmailMessage:
        octets = b"".join(self.queue.content(name))
        envelope = self.queue.read(name)
        assert (envelope.size, envelope.crlf) == (len(octets), len(octets) + octets.count(b"\n"))
        message = email.message_from_bytes(octets, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        assert not any(part.defects for part in message.walk())
        return message


def values(report: EmailMessage, name: str) -> list[str]:
    text = next(report.iter_parts()).get_content()
    return [line.partition(": ")[2] for line in text.splitlines() if line.startswith(f"{name}:")]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_without_a_journal_nothing_is_written(desk: Desk) -> None:
    assert desk.take("fred@free.example", sender="cyd@c.example") == ["ok"]
    assert (desk.tmp, desk.queue.ids()) == (0, set())


@pytest.mark.parametrize(
    ("recipients", "facts", "expected"),
    [
        (["ann@a.example"], {}, {"j@keep.example": ["ann@a.example"]}),
        (["ANN@Also.Example"], {}, {"j@keep.example": ["ANN@Also.Example"]}),
        (["ann@free.example"], {}, {"j@keep.example": ["ann@free.example"]}),  # the account's domain
        (["fay@a.example"], {}, {"j@keep.example": ["fay@a.example"]}),  # the domain written to
        (["bea@b.example", "ann@a.example"], {}, {"j@keep.example": ["ann@a.example"],
                                                   "j2@b.example j@b.example": ["bea@b.example"]}),
        # one address for two domains gets one copy
        (["cyd@c.example", "ann@a.example"], {}, {"j@keep.example": ["cyd@c.example", "ann@a.example"]}),
        (["all@free.example"], {}, {"j@keep.example": [
            "ann@a.example, Expanded: all@free.example", "fred@free.example, Expanded: all@free.example"]}),
        # who wrote it sees all of them, who forged it nothing
        (["fred@free.example", "o@far.example"], {"sender": "ann@a.example", "login": "t:uid=ann"},
         {"j@keep.example": ["fred@free.example", "o@far.example"]}),
        (["fred@free.example"], {"sender": "", "login": "t:uid=ann"}, {"j@keep.example": ["fred@free.example"]}),
        (["fred@free.example"], {"sender": "ann@a.example", "vouched": True}, {"j@keep.example": ["fred@free.example"]}),
        (["fred@free.example"], {"sender": "ann@a.example"}, {}),
    ],
)  # fmt: skip
def test_each_journal_has_one_copy_that_names_those_who_concern_it(
    desk: Desk, recipients: list[str], facts: dict[str, object], expected: dict[str, list[str]]
) -> None:
    assert desk.take(*recipients, **facts) == ["ok"] * len(recipients)  # type: ignore[arg-type]
    assert desk.copies() == expected


def test_a_copy_is_on_disk_before_and_in_the_queue_behind_a_delivery(desk: Desk) -> None:
    assert desk.take("ann@a.example") == ["ok"]
    assert (desk.tmp, desk.in_queue) == (1, 0)
    assert list((desk.queue.folder / "tmp").iterdir()) == []
    (name,) = desk.queue.ids()
    report = desk.report(name)
    _, second = report.iter_parts()
    assert second.get_content()["received"] == "by us"
    assert values(report, "Client") == ["192.0.2.1"]
    assert (report["subject"], report["auto-submitted"]) == ("hello", "auto-generated")


@pytest.mark.parametrize("error", [Deferred(Condition.STORE_UNAVAILABLE), Refused(Condition.MAILBOX_FULL)])
def test_what_is_not_accepted_leaves_no_copy(desk: Desk, error: Deferred | Refused) -> None:
    desk.outcomes["t:uid=ann"] = error
    outcome = desk.take("ann@a.example", by_lmtp=True)
    assert outcome == [str(error.condition.code)]
    assert (desk.queue.ids(), list((desk.queue.folder / "tmp").iterdir())) == (set(), [])


def test_by_lmtp_only_those_who_were_accepted_are_named(desk: Desk) -> None:
    desk.outcomes["t:uid=ann"] = Deferred(Condition.STORE_UNAVAILABLE)
    assert desk.take("ann@a.example", "cyd@c.example", by_lmtp=True) == ["451", "ok"]
    assert desk.copies() == {"j@keep.example": ["cyd@c.example"]}
    assert list((desk.queue.folder / "tmp").iterdir()) == []


def test_what_another_host_of_the_site_kept_is_not_kept_again(desk: Desk) -> None:
    assert desk.take("ann@a.example", by_lmtp=True, XJOURNALLED="") == ["ok"]
    assert desk.queue.ids() == set()
    assert desk.take("ann@a.example", XJOURNALLED="") == ["ok"]  # offered to LMTP clients alone
    assert len(desk.queue.ids()) == 1


def test_while_a_copy_cannot_be_kept_nothing_is_accepted(tmp_path: Path) -> None:
    desk = Desk(tmp_path, QueueSettings(max_messages=0))
    assert desk.take("ann@a.example", "fred@free.example") == ["452", "452"]
    assert desk.delivered == []
    assert desk.take("fred@free.example") == ["ok"]


def test_without_its_place_in_the_queue_a_message_is_not_answered_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(message: str) -> None:
        raise Deferred(Condition.QUEUE_UNAVAILABLE)

    monkeypatch.setattr(desk.queue, "commit", broken)
    assert desk.take("ann@a.example") == ["451"]
    assert list((desk.queue.folder / "tmp").iterdir()) == []


def test_a_message_that_was_spooled_is_not_read_into_memory(desk: Desk, tmp_path: Path) -> None:
    spool = Spool(str(tmp_path))
    spool.append([b"Subject: big\n\n", *[b"x" * 99 + b"\n"] * 5000])
    assert desk.take("ann@a.example", pieces=spool) == ["ok"]
    (name,) = desk.queue.ids()
    assert len(list(desk.report(name).iter_parts())[1].get_content().get_content()) == 500_000


def test_nothing_from_outside_begins_a_line(desk: Desk) -> None:
    evil = (
        b"Subject: =?utf-8?q?a=0ARecipient:_evil@x?=\nMessage-ID: <1@x>\n\tRecipient: evil@x\n\n--=_journal_id1.J0--\n"
    )
    assert desk.take("ann@a.example", pieces=[evil]) == ["ok"]
    assert desk.copies() == {"j@keep.example": ["ann@a.example"]}
    (name,) = desk.queue.ids()
    _, second = desk.report(name).iter_parts()
    assert evil in b"".join(desk.queue.content(name))
    assert second.get_content().get_content() == "--=_journal_id1.J0--\n"


def test_a_copy_that_comes_back_is_not_kept_again(desk: Desk) -> None:
    assert desk.take("ann@a.example") == ["ok"]
    (name,) = desk.queue.ids()
    first = b"".join(desk.queue.content(name))
    desk.queue.remove(name)
    # through another site, whose journal hands our mark on
    mark = email.message_from_bytes(first)["X-Gatepost-Journal"]
    others = b"X-Gatepost-Journal: id9.J0 other\nX-Gatepost-Journal: " + mark.encode() + b"\nSubject: s\n\nx\n"
    for content in (first, others):
        assert desk.take("ann@a.example", pieces=[content]) == ["ok"]
        assert desk.queue.ids() == set()
    assert desk.take("ann@a.example", pieces=[b"X-Gatepost-Journal: id9.J0 other\n\nx\n"]) == ["ok"]
    (name,) = desk.queue.ids()
    assert "id9.J0 other" in desk.report(name).get_all("x-gatepost-journal")


def test_internationalised_mail(desk: Desk) -> None:
    assert desk.take("ann@a.example", sender="王@far.example", SMTPUTF8="") == ["ok"]
    (name,) = desk.queue.ids()
    assert values(desk.report(name), "Sender") == ["王@far.example"]
    assert desk.queue.read(name).parameters == {"SMTPUTF8": ""}


@pytest.mark.parametrize("limit", [50_000, 100])
def test_what_a_journal_never_takes_goes_to_the_postmaster_of_its_domain(
    desk: Desk, tmp_path: Path, limit: int
) -> None:
    """In the report; or, where it is too large for one, beside it."""
    desk.take("bea@b.example")
    (name,) = desk.queue.ids()
    envelope = desk.queue.read(name)
    reporter = Reporter(
        desk.queue, desk.router, BounceSettings(max_message_size=limit), hostname="mx.example", bell=tmp_path / "none",
        lifetime=1.0,
    )  # fmt: skip
    no = Refused(Condition.NO_SUCH_RECIPIENT)
    results = [Result(target, "failed", no) for target in envelope.targets[:1]]
    for _ in range(2):  # the same call again makes the same messages
        reporter.report(envelope, results, lambda: desk.queue.content(name), 2.0)
    made = {each: desk.queue.read(each) for each in desk.queue.ids() - {name}}
    assert {target.address for each in made.values() for target in each.targets} == {"postmaster@b.example"}
    assert all(each.double_bounce and not each.return_path for each in made.values())
    octets = [b"".join(desk.queue.content(each)) for each in made]
    assert len(octets) == (1 if limit > 1000 else 2)
    assert any(b"copy of a message for a journal" in each for each in octets)
    assert any(b"\nbody\n" in each for each in octets)
    # and there it ends
    for again in made.values():
        failed = [Result(target, "failed", no) for target in again.targets]
        reporter.report(again, failed, lambda again=again: desk.queue.content(again.id), 3.0)  # type: ignore[misc]
    assert len(desk.queue.ids()) == 1 + len(made)
    delayed = [Result(target, "delayed", Deferred(Condition.STORE_UNAVAILABLE)) for target in envelope.targets]
    delivered = [Result(target, "delivered", Taken()) for target in envelope.targets]
    reporter.report(envelope, [*delayed, *delivered], lambda: desk.queue.content(name), 3.0)
    assert len(desk.queue.ids()) == 1 + len(made)
    assert isinstance(envelope, QueuedEnvelope)
