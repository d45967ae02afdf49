"""Who is told what: NOTIFY, lists, the null path, vouching; reports are real queue files."""

from __future__ import annotations

import email
from pathlib import Path

import pytest

from directory.memory import MemorySource
from directory.model import Condition, Deferred, Refused
from directory.profile import Profile
from directory.raw import RawEntry
from directory.view import View
from gateway.deliver.port import Taken
from gateway.mail.settings import BounceSettings
from gateway.queue.file import QueuedEnvelope, QueueFolder, Target
from gateway.queue.settings import QueueSettings
from gateway.route.router import Router
from gateway.service.reporting import Reporter, Result

PROFILE = Profile.load("native")
NO = Refused(Condition.REMOTE_REFUSED, "no", status="5.1.1", host="mx.far.example", reply="550 5.1.1 who?")
LATER = Deferred(Condition.REMOTE_DEFERRED, "later", status="4.2.2", host="mx.far.example", reply="452 4.2.2 full")
MESSAGE = b"Message-ID: <1@x>\nSubject: hello\n\nbody\n"


class Desk:
    def __init__(
        self, folder: Path, settings: BounceSettings | None = None, queue: QueueSettings | None = None
    ) -> None:
        home = {"objectclass": [b"gatepostEntry", b"gatepostDomain"], "gatepostdomainname": [b"example.com"]}
        directory = View(MemorySource(PROFILE, (RawEntry("t:d", "cn=d,dc=x", home),)), PROFILE)
        self.queue = QueueFolder(folder, queue or QueueSettings())
        self.reporter = Reporter(
            self.queue,
            Router(directory),
            settings or BounceSettings(),
            hostname="mx.example.com",
            bell=folder / "none",
            lifetime=432000.0,
        )

    def report(
        self,
        *results: Result,
        path: str = "bob@example.com",
        content: bytes = MESSAGE,
        vouched: bool = True,
        double_bounce: bool = False,
        **parameters: str,
    ) -> list[tuple[QueuedEnvelope, bytes]]:
        """The reports made."""
        envelope = QueuedEnvelope(
            "m1", path, 1000.0, tuple(r.target for r in results), len(content), len(content), parameters,
            vouched=vouched, double_bounce=double_bounce,
        )  # fmt: skip
        self.reporter.report(envelope, results, lambda: iter((content[:10], content[10:])), 2000.0)
        return [(self.queue.read(name), b"".join(self.queue.content(name))) for name in sorted(self.queue.ids())]


def failed(
    address: str = "x@far.example", *, notify: str = "", outcome: Refused | Deferred = NO, **more: str
) -> Result:
    return Result(Target(address, notify=tuple(filter(None, notify.split(","))), **more), "failed", outcome)  # type: ignore[arg-type]


def test_one_report_from_the_null_path_for_all_of_an_attempt(tmp_path: Path) -> None:
    late = Result(Target("y@far.example"), "delayed", LATER)
    ((envelope, octets),) = Desk(tmp_path).report(failed(original="Jane@example.com"), late, ENVID="e1")
    assert envelope.return_path == ""
    assert envelope.targets == (Target("bob@example.com", notify=("NEVER",)),)
    assert envelope.size == len(octets)
    assert envelope.crlf == len(octets) + octets.count(b"\n")
    message = email.message_from_bytes(octets)
    assert message["From"] == "Mail Delivery System <mailer-daemon@example.com>"
    assert message["Auto-Submitted"] == "auto-replied"
    assert b"Jane@example.com>, which leads to <x@far.example>" in octets
    blocks = message.get_payload()[1].get_payload()  # type: ignore[union-attr,index]
    assert [block["Status"] for block in blocks[1:]] == ["5.1.1", "4.2.2"]
    assert blocks[0]["Original-Envelope-Id"] == "e1"
    assert message.get_payload()[2].get_content_type() == "message/rfc822"  # type: ignore[union-attr,index]


def test_the_same_report_again_is_the_same_file(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    (first,) = desk.report(failed())
    (tmp_path / "tmp" / first[0].id).write_bytes(b"left by a crash")
    (second,) = desk.report(failed())
    assert first == second


@pytest.mark.parametrize(
    ("notify", "kinds"),
    [("", ["failed", "delayed"]), ("NEVER", []), ("SUCCESS", ["delivered", "relayed", "expanded"]),
     ("FAILURE", ["failed"]), ("DELAY", ["delayed"]), ("SUCCESS,FAILURE", ["failed", "delivered", "relayed", "expanded"])],
)  # fmt: skip
def test_notify(tmp_path: Path, notify: str, kinds: list[str]) -> None:
    outcomes = {"failed": NO, "delayed": LATER, "delivered": Taken(), "relayed": Taken("h"), "expanded": Taken()}
    flags = tuple(filter(None, notify.split(",")))
    results = [Result(Target("a@b.example", notify=flags), kind, outcome) for kind, outcome in outcomes.items()]  # type: ignore[arg-type]
    octets = b"".join(octets for _, octets in Desk(tmp_path).report(*results))
    assert [line[8:].decode() for line in octets.splitlines() if line.startswith(b"Action: ")] == kinds


def test_how_long_it_is_tried_counts_from_when_it_was_to_go(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    late = Result(Target("x@far.example"), "delayed", LATER)
    envelope = QueuedEnvelope("m1", "bob@example.com", 1000.0, (late.target,), 1, 1, vouched=True, not_before=864000.0)
    desk.reporter.report(envelope, [late], lambda: iter((MESSAGE,)), 900000.0)
    (name,) = desk.queue.ids()
    assert b"Will-Retry-Until: Fri, 16 Jan 1970 00:00:00 +0000" in b"".join(desk.queue.content(name))


def test_a_host_that_was_given_the_wishes_reports_itself(tmp_path: Path) -> None:
    result = Result(Target("a@b.example", notify=("SUCCESS",)), "relayed", Taken("h", dsn=True))
    assert Desk(tmp_path).report(result) == []


def test_nobody_is_told_who_may_not_have_written(tmp_path: Path) -> None:
    assert Desk(tmp_path / "a").report(failed(), path="victim@far.example", vouched=False) == []
    lax = Desk(tmp_path / "b", BounceSettings(to_strangers=True))
    assert len(lax.report(failed(), path="victim@far.example", vouched=False)) == 1


def test_a_list_hears_of_failures_and_the_author_does_not(tmp_path: Path) -> None:
    path = "list-bounces@example.com"
    late = Result(Target("z@far.example", return_path=path, list="t:l"), "delayed", LATER)
    ((envelope, _),) = Desk(tmp_path).report(failed(return_path=path, list="t:l"), late, vouched=False)
    assert envelope.targets[0].address == path


@pytest.mark.parametrize(
    ("ret", "size", "kind"),
    [("FULL", 10, "message/rfc822"), ("HDRS", 10, "text/rfc822-headers"), ("FULL", 60_000, "text/rfc822-headers")],
)
def test_what_is_returned(tmp_path: Path, ret: str, size: int, kind: str) -> None:
    ((_, octets),) = Desk(tmp_path).report(failed(), content=MESSAGE + b"x" * size, RET=ret)
    assert email.message_from_bytes(octets).get_payload()[2].get_content_type() == kind  # type: ignore[union-attr,index]
    assert len(octets) < 60_000


def test_success_returns_the_header_only(tmp_path: Path) -> None:
    result = Result(Target("a@b.example", notify=("SUCCESS",)), "delivered", Taken())
    ((_, octets),) = Desk(tmp_path).report(result, RET="FULL")
    assert b"Content-Type: text/rfc822-headers" in octets
    assert b"\nbody\n" not in octets


def test_a_report_that_fails_goes_to_the_postmaster_and_there_it_ends(tmp_path: Path) -> None:
    ((_, report),) = Desk(tmp_path / "a").report(failed(), path="gone@example.com")
    ((envelope, double),) = Desk(tmp_path / "b").report(
        failed("gone@example.com", notify="NEVER"), path="", content=report
    )
    assert envelope.targets[0].address == "postmaster@example.com"
    assert envelope.double_bounce
    assert b"could not be delivered to its sender" in double
    assert (
        Desk(tmp_path / "c").report(failed("postmaster@example.com"), path="", content=double, double_bounce=True) == []
    )
    ((envelope, _),) = Desk(tmp_path / "d").report(failed("x@far.example"), path="", content=report)
    assert envelope.targets[0].address == "postmaster"


def test_other_mail_from_the_null_path_ends_in_silence(tmp_path: Path) -> None:
    assert Desk(tmp_path / "a").report(failed(), path="", content=b"Auto-Submitted: auto-replied\n\naway\n") == []
    late = Result(Target("x@far.example"), "delayed", LATER)
    report = b"Content-Type: multipart/report; boundary=x\n\n"
    assert Desk(tmp_path / "b").report(late, path="", content=report) == []


def test_a_queue_full_of_failures_can_tell_of_them(tmp_path: Path) -> None:
    assert len(Desk(tmp_path, queue=QueueSettings(max_messages=0)).report(failed())) == 1


def test_trouble_with_the_queue_is_temporary(tmp_path: Path) -> None:
    with pytest.raises(Deferred):
        Desk(tmp_path, queue=QueueSettings(min_free_bytes=2**62)).report(failed())


def test_expired_and_own_words(tmp_path: Path) -> None:
    rule = Refused(Condition.REFUSED_BY_RULE, "t:x: rule", "I have left.\r\nBcc: all@example.com")
    ((_, octets),) = Desk(tmp_path).report(failed("a@b.example", outcome=LATER), failed("c@d.example", outcome=rule))
    status = [line for line in octets.splitlines() if line.startswith((b"Status", b"Diagnostic", b"Bcc"))]
    assert status[0] == b"Status: 5.4.7"
    assert status[1] == b"Diagnostic-Code: smtp; 452 4.2.2 full"
    assert status[3].endswith(b"I have left. Bcc: all@example.com")
    assert len(status) == 4
