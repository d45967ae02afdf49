"""Debian's Chromium, driven by Playwright, against the one demo with a web front end.

Each page that is visited leaves a picture in `.screenshots/` of the project, for people to look at.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

if TYPE_CHECKING:
    from conftest import RunningDemo

SCREENSHOTS = Path(__file__).resolve().parents[1] / ".screenshots"
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
#: nothing but the pages under test is asked of any network
ARGUMENTS = [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-extensions", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
]  # fmt: skip


@pytest.fixture(scope="module")  # Playwright keeps an event loop running, which other modules' tests must not find
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium: `make test` installs it (Debian package chromium) where it may")
    arguments = [*ARGUMENTS, *(["--no-sandbox"] if os.getuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


class Visit:
    """A page of somebody's, in a browser of his own. What its console says as an error fails the test at the end."""

    def __init__(self, demo: RunningDemo, context: BrowserContext) -> None:
        self.base = str(demo.facts["web"]["url"])
        self.context = context
        self.page: Page = context.new_page()
        self.page.set_default_timeout(30_000)
        self.problems: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", lambda said: self.problems.append(said.text) if said.type == "error" else None)

    def open(self, path: str) -> Page:
        self.page.goto(self.base + path)
        return self.page

    def sign_in(self, login: str, password: str = "") -> Page:
        page = self.open("/login")
        page.fill("input[name=login]", login)
        page.fill("input[name=password]", password or f"{login}-demo-password")
        page.click("form[action$='/login'] button")
        page.wait_for_url(lambda url: "/login" not in url)
        return page

    def picture(self, name: str, *, whole: bool = True) -> None:
        """Keep what the page looks like now, or what of it is in the window."""
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=str(SCREENSHOTS / f"{name}.png"), full_page=whole)


@pytest.fixture
def browse(chromium: Browser, webbed: RunningDemo) -> Iterator[Callable[..., Visit]]:
    """Makes visits: `browse(login="", phone=False, language="en", dark=False, scripts=True)`."""
    made: list[Visit] = []

    def browse(
        login: str = "", *, phone: bool = False, language: str = "en", dark: bool = False, scripts: bool = True
    ) -> Visit:
        context = chromium.new_context(
            java_script_enabled=scripts,
            viewport={"width": 390, "height": 844} if phone else {"width": 1280, "height": 860},
            locale={"en": "en-GB", "zh": "zh-CN"}[language],
            color_scheme="dark" if dark else "light",
        )
        made.append(Visit(webbed, context))
        if login:
            made[-1].sign_in(login)
        return made[-1]

    yield browse
    problems = [problem for visit in made for problem in visit.problems]
    for visit in made:
        visit.context.close()
    assert problems == []
