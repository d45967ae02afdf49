"""Webmail as somebody uses it: reading, searching, choosing, keys, dragging, new mail, on a telephone and in Chinese."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import RunningDemo
from mailroom import Mailroom, letter

pytestmark = pytest.mark.xdist_group("web")

RICH = """\
From: Shop <news@shop.example>
To: ursula@example.org
Subject: Autumn offers
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=m

--m
Content-Type: multipart/related; boundary=r

--r
Content-Type: text/html; charset=utf-8

<table width=100% bgcolor=#eef3f4><tr><td style="padding:16px"><h2 style="color:#0b5f66">Autumn offers</h2>
<p>Apples, pears and <b>plums</b>. <img src="cid:dot@x" width=40 height=40> <img src="https://tracker.example/p.gif"></p>
<p style="height:1500px">A long column</p><p>The end</p></td></tr></table>
--r
Content-Type: image/gif
Content-ID: <dot@x>
Content-Transfer-Encoding: base64

R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7
--r--
--m
Content-Type: image/gif; name=dot.gif
Content-Disposition: attachment; filename=dot.gif
Content-Transfer-Encoding: base64

R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7
--m
Content-Type: text/plain; name=notes.txt
Content-Disposition: attachment; filename=notes.txt

Notes.
--m--
"""


@pytest.fixture(scope="module")
def room(webbed: RunningDemo) -> Iterator[Mailroom]:
    room = Mailroom(webbed, "ursula")
    yield room
    room.close()


@pytest.fixture(scope="module")
def box(room: Mailroom) -> str:
    """260 messages with a rich one on top of them."""
    box = room.mailbox("Orchard")
    for n in range(259):
        room.add(box, letter(f"Tree {n} bears {n * 3} apples this year.\n", f"Tree {n:03}"), "" if n % 3 else "\\Seen")
    room.add(box, RICH)
    return box


def test_a_long_list_is_filled_as_it_is_scrolled(browse: Any, box: str) -> None:
    visit = browse("ursula")
    page = visit.open(f"/mail/?mailbox={box}&threads=0")
    page.wait_for_selector("li.row >> text=Tree 258")
    assert page.locator("li.row").count() <= 150
    visit.picture("mail-list", whole=False)
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.wait_for_selector("li.row >> text=Tree 000")
    assert page.locator("li.row >> text=Tree 000").is_visible()
    for at in (200, 5000):  # a page's address, of the middle and of behind the end
        visit.open(f"/mail/?mailbox={box}&at={at}")
        page.wait_for_selector("#rows .block", state="attached")


def test_searching_while_typing(browse: Any, box: str) -> None:
    visit = browse("ursula")
    page = visit.open(f"/mail/?mailbox={box}")
    page.keyboard.press("/")
    page.keyboard.type('subject:"tree 12"')
    page.wait_for_selector("h1 >> text=10 found")
    assert page.locator("li.row").count() == 10 and "q=subject" in page.url
    visit.picture("mail-search")
    page.reload()
    assert page.locator("li.row").count() == 10


def test_reading_a_rich_message(browse: Any, box: str) -> None:
    visit = browse("ursula")
    page = visit.open(f"/mail/?mailbox={box}")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.click("text=Autumn offers")
    frame = page.frame_locator(".message iframe")
    frame.locator("text=The end").wait_for()
    page.wait_for_function("document.querySelector('.message iframe').offsetHeight > 1500")
    assert frame.locator("img").first.evaluate("image => image.complete && image.naturalWidth") == 1
    visit.picture("mail-message")
    assert all(url.startswith(visit.base) for url in asked)
    page.click("text=Show pictures from other hosts")
    page.wait_for_selector(".message")
    page.wait_for_timeout(100)
    assert any(url.startswith("https://tracker.example/") for url in asked)
    visit.problems.clear()  # the picture cannot be loaded here


def test_keys(browse: Any, room: Mailroom) -> None:
    box = room.mailbox("Keys")
    uids = [room.add(box, letter(f"k{n}", f"Key {n}")) for n in range(4)]
    visit = browse("ursula")
    page = visit.open(f"/mail/?mailbox={box}")
    page.keyboard.press("?")
    page.wait_for_selector("#keys[open]")
    visit.picture("mail-keys")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    with page.expect_navigation():
        page.keyboard.press("s")
    assert "\\Flagged" in room.flags(box, uids[2])
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("x")
    with page.expect_navigation():
        page.keyboard.press("#")
    page.wait_for_selector("text=Moved to Trash: 2")
    assert room.count(box) == 2
    page.keyboard.press("j")
    with page.expect_navigation():
        page.keyboard.press("o")
    page.wait_for_selector("h1 >> text=Key 1")
    with page.expect_navigation():
        page.keyboard.press("u")
    page.keyboard.press("g")
    with page.expect_navigation():
        page.keyboard.press("t")
    assert "mailbox=Trash" in page.url


def test_dragging_to_a_folder(browse: Any, room: Mailroom) -> None:
    box, target = room.mailbox("Drag"), room.mailbox("Drop")
    for n in range(3):
        room.add(box, letter(f"d{n}", f"Drag {n}"))
    visit = browse("ursula")
    page = visit.open(f"/mail/?mailbox={box}")
    page.check("li.row:has-text('Drag 2') input[name=uid]")
    page.check("li.row:has-text('Drag 0') input[name=uid]")
    with page.expect_navigation():
        page.drag_and_drop("li.row:has-text('Drag 2')", f"#folders li[data-mailbox={target}]")
    page.wait_for_selector("text=Moved to Drop: 2")
    assert room.count(target) == 2 and room.count(box) == 1


def test_new_mail_shows_by_itself(browse: Any, room: Mailroom) -> None:
    box = room.mailbox("News")
    visit = browse("ursula")
    with visit.page.expect_response("**/mail/news"):
        page = visit.open(f"/mail/?mailbox={box}")
    room.add(box, letter("hot", "Fresh from the press"))
    page.evaluate("gatepostLook()")
    page.wait_for_selector("li.row >> text=Fresh from the press")
    assert page.locator("#folders li[data-mailbox=News] .count").text_content() == "1"


def test_on_a_telephone_and_in_chinese_by_night(browse: Any, box: str) -> None:
    for language, dark in (("en", False), ("zh", True)):
        visit = browse("ursula", phone=True, language=language, dark=dark)
        for name, path in (
            ("list", f"/mail/?mailbox={box}"),
            ("message", f"/mail/message?mailbox={box}&uid=260"),
            ("plain", f"/mail/message?mailbox={box}&uid=200"),
        ):
            page = visit.open(path)
            page.wait_for_load_state("networkidle")
            visit.picture(f"mail-{name}-phone-{language}", whole=False)
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
    visit = browse("ursula", language="zh", dark=True)
    visit.open(f"/mail/?mailbox={box}")
    visit.picture("mail-list-zh-dark", whole=False)


def test_nothing_serious_stands_in_the_way_of_a_screen_reader(browse: Any, box: str) -> None:
    visit = browse("ursula")
    for path in (f"/mail/?mailbox={box}", f"/mail/message?mailbox={box}&uid=200", f"/mail/folders?mailbox={box}"):
        page = visit.open(path)
        page.wait_for_load_state("networkidle")
        found = [each for each in Axe().run(page).response["violations"] if each["impact"] in ("serious", "critical")]
        assert [(each["id"], each["nodes"][0]["html"]) for each in found] == [], path
    visit.picture("mail-folders")


INVITATION = """\
BEGIN:VCALENDAR
METHOD:REQUEST
BEGIN:VEVENT
UID:harvest@x.example
SUMMARY:Harvest meeting
DTSTART:20301203T090000Z
DTEND:20301203T100000Z
LOCATION:Barn 3
ORGANIZER;CN=Ann Author:mailto:ann@elsewhere.example
ATTENDEE;CN=Ursula;PARTSTAT=NEEDS-ACTION:mailto:ursula@example.org
DESCRIPTION:Bring a basket.
END:VEVENT
END:VCALENDAR
"""


@pytest.mark.parametrize(
    ("name", "look"), [("", {}), ("-dark-phone", {"dark": True, "phone": True}), ("-zh", {"language": "zh"})]
)
def test_an_invitation_is_answered(browse: Any, room: Mailroom, name: str, look: dict[str, Any]) -> None:
    box = room.mailbox()
    uid = room.add(box, letter(INVITATION, "Harvest meeting", "Content-Type: text/calendar; method=REQUEST"))
    visit = browse("ursula", **look)
    page = visit.open(f"/mail/message?mailbox={box}&uid={uid}")
    page.click("button[value=accept]")
    page.wait_for_selector("button[value=accept][aria-pressed=true]")
    visit.picture(f"invitation{name}")
