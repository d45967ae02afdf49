"""Folders by browser, messages from and to files, invitations, shared mailboxes."""

from __future__ import annotations

import email
import io
import re
import zipfile
from collections.abc import Callable, Iterator

import icalendar
import pytest
from conftest import RunningDemo, eventually
from imapclient import IMAPClient
from mailroom import Mailroom, letter
from visitor import Visitor, words

from gateway.control.client import call
from webadmin.mail.invitation_answers import invitation

pytestmark = pytest.mark.xdist_group("web")
Visit = Callable[..., Visitor]


@pytest.fixture(scope="module")
def room(webbed: RunningDemo) -> Iterator[Mailroom]:
    room = Mailroom(webbed, "grace")
    yield room
    room.close()


@pytest.fixture(scope="module")
def grace(webbed: RunningDemo) -> Iterator[Visitor]:
    visitor = Visitor(webbed, "grace")
    yield visitor
    visitor.close()


def change(grace: Visitor, do: str, **fields: str) -> str:
    answer = grace.post("/mail/folders", do=do, **fields)
    assert answer.status_code == 200, words(answer)
    return words(answer)


def test_made_renamed_moved_subscribed_deleted(grace: Visitor, room: Mailroom) -> None:
    assert "was made" in change(grace, "create", name="Projekte 项目")
    assert "was made" in change(grace, "create", name="2026 & <b>", parent="Projekte 项目")
    name = "Projekte 项目/2026 & <b>"
    assert room.count(name) == 0
    room.add(name, letter("x"))
    page = grace.get("/mail/")
    assert "2026 &amp; &lt;b&gt;" in page.text and '<span class="count" title="unread">1</span>' in page.text
    assert "was renamed" in change(grace, "rename", mailbox=name, name="Later", parent="")
    assert room.count("Later") == 1 and room.count(name) == -1
    assert "do not show" in change(grace, "unsubscribe", mailbox="Later")
    assert b"Later" not in b"".join(room.imap.lsub()[1])  # type: ignore[arg-type]
    assert "from now on" in change(grace, "subscribe", mailbox="Later")
    assert "to be deleted, too" in change(grace, "delete", mailbox="Later") and room.count("Later") == 1
    assert "was deleted" in change(grace, "delete", mailbox="Later", sure="1") and room.count("Later") == -1
    assert "was deleted" in change(grace, "delete", mailbox="Projekte 项目")


def test_what_cannot_be_is_said(grace: Visitor, room: Mailroom) -> None:
    for name in ("", "a/b", "x" * 101, ".."):
        assert "A folder's name has" in change(grace, "create", name=name), name
    for mailbox in ("INBOX", "Trash", "Sent"):
        assert "is needed" in change(grace, "delete", mailbox=mailbox, sure="1")
        assert "is needed" in change(grace, "rename", mailbox=mailbox, name="Other")
        assert room.count(mailbox) >= 0
    box = room.mailbox()
    assert "into itself" in change(grace, "rename", mailbox=box, name="x", parent=box)
    for do in ("rename", "delete", "subscribe"):
        assert "no such folder" in change(grace, do, mailbox="Nowhere", name="x")
    assert grace.post("/mail/folders", do="format").status_code == 409


def test_messages_from_files_and_to_files(grace: Visitor, room: Mailroom) -> None:
    box = room.mailbox()
    one, two = (letter(f"Text {n}", f"File {n}").encode() for n in range(2))
    files = [("files", (f"{n}.eml", octets, "message/rfc822")) for n, octets in enumerate((one, two))]
    answer = grace.post("/mail/folders/import", files=files, mailbox=box)
    assert "Messages taken in: 2" in words(answer) and room.count(box) == 2
    exported = grace.post("/mail/part/export", mailbox=box, uid=["1", "2"])
    packed = zipfile.ZipFile(io.BytesIO(exported.content))
    assert [packed.read(f"{n}.eml") for n in (1, 2)] == [each.replace(b"\n", b"\r\n") for each in (one, two)]
    assert "Choose 1 to" in words(grace.post("/mail/folders/import", mailbox=box))
    bad = grace.post(
        "/mail/folders/import", files=[("files", ("nul.eml", b"Subject: \0\n\nx", "message/rfc822"))], mailbox=box
    )
    assert "nul.eml: NUL in a message" in words(bad) and room.count(box) == 2
    assert grace.post("/mail/folders/import", files=files, mailbox="Nowhere").status_code == 404
    assert grace.post("/mail/part/export", mailbox=box).status_code == 409


INVITATION = """\
BEGIN:VCALENDAR
VERSION:2.0
METHOD:REQUEST
BEGIN:VEVENT
UID:1@x.example
SUMMARY:Harvest meeting <b>
DTSTART:20261201T090000Z
DTEND:20261201T100000Z
RRULE:FREQ=WEEKLY
LOCATION:Barn 3
ORGANIZER;CN=Ann Author:mailto:ann@x.example
ATTENDEE;PARTSTAT=ACCEPTED;CN=Bob:mailto:bob@x.example
DESCRIPTION:Bring a basket
END:VEVENT
END:VCALENDAR
"""


def test_an_invitation_is_shown_in_words(grace: Visitor, room: Mailroom) -> None:
    box = room.mailbox()
    body = f"--x\nContent-Type: text/plain\n\nCome!\n--x\nContent-Type: text/calendar; charset=utf-8; method=REQUEST\n\n{INVITATION}\n--x--"
    uid = room.add(box, letter(body, "Inv", "Content-Type: multipart/alternative; boundary=x"))
    page = grace.get("/mail/message", params={"mailbox": box, "uid": uid})
    said = words(page)
    assert "Invitation: Harvest meeting <b>" in said and "Tue, 1 Dec 2026, 09:00" in said and "repeats" in said
    assert "Barn 3" in said and "Ann Author <ann@x.example>" in said and "Bob <bob@x.example> (comes)" in said
    assert "meeting <b>" not in page.text and "Come!" in said


def test_an_invitation_is_answered_by_mail(grace: Visitor, room: Mailroom, webbed: RunningDemo) -> None:
    box = room.mailbox()
    facts = {"login": "organizer", "name": "Ann", "addresses": ["organizer@example.com"]}
    call(webbed.folder / "run" / "control.sock", "add-user", password="organizer password 1", **facts)
    calendar = INVITATION.replace("ann@x.example", "organizer@example.com").replace(
        "ATTENDEE;", "SEQUENCE:3\nATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:MAILTO:Grace@example.com\nATTENDEE;"
    )
    calendar = calendar.replace("Harvest meeting <b>", f"Harvest {box}")
    kind = "Content-Type: text/calendar; charset=utf-8; method=REQUEST"
    uid = room.add(box, letter(calendar, "Inv", f"Message-ID: <inv-{box}@x.example>\n{kind}"))
    where = {"mailbox": box, "uid": str(uid)}
    page = grace.get("/mail/message", params=where)
    fields = {name: re.findall(rf'name="{name}" value="([^"]+)"', page.text)[0] for name in ("part", "key")}
    assert grace.post("/mail/answer", answer="maybe", **where, **fields).status_code == 400
    assert grace.post("/mail/answer", answer="accept", **where, **(fields | {"part": "9"})).status_code == 404
    for _ in range(2):  # a button that is pressed twice sends once
        page = grace.post("/mail/answer", answer="tentative", **where, **fields)
    assert "You have answered" in words(page) and 'value="tentative" class="small" aria-pressed="true"' in page.text
    with IMAPClient("127.0.0.1", port=webbed.port("imap"), ssl=False) as client:
        client.login("organizer", "organizer password 1")
        client.select_folder("INBOX", readonly=True)
        wanted = ["SUBJECT", f"Tentative: Harvest {box}"]
        eventually(lambda: client.noop() and client.search(wanted))
        (found,) = client.search(wanted)
        sent = email.message_from_bytes(client.fetch([found], ["BODY.PEEK[]"])[found][b"BODY[]"])
    assert sent["In-Reply-To"] == f"<inv-{box}@x.example>" and "grace@example.com" in sent["From"].lower()
    text, answer = sent.get_payload()
    assert "comes perhaps" in text.get_payload(decode=True).decode()
    assert answer.get_content_type() == "text/calendar" and answer.get_param("method") == "REPLY"
    event = icalendar.Calendar.from_ical(answer.get_payload(decode=True))
    (event,) = event.walk("VEVENT")
    assert (event["UID"], event["SEQUENCE"]) == ("1@x.example", 3) and str(
        event["ORGANIZER"]
    ) == "mailto:organizer@example.com"
    assert str(event["ATTENDEE"]).lower() == "mailto:grace@example.com"
    assert event["ATTENDEE"].params["PARTSTAT"] == "TENTATIVE" and "DESCRIPTION" not in event
    gone = where | {"uid": str(uid + 1000)}
    assert grace.post("/mail/answer", answer="accept", **gone, **fields).status_code == 404


@pytest.mark.parametrize(
    "calendar",
    [
        INVITATION.replace("METHOD:REQUEST", "METHOD:CANCEL"),
        INVITATION.replace("mailto:ann@x.example", "https://x.example/ann"),
        INVITATION.replace("mailto:ann@x.example", "mailto:ann@x.example\\, eve"),
        INVITATION.replace("ann@x.example", "bob@x.example"),
        INVITATION.replace("UID:1@x.example\n", ""),
        INVITATION.replace("bob@", "rob@"),
        INVITATION[:60],
        "",
    ],
)
def test_what_is_no_invitation_to_the_reader_is_not_answered(calendar: str) -> None:
    assert invitation(INVITATION, {"bob@x.example"}) is not None
    assert invitation(calendar, {"bob@x.example"}) is None


def test_times_are_those_of_the_readers_clock(visit: Visit, room: Mailroom) -> None:
    box = room.mailbox()
    uid = room.add(box, letter("x"))
    grace = visit("grace")
    at = lambda: words(grace.get("/mail/message", params={"mailbox": box, "uid": uid}))  # noqa: E731
    assert "10:00" in at()
    grace.http.cookies.set("timezone", "Asia%2FShanghai", domain="localhost.local", path="/")
    assert "18:00" in at()
    for bad in ("../../etc/passwd", "%00", "Nowhere/City", "x" * 5000):
        grace.http.cookies.set("timezone", bad, domain="localhost.local", path="/")
        assert "10:00" in at()


def test_a_conversation_is_listed_with_its_message(visit: Visit, room: Mailroom) -> None:
    box = room.mailbox()
    first = room.add(box, letter("a", "Talk", "Message-ID: <talk1@x.example>"))
    second = room.add(box, letter("b", "Re: Talk", "References: <talk1@x.example>"))
    grace = visit("grace")
    grace.get("/mail/", params={"mailbox": box, "threads": "1"})
    page = grace.get("/mail/message", params={"mailbox": box, "uid": second})
    assert "Conversation: 2 messages" in words(page) and f"uid={first}" in page.text


def test_a_shared_mailbox_is_read_by_those_who_may(webbed: RunningDemo, visit: Visit) -> None:
    shared = next(account for account in webbed.facts["accounts"] if account["kind"] == "shared")
    name = shared["addresses"][0].partition("@")[0]
    members = [a["login"] for a in webbed.facts["accounts"] if a["kind"] == "person" and a["status"] == "active"]
    seen = []
    for login in members[:12]:
        visitor = visit(login)
        page = visitor.get("/mail/")
        if f"Shared/{name}" in page.text or "Shared%2F" in page.text or "Shared/" in page.text:
            seen.append(login)
            assert "Shared mailboxes" in words(page)
        else:
            assert visitor.get("/mail/", params={"mailbox": f"Shared/{name}"}).status_code == 404
    assert seen and len(seen) < 12
