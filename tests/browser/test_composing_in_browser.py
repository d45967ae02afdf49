"""Writing a message in a browser with scripts: people offered, files dropped, formats, drafts saved, taken back."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.xdist_group("web")

DROP = """(content) => {
  const files = new DataTransfer();
  files.items.add(new File([content], "dropped 文.txt", { type: "text/plain" }));
  document.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
}"""


def test_a_message_is_written_sent_and_taken_back(browse) -> None:  # type: ignore[no-untyped-def]
    visit = browse("katharina")
    page = visit.open("/compose")
    page.locator("#to").press_sequentially("ursula")
    page.wait_for_selector("#to-people li")
    visit.picture("compose-people")
    page.keyboard.press("Enter")
    assert page.input_value("#to") == "Ursula Groß <ursula@example.org>, "
    page.fill("#subject", "From a browser")
    page.fill("#text", "hello\n\nworld")
    page.evaluate(DROP, "dropped content")
    page.wait_for_selector("#attachments li:has-text('dropped')")
    page.wait_for_selector("#told:has-text('Draft saved')")
    page.set_input_files(
        "#file", {"name": "chosen.bin", "mimeType": "application/octet-stream", "buffer": b"\0" * 300_000}
    )
    page.wait_for_selector("#attachments li:has-text('chosen.bin')")
    page.click("#attachments li:has-text('chosen.bin') button")
    page.wait_for_selector("#attachments li:has-text('chosen.bin')", state="detached")
    visit.picture("compose")
    page.click("#send")
    page.wait_for_url("**/compose/sent?**")
    assert re.search(r"It goes in \d+ seconds", page.text_content("#left") or "")
    visit.picture("compose-sent")
    page.click("button:has-text('Take it back')")
    page.wait_for_url("**/compose?draft=*")
    assert page.input_value("#text").strip() == "hello\n\nworld" and page.locator("#attachments li").count() == 1
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#discard")
    page.wait_for_selector("text=The draft was thrown away.")


def test_formats_are_kept_in_a_draft(browse) -> None:  # type: ignore[no-untyped-def]
    visit = browse("katharina")
    page = visit.open("/compose?to=ursula@example.org&subject=Rich")
    page.click("#switch")
    page.click("#rich")
    page.keyboard.type("plain and ")
    page.click("[data-do=bold]")
    page.keyboard.type("bold <script>")
    page.keyboard.press("Enter")
    page.click("[data-do=list]")
    page.keyboard.type("point")
    visit.picture("compose-rich")
    page.click("#save")
    page.wait_for_selector("text=The draft is saved.")
    page.wait_for_selector("#rich b:has-text('bold <script>')")
    assert page.locator("#rich li").inner_text().strip() == "point"
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#switch")
    assert "plain and bold <script>" in page.input_value("#text") and "* point" in page.input_value("#text")
    page.click("#discard")
    page.wait_for_selector("text=The draft was thrown away.")


def test_it_is_saved_while_one_writes_and_fits_a_telephone(browse) -> None:  # type: ignore[no-untyped-def]
    visit = browse("katharina", phone=True, language="zh", dark=True)
    page = visit.open("/compose")
    page.fill("#subject", "自动保存")
    page.locator("#text").press_sequentially("你好")
    page.wait_for_selector("[name=draft]:not([value=''])", state="attached")
    visit.picture("compose-phone-dark")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "wider than the telephone"
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#discard")
    page.wait_for_selector("text=草稿已丢弃")
