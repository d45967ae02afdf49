"""Administration of entries, clicked through in a browser."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.xdist_group("web")


def test_an_administrator_makes_a_person_who_then_signs_in(browse) -> None:  # type: ignore[no-untyped-def]
    visit = browse("admin")
    page = visit.open("/people/")
    visit.picture("people")
    page.click("text=New person")
    visit.picture("people-new")
    page.fill("input[name='n.name']", "Bettina Browser")
    page.fill("input[name='n.login']", "bettina")
    page.fill("textarea[name='n.addresses']", "bettina@example.com")
    page.click("text=Make it")
    password = page.locator(".made output").inner_text()
    visit.picture("people-password-made")
    page.click("text=To bettina")
    page.fill("input[name='f.title']", "Tester")
    page.click("summary:has-text('Sharing')")
    page.fill(".picker:has(+ textarea[name='f.full_access']) input", "jane")
    page.click("li[data-key=jane]")
    assert page.input_value("textarea[name='f.full_access']") == "jane"
    page.click("button:has-text('Save')")
    page.wait_for_selector("text=Saved.")
    assert page.input_value("input[name='f.title']") == "Tester"
    visit.picture("people-show")
    page.click("summary:has-text('Limits')")
    page.fill("input[name='f.quota']", "much")
    page.click("button:has-text('Save')")
    page.wait_for_selector("text=is not a size in octets")
    visit.picture("people-wrong")
    visit.problems.clear()  # the answer's code 422
    her = browse()
    her.sign_in("bettina", password)
    her.page.wait_for_selector("text=Bettina Browser")
    page.click("a:text-is('Delete')")
    visit.picture("people-delete")
    page.click("button:has-text('Delete')")
    page.wait_for_selector("text=is deleted")


def test_the_table_follows_what_is_typed(browse) -> None:  # type: ignore[no-untyped-def]
    visit = browse("admin", phone=True, dark=True, language="zh")
    page = visit.open("/people/")
    page.type("input[name=q]", "susan")
    page.wait_for_selector("#found :text('Jane Doe')", state="detached")
    page.wait_for_selector("text=Susan Suspended")
    assert "q=susan" in page.url
    visit.picture("people-search-phone-zh-dark")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page = visit.open("/people/of/jane")
    visit.picture("people-show-phone-zh-dark")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_lists_domains_and_changes(browse) -> None:  # type: ignore[no-untyped-def]
    visit = browse("admin")
    page = visit.open("/mailing-lists/new")
    page.fill("input[name='n.address']", "browserlist@example.com")
    page.fill(".picker:has(+ textarea[name='n.members']) input", "oliv")
    page.click("li[data-key=oliver]")
    page.click("text=Make it")
    page.wait_for_selector("text=Made.")
    visit.picture("list-show")
    page.click("a[role=button]:has-text('Members')")
    page.fill(".picker input", "jane")
    page.click("li[data-key=jane]")
    page.click("button:has-text('Add')")
    page.wait_for_selector("text=1 member was added.")
    visit.picture("list-members")
    page.check("input[aria-label='Oliver Smith']")
    page.click("text=Take out the chosen")
    page.wait_for_selector("text=1 member was taken out.")
    page = visit.open("/changes/")
    page.locator(".changes summary").first.click()
    page.click(".changes details[open] button:has-text('Take back')")
    page.wait_for_selector("text=is taken back")
    visit.picture("changes")
    page = visit.open("/mailing-lists/members/browserlist@example.com")
    page.wait_for_selector("text=Oliver Smith")
    for path, name in (("/quotas/", "quotas"), ("/domains/dns/example.com", "domain-dns"), ("/shared/", "shared")):
        visit.open(path)
        visit.picture(name)


def test_many_people_at_once(browse) -> None:  # type: ignore[no-untyped-def]
    visit = browse("admin", phone=True)
    page = visit.open("/bulk/")
    page.fill(
        "textarea[name=table]",
        "login,name,addresses,quota\nbulkb,Bulk B,bulkb@example.com,1G\nbulkc,,x@elsewhere.example,\n",
    )
    page.click("text=Show what would happen")
    page.wait_for_selector("text=1 of 2 rows are good.")
    visit.picture("bulk-preview-phone")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.click("button:has-text('Do it')")
    page.wait_for_selector("h1:has-text('What was done')")
    page.click("a:has-text('bulkb')")
    page.wait_for_selector("h1:has-text('Bulk B')")


def test_the_help_desk_sees_what_it_may_do(browse) -> None:  # type: ignore[no-untyped-def]
    visit = browse("henry")
    page = visit.open("/people/of/jane")
    assert page.locator("select[name='f.status']").is_visible() and page.locator("select[name='f.status']").is_enabled()
    assert not page.locator("input[name='f.display_name']").is_editable()
    assert page.locator(":text-is('Delete')").count() == 0
    visit.picture("people-show-helpdesk")
