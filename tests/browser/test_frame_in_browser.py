"""The frame of the pages, seen in a browser."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.xdist_group("web")


def test_signing_in_in_both_languages_by_day_and_night(browse) -> None:  # type: ignore[no-untyped-def]
    for language, dark in (("en", False), ("zh", True)):
        visit = browse(language=language, dark=dark)
        visit.open("/login")
        visit.picture(f"login-{language}{'-dark' if dark else ''}")
        page = visit.sign_in("jane")
        page.wait_for_selector("text=Welcome to Gatepost")
        visit.picture(f"inbox-{language}{'-dark' if dark else ''}")


def test_on_a_telephone(browse) -> None:  # type: ignore[no-untyped-def]
    visit = browse("admin", phone=True)
    page = visit.open("/people/")
    page.wait_for_selector("text=Jane Doe")
    visit.picture("people-phone")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (
        "the page is wider than the telephone"
    )
