"""Hostile mail in a real browser: no script of it runs, nothing of it is loaded, no other page is shown (`cases/xss`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from conftest import RunningDemo
from mail_vectors import RUN, messages
from mailroom import Mailroom, letter

pytestmark = pytest.mark.xdist_group("web")
#: in fields that are shown as text
ATTEMPTS = [f"<script>{RUN}</script>", f'"><img src=x onerror="{RUN}">', f"'-{RUN}-'", "{{7*7}}", "javascript:" + RUN, "</title><script>" + RUN + "</script>"]  # fmt: skip


@pytest.fixture(scope="module")
def room(webbed: RunningDemo) -> Iterator[Mailroom]:
    room = Mailroom(webbed, "henry")
    yield room
    room.close()


class Guard:
    """Sees what a visit does that it should not."""

    def __init__(self, visit: Any) -> None:
        self.visit, self.outside, self.dialogs, self.pages = visit, [], [], []
        page = visit.page
        page.context.on("request", self._asked)
        page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))
        page.context.on("page", lambda other: self.pages.append(other.url))

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.visit.base, "data:", "about:")):
            self.outside.append(request.url)
        elif request.method != "GET" or "/logout" in request.url or "/mail/act" in request.url:
            self.outside.append(f"{request.method} {request.url}")

    def check(self) -> None:
        assert self.dialogs == [] and self.outside == [] and self.pages == []
        assert self.visit.page.evaluate("typeof window.ran") == "undefined"


def test_no_script_runs_and_nothing_is_loaded(browse: Any, room: Mailroom) -> None:
    box = room.mailbox()
    uids = [room.add(box, each) for each in messages()]
    visit = browse("henry")
    guard = Guard(visit)
    frames = 0
    for uid in uids:
        page = visit.open(f"/mail/message?mailbox={box}&uid={uid}")
        page.wait_for_load_state("load")
        for frame in page.frames[1:]:
            assert frame.locator("text=before ").count() >= 1, (uid, frame.url)
            for link in frame.locator("a[href]").all():
                assert link.get_attribute("target") == "_blank"
        frames += len(page.frames) - 1
        assert page.url.endswith(f"uid={uid}")
        guard.check()
    assert frames >= 150
    visit.picture("mail-hostile")
    visit.problems.clear()  # pictures that name parts which are not there


def test_names_of_all_kinds_are_only_text(browse: Any, room: Mailroom) -> None:
    box = room.mailbox("<img src=x onerror=top.ran=1>")
    for number, attempt in enumerate(ATTEMPTS):
        quoted = attempt.replace("\\", "\\\\").replace('"', '\\"')
        body = (
            f"--x\nContent-Type: text/plain\n\n{attempt} https://x.example/{attempt}\n> {attempt}\n"
            f'--x\nContent-Type: image/png; name="{quoted}"\nContent-ID: <{number}@x>\nContent-Disposition: attachment; filename="{quoted}"\n\nx\n'
            f"--x\nContent-Type: text/calendar\n\nBEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:{attempt}\nLOCATION:{attempt}\nDESCRIPTION:{attempt}\n"
            f"ORGANIZER;CN=x:mailto:{attempt}\nEND:VEVENT\nEND:VCALENDAR\n--x--"
        )
        results = f"Authentication-Results: localhost; spf=pass smtp.mailfrom={attempt}; dkim=pass header.d={attempt}"
        room.add(
            box,
            letter(
                body, attempt, "Content-Type: multipart/mixed; boundary=x", results, author=f'"{quoted}" <a@x.example>'
            ),
        )
    visit = browse("henry")
    guard = Guard(visit)
    page = visit.open("/mail/folders")
    page.click("table.manage a:has-text('onerror')")
    page.wait_for_selector("li.row")
    guard.check()
    for number in range(len(ATTEMPTS)):
        with page.expect_navigation():
            page.locator("li.row >> a").nth(number).click()
        page.wait_for_load_state("load")
        guard.check()
        page.goto(page.url.replace("/message?", "/message/print?"))
        page.wait_for_load_state("load")
        guard.check()
        page.go_back()
        page.go_back()
        page.wait_for_selector("li.row")
    visit.problems.clear()  # the pictures are none


def test_a_frame_opened_by_itself_runs_nothing_either(browse: Any, room: Mailroom) -> None:
    box = room.mailbox()
    uid = room.add(
        box, f"Subject: x\nContent-Type: text/html\n\n<p>before</p><script>{RUN}</script><img src=x onerror={RUN}>"
    )
    visit = browse("henry")
    guard = Guard(visit)
    page = visit.open(f"/mail/part/frame?mailbox={box}&uid={uid}&part=1")
    page.wait_for_selector("text=before")
    guard.check()
    visit.problems.clear()  # there is no icon beside a frame
