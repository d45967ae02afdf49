"""Vacation replies on a live system: switched in the directory, sent through the queue, once a sender."""

from __future__ import annotations

import smtplib
import time
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
from conftest import RunningDemo

SECONDS = 20


def sink(demo: RunningDemo) -> list[EmailMessage]:
    """What left for outside, in order."""
    files = sorted(Path(demo.facts["smarthost"]["sink_dir"]).glob("*.eml"), key=lambda path: int(path.stem))
    read = [message_from_bytes(path.read_bytes(), policy=default) for path in files]
    assert all(isinstance(message, EmailMessage) for message in read)
    return read  # type: ignore[return-value]


def send(demo: RunningDemo, sender: str, recipient: str, fields: str = "", to: str | None = None) -> None:
    text = f"To: {to or recipient}\r\nSubject: question\r\nMessage-ID: <q@far.example>\r\n{fields}\r\nhello\r\n"
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
        client.sendmail(sender, [recipient], text)


def wait(demo: RunningDemo, count: int) -> list[EmailMessage]:
    deadline = time.monotonic() + SECONDS
    while len(found := sink(demo)) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} replies"
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def away(demo: RunningDemo) -> RunningDemo:
    """Jane is away; Stefan will be next year."""
    demo.change(
        "jane",
        {
            "gatepostVacation": ["TRUE"],
            "gatepostVacationStart": ["20260101000000Z"],
            "gatepostVacationSubject": ["Away – 不在"],
            "gatepostVacationText": ["Back on Monday.\n我下周一回来。"],
        },
    )
    demo.change("stefan", {"gatepostVacation": ["TRUE"], "gatepostVacationStart": ["21000101000000Z"]})
    return demo


def test_each_sender_gets_one_reply_from_the_null_path(away: RunningDemo) -> None:
    before = len(sink(away))
    send(away, "bob@far.example", "jane@example.com")
    reply = wait(away, before + 1)[-1]
    assert reply["X-Envelope-From"] == "<>"
    assert reply["X-Envelope-To"] == "<bob@far.example>"
    assert reply["From"].addresses[0].addr_spec == "jane@example.com"
    assert str(reply["Subject"]) == "Away – 不在"
    assert reply["In-Reply-To"] == "<q@far.example>"
    assert reply["Auto-Submitted"] == "auto-replied (vacation)"
    assert reply.get_content().replace("\r\n", "\n") == "Back on Monday.\n我下周一回来。\n"
    send(away, "bob@far.example", "jane@example.com")  # the second of Bob
    send(away, "eve@far.example", "jane+shop@example.com")
    send(away, "kim@far.example", "jane@example.net")  # a domain that stands for example.com
    send(away, "lea@far.example", "jane+shop@Example.Net")
    assert [m["X-Envelope-To"] for m in wait(away, before + 4)[before:]] == [
        "<bob@far.example>", "<eve@far.example>", "<kim@far.example>", "<lea@far.example>",
    ]  # fmt: skip


def test_lists_machines_and_mail_to_others_get_none(away: RunningDemo) -> None:
    before = len(sink(away))
    send(away, "news@far.example", "jane@example.com", "List-Id: <news.far.example>\r\n")
    send(away, "robot@far.example", "jane@example.com", "Auto-Submitted: auto-generated\r\n")
    send(away, "", "jane@example.com")
    send(away, "hidden@far.example", "jane@example.com", to="undisclosed-recipients:;")
    send(away, "bob@far.example", "stefan@example.org")  # whose absence has not begun
    send(away, "last@far.example", "jane@example.com")
    assert [m["X-Envelope-To"] for m in wait(away, before + 1)[before:]] == ["<last@far.example>"]


def test_two_people_who_are_away_do_not_answer_each_other_for_ever(away: RunningDemo) -> None:
    away.change("petra", {"gatepostVacation": ["TRUE"]})
    log = away.folder / "demo.log"
    with smtplib.SMTP("127.0.0.1", away.port("mx"), timeout=20) as client:
        client.sendmail("jane@example.com", ["petra@example.org"], "To: petra@example.org\r\n\r\nhello\r\n")
    deadline = time.monotonic() + SECONDS
    while "recipient=jane@example.com outcome=replied" not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    while 'recipient= outcome="it has no return path"' not in log.read_text().replace('recipient=""', "recipient="):
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.05)
