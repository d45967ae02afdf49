"""Self-service in a browser: each page is looked at, by day, at night and on a telephone."""

from __future__ import annotations

import pytest
from imapclient import IMAPClient
from pictures import SMALL

pytestmark = pytest.mark.xdist_group("web")

PAGES = (
    "password",
    "data",
    "forward",
    "vacation",
    "writing",
    "storage",
    "deleted",
    "apps",
    "sessions",
    "queue",
    "trace",
)


def test_vacation_by_the_readers_clock_and_a_look_at_it(browse) -> None:  # type: ignore[no-untyped-def]
    visit = browse("grace")
    page = visit.open("/self/vacation")
    page.check("[name=vacation]")
    page.fill("[name=start]", "2030-07-01T08:00")
    page.fill("[name=end]", "2030-07-15T08:00")
    page.fill("[name=text]", "I am away.\n我不在。")
    page.click("button[value=preview]")
    page.wait_for_selector("#preview pre:has-text('我不在')")
    assert page.input_value("[name=start]") == "2030-07-01T08:00"
    visit.picture("self-vacation")
    page.click("button[value=save]")
    page.wait_for_selector("text=Vacation replies are on.")
    assert (
        page.input_value("[name=start]") == "2030-07-01T08:00" and page.input_value("[name=end]") == "2030-07-15T08:00"
    )
    page.uncheck("[name=vacation]")
    page.click("button[value=save]")
    page.wait_for_selector("text=Vacation replies are off.")


def test_an_app_password_for_a_telephone(browse) -> None:  # type: ignore[no-untyped-def]
    visit = browse("grace")
    page = visit.open("/self/apps")
    page.fill("[name=name]", "Telephone")
    page.click("main button:has-text('Make it')")
    page.wait_for_selector("#secret:has-text('gpa_')")
    visit.picture("self-apps")
    page.click("button[aria-label='Revoke Telephone']")
    page.wait_for_selector("text=1 app password is revoked.")


def test_deleted_messages_come_back(browse, webbed) -> None:  # type: ignore[no-untyped-def]
    visit = browse("grace")
    password = next(each["password"] for each in webbed.facts["accounts"] if each["login"] == "grace")
    with IMAPClient("127.0.0.1", webbed.port("imap"), ssl=False) as client:
        client.login("grace", password)
        client.create_folder("Undone")
        for subject in ("Minutes of the meeting", "A very long subject " * 8):
            client.append("Undone", f"From: Ann <ann@example.com>\r\nSubject: {subject}\r\n\r\nx\r\n".encode())
        client.select_folder("Undone")
        client.delete_messages([1, 2])
        client.expunge()
    page = visit.open("/self/deleted")
    page.check("tr:has-text('Minutes of the meeting') input")
    visit.picture("self-deleted")
    page.click("main button:has-text('Put back')")
    page.wait_for_selector("text=1 message is back.")
    assert page.locator("tr:has-text('Minutes of the meeting')").count() == 0
    with IMAPClient("127.0.0.1", webbed.port("imap"), ssl=False) as client:
        client.login("grace", password)
        assert client.folder_status("Undone", ["MESSAGES"])[b"MESSAGES"] == 1


def test_every_page_fits_a_telephone_in_chinese(browse) -> None:  # type: ignore[no-untyped-def]
    visit = browse("grace", phone=True, language="zh", dark=True)
    for name in PAGES:
        page = visit.open(f"/self/{name}")
        visit.picture(f"self-{name}-phone")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{name} is too wide"


def test_a_photo_is_made_small_and_taken_away(browse) -> None:  # type: ignore[no-untyped-def]
    visit = browse("felix")
    page = visit.open("/self/data")
    page.set_input_files("input[name=photo]", {"name": "me.jpg", "mimeType": "image/jpeg", "buffer": SMALL})
    page.wait_for_selector("img[alt='Your photo']")
    assert page.evaluate("document.querySelector('.photo img').naturalWidth") == 16
    visit.picture("self-photo")
    page.click("button[value=remove]")
    page.wait_for_selector("text=The photo is taken away.")
