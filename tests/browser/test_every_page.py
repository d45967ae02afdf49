"""Every page of the menu, by day and night, on a desk and on a telephone: readable for all, as wide as the screen."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

pytestmark = pytest.mark.xdist_group("web")
#: pages that no menu leads to
OTHERS = ("/nothing", "/bye")
GRAVE = ("serious", "critical")


def grave(page: Any) -> list[str]:
    """What keeps people out who read by ear or by keyboard, as axe-core finds it."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']} ({each['impact']}): {each['help']}: {node['html'][:160]}"
        for each in found
        if each["impact"] in GRAVE
        for node in each["nodes"][:3]
    ]


def name_of(path: str) -> str:
    return path.strip("/").replace("/", "-") or "first"


@pytest.mark.parametrize("login", ["admin", "jane"])
@pytest.mark.parametrize(
    ("phone", "dark"), [(False, False), (False, True), (True, False)], ids=["desk", "night", "phone"]
)
def test_nobody_is_kept_out(browse: Any, login: str, phone: bool, dark: bool) -> None:
    visit = browse(login, phone=phone, dark=dark)
    found = visit.page.eval_on_selector_all("#menu a", "all => all.map(a => a.getAttribute('href'))")
    links = list({link.partition("?")[0]: link for link in found}.values())  # one of the folders
    assert links
    problems = []
    for path in (*links, *OTHERS):
        page = visit.open(path)
        problems += [f"{path}: {text}" for text in grave(page)]
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            problems.append(f"{path}: wider than the screen")
        if page.locator("h1").count() != 1:
            problems.append(f"{path}: {page.locator('h1').count()} headings of the first level")
        look = "-phone" if phone else "-dark" if dark else ""
        visit.picture(f"page-{login}-{name_of(path)}{look}")
    visit.problems = [said for said in visit.problems if "404" not in said]  # /nothing
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("dark", [False, True])
def test_signing_in_keeps_nobody_out(browse: Any, dark: bool) -> None:
    visit = browse(dark=dark)
    page = visit.open("/login")
    assert grave(page) == []
    page.fill("input[name=login]", "jane")
    page.fill("input[name=password]", "wrong")
    page.click("form[action$='/login'] button")
    page.wait_for_selector("[role=alert]")
    assert grave(page) == [] and page.input_value("input[name=login]") == "jane"
    visit.problems = [said for said in visit.problems if "401" not in said]


def test_by_keyboard_to_the_content_and_through_the_menu(browse: Any) -> None:
    page = browse("admin", phone=True).open("/people/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left >= 0")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    button = page.locator(".menu-button")
    assert not page.locator("#menu").is_visible()
    button.focus()
    page.keyboard.press("Enter")
    assert page.locator("#menu").is_visible() and button.get_attribute("aria-expanded") == "true"
    page.keyboard.press("Escape")
    assert not page.locator("#menu").is_visible()
    assert page.evaluate("document.activeElement.classList.contains('menu-button')")


def test_without_scripts_the_menu_stands_open(browse: Any) -> None:
    visit = browse("admin", phone=True, scripts=False)
    visit.open("/people/")
    assert visit.page.locator("#menu").is_visible() and not visit.page.locator(".menu-button").is_visible()
    visit.picture("people-phone-without-scripts")
