"""Operation, clicked through in a browser."""

from __future__ import annotations

import smtplib
import ssl
from typing import Any

import pytest
from conftest import RunningDemo

pytestmark = pytest.mark.xdist_group("web")


def waits(demo: RunningDemo, recipient: str) -> None:
    """A message of Jane's that waits by her wish."""
    with smtplib.SMTP("localhost", demo.port("submission"), timeout=30) as client:
        client.starttls(context=ssl.create_default_context(cafile=demo.facts["ca_file"]))
        client.login("jane", "jane-demo-password")
        client.sendmail(
            "jane@example.com", [recipient], "From: jane@example.com\r\nSubject: Waits\r\n\r\nx\r\n", ["HOLDFOR=86400"]
        )


def test_a_waiting_message_is_held_and_thrown_away(browse: Any, webbed: RunningDemo) -> None:
    waits(webbed, "opal@queue-browser.example")
    visit = browse("admin")
    page = visit.open("/queue/?domain=queue-browser.example")
    visit.picture("ops-queue")
    page.click("ul.queue a")
    page.click("button:has-text('Hold')")
    page.wait_for_selector("text=The message is held")
    visit.picture("ops-queued")
    page.click("text=Throw away")
    visit.picture("ops-queue-drop")
    page.click("button:has-text('Throw it away')")
    page.wait_for_selector("text=was thrown away")
    visit.open("/queue/?domain=queue-browser.example").wait_for_selector("text=Nothing that matches waits.")


def test_the_queue_on_a_telephone(browse: Any, webbed: RunningDemo) -> None:
    waits(webbed, "opal@a-very-long-domain-of-somebody-elsewhere.queue-phone.example")
    visit = browse("admin", phone=True, dark=True, language="zh")
    page = visit.open("/queue/?recipient=queue-phone.example")
    visit.picture("ops-queue-phone-zh-dark")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.click("ul.queue a")
    visit.picture("ops-queued-phone-zh-dark")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_dashboard_draws_its_charts_and_has_a_table_without_scripts(browse: Any) -> None:
    visit = browse("admin")
    page = visit.open("/dashboard/")
    page.wait_for_selector("#charts[data-drawn=yes] canvas")
    assert page.locator("#charts canvas").count() == 4 and not page.locator("#table table").is_visible()
    visit.picture("ops-dashboard")
    plain = browse("admin", scripts=False)
    page = plain.open("/dashboard/")
    assert page.locator("#table table").is_visible() and not page.locator("#charts").is_visible()
    plain.picture("ops-dashboard-plain")


def test_trace_doctor_and_dashboard_on_a_telephone(browse: Any, webbed: RunningDemo) -> None:
    with smtplib.SMTP("127.0.0.1", webbed.port("mx"), timeout=30) as client:
        text = "From: tina@trace-phone.example\r\nSubject: x\r\n\r\nx\r\n"
        client.sendmail("tina@trace-phone.example", ["jane@example.com"], text)
    visit = browse("admin", phone=True, dark=True, language="zh")
    pages = ("/dashboard/", "/trace/?q=tina@trace-phone.example", "/doctor/?address=jane@example.com", "/doctor/?login=suspended",
             "/configuration/?all=1", "/log/")  # fmt: skip
    for number, path in enumerate(pages):
        page = visit.open(path)
        if path == "/dashboard/":
            page.wait_for_selector("#charts[data-drawn=yes]")
        visit.picture(f"ops-phone-zh-dark-{number}", whole=False)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path


def test_dkim_keys(browse: Any) -> None:
    visit = browse("admin")
    page = visit.open("/dkim/example.org")
    page.fill("input[name=name]", "browsed")
    page.click("text=Make keys")
    page.wait_for_selector("text=Made: browsed")
    visit.picture("ops-dkim")
    phone = browse("admin", phone=True, dark=True, language="zh")
    page = phone.open("/dkim/example.org")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    phone.picture("ops-dkim-phone-zh-dark")
    for selector in ("browsed", "browsed-ed"):
        page = visit.open("/dkim/example.org")
        page.click(f"button:text-is('Remove {selector}')")
        page.wait_for_selector(f"text=The key {selector} is removed")
