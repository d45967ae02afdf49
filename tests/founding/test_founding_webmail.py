"""S30: a browser alone does every mail operation."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import RunningDemo
from mailroom import Mailroom

pytestmark = pytest.mark.xdist_group("web")  # the demo with a web front end is that group's


def test_s30_a_browser_alone_does_every_mail_operation(browse: Any, webbed: RunningDemo) -> None:
    visit = browse("lukas")
    page = visit.page
    # a folder is made
    visit.open("/mail/folders")
    page.fill("main form >> nth=0 >> input[name=name]", "Keep")
    page.click("button[value=create]")
    page.wait_for_selector("text=The folder was made.")
    # written, with a file, sent to himself
    visit.open("/mail/")
    page.click("a:has-text('Write')")
    page.fill("#to", "lukas@example.org")
    page.fill("#subject", "S30 harvest")
    page.fill("#text", "Forty baskets.\n")
    page.set_input_files("#file", {"name": "list.txt", "mimeType": "text/plain", "buffer": b"apples"})
    page.wait_for_selector("#attachments li:has-text('list.txt')")
    page.click("#send")
    page.wait_for_url("**/compose/sent?**")
    # it comes, after the seconds in which it could be taken back, and is found
    visit.open("/mail/?mailbox=INBOX&q=subject:harvest")
    for _ in range(60):
        if page.locator("li.row").count():
            break
        page.wait_for_timeout(1000)
        page.reload()
    page.click("li.row >> text=S30 harvest")
    page.wait_for_selector("text=Forty baskets.")
    with page.expect_download() as saved:
        page.click("text=list.txt")
    assert saved.value.path().read_bytes() == b"apples"
    # answered: the form holds what is answered to
    page.click("a:has-text('Reply') >> nth=0")
    page.wait_for_selector("#text")
    assert "> Forty baskets." in page.input_value("#text") and page.input_value("#subject") == "Re: S30 harvest"
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#discard")
    # flagged, labelled, moved, deleted
    visit.open("/mail/?mailbox=INBOX&q=subject:harvest")
    page.click("li.row button.star")
    page.wait_for_selector("li.row button.star.on")
    page.check("li.row input[name=uid]")
    page.click("form.list summary:has-text('More')")
    page.fill("form.list input[name=label]", "Autumn")
    page.click("form.list button[value=label]")
    page.wait_for_selector("li.row .label >> text=Autumn")
    page.check("li.row input[name=uid]")
    page.click("form.list summary:has-text('More')")
    page.select_option("form.list select[name=to]", "Keep")
    page.click("form.list button[value=move]")
    page.wait_for_selector("text=Moved to Keep: 1")
    page.click("#folders a:has-text('Keep')")
    with page.expect_navigation():
        page.click("li.row >> text=S30 harvest")
    with page.expect_navigation():
        page.keyboard.press("#")
    page.wait_for_selector("text=Moved to Trash: 1")
    room = Mailroom(webbed, "lukas")
    assert room.count("Keep") == 0 and room.count("Trash") >= 1 and room.count("Sent") >= 1
    room.close()
