"""People in the browser: found, made, changed, given passwords, deleted, within the rights of whoever does it."""

from __future__ import annotations

import imaplib
import re
import ssl
from collections.abc import Callable, Iterator

import pytest
from conftest import RunningDemo
from filled_forms import filled
from visitor import Visitor, words

pytestmark = pytest.mark.xdist_group("web")
Visit = Callable[..., Visitor]


def make(admin: Visitor, login: str, domain: str = "example.com", **more: str) -> str:
    """A person of the test's own; answers the password that was made."""
    fields = {"n.login": login, "n.name": f"Test {login.title()}", "n.addresses": f"{login}@{domain}", **more}
    answer = admin.post("/people/new", password_kind="generate", **fields)
    assert answer.status_code == 200, words(answer)
    found = re.search(r"<output>([^<]+)</output>", answer.text)
    assert found is not None, words(answer)
    return found[1]


def show(visitor: Visitor, path: str) -> dict[str, list[str]]:
    answer = visitor.get(path)
    assert answer.status_code == 200, words(answer)
    return filled(answer, path.rpartition("/")[0])


@pytest.fixture
def other_domain(visit: Visit) -> Iterator[str]:
    """Katharina administers example.org during a test."""
    admin = visit("admin")
    path = "/domains/of/example.org"
    form = show(admin, path)
    assert "Saved." in words(admin.post(path, **{**form, "f.admins": "katharina"}))
    yield "katharina"
    form = show(admin, path)
    admin.post(path, **{**form, "f.admins": ""})


def test_somebody_is_made_signs_in_is_changed_and_deleted(visit: Visit, webbed: RunningDemo) -> None:
    admin = visit("admin")
    password = make(admin, "webnew", **{"f.quota": "2G", "f.department": "sales"})
    assert visit("webnew", password).get("/mail/").status_code == 200
    ports = webbed.facts["ports"]
    context = ssl.create_default_context(cafile=webbed.facts["ca_file"])
    with imaplib.IMAP4_SSL("localhost", ports["imaps"], ssl_context=context) as imap:
        assert imap.login("webnew", password)[0] == "OK"
    path = "/people/of/webnew"
    form = show(admin, path)
    assert form["f.quota"] == ["2G"] and form["f.department"] == ["sales"]
    answer = admin.post(path, **{**form, "f.title": "Tester", "f.quota": "", "f.hidden": "yes", "f.services": ["imap"]})
    assert "Saved." in words(answer)
    again = show(admin, path)
    assert again["f.title"] == ["Tester"] and again["f.quota"] == [""] and again["f.hidden"] == ["yes"]
    assert again["f.services"] == ["imap"]
    assert "Now holds: 1G" in words(admin.get(path)), "what the domain gives is not told"
    assert "Nothing was changed." in words(admin.post(path, **again))
    assert "no longer sign in" in words(admin.get("/people/delete/webnew"))
    assert "is deleted" in words(admin.post("/people/delete/webnew"))
    assert admin.get(path).status_code == 404


def test_another_login_is_added_and_the_one_that_names_the_entry_stays(visit: Visit) -> None:
    admin = visit("admin")
    make(admin, "webbefore")
    form = show(admin, "/people/of/webbefore")
    assert form["f.logins"] == ["webbefore"], "addresses stand among the logins"
    answer = admin.post("/people/of/webbefore", **{**form, "f.logins": "webbefore\nwebafter"})
    assert "Saved." in words(answer) and "webafter" in words(admin.get("/people/of/webbefore"))
    form = show(admin, "/people/of/webafter")
    answer = admin.post("/people/of/webafter", **{**form, "f.logins": "webafter"})
    assert answer.status_code == 422 and "naming attribute" in words(answer)


def test_what_is_wrong_is_said_at_the_field_and_what_was_typed_stays(visit: Visit) -> None:
    admin = visit("admin")
    make(admin, "webwrong")
    form = show(admin, "/people/of/webwrong")
    answer = admin.post("/people/of/webwrong", **{**form, "f.quota": "much", "f.office": "Room 12"})
    assert answer.status_code == 422 and "'much' is not a size in octets" in words(answer)
    kept = filled(answer, "/people/of/webwrong")
    assert kept["f.quota"] == ["much"] and kept["f.office"] == ["Room 12"]
    assert "Saved." in words(admin.post("/people/of/webwrong", **{**kept, "f.quota": "3G"}))
    assert show(admin, "/people/of/webwrong")["f.office"] == ["Room 12"]
    answer = admin.post("/people/new", **{"n.login": "web wrong", "n.name": "X", "n.addresses": "x@example.com"})
    assert answer.status_code == 422 and "a login has 1 to 64" in words(answer) and 'value="web wrong"' in answer.text
    answer = admin.post("/people/new", **{"n.login": "web2", "n.name": "X", "n.addresses": "jane@example.com"})
    assert answer.status_code == 422 and "belongs to" in words(answer)


def test_a_change_meanwhile_shows_both(visit: Visit) -> None:
    one, two = visit("admin"), visit("admin")
    make(one, "webboth")
    path = "/people/of/webboth"
    mine, theirs = show(one, path), show(two, path)
    assert "Saved." in words(two.post(path, **{**theirs, "f.title": "Theirs", "f.office": "Room 1"}))
    answer = one.post(path, **{**mine, "f.title": "Mine", "f.department": "lab"})
    assert answer.status_code == 409 and "Somebody else changed this entry meanwhile" in words(answer)
    assert "Now in the directory: Theirs" in words(answer)
    both = filled(answer, path)
    assert both["f.title"] == ["Mine"] and both["f.office"] == ["Room 1"] and both["f.department"] == ["lab"]
    assert "Saved." in words(one.post(path, **both))
    last = show(one, path)
    assert (last["f.title"], last["f.office"], last["f.department"]) == (["Mine"], ["Room 1"], ["lab"])


def test_the_help_desk_sets_passwords_and_nothing_else(visit: Visit) -> None:
    admin, henry = visit("admin"), visit("henry")
    make(admin, "webhelp")
    form = show(henry, "/people/of/webhelp")
    assert {name for name in form if name.startswith(("f.", "has."))} <= {
        "f.status", "f.must_change_password", "has.must_change_password"
    }, "more than the help desk may change"  # fmt: skip
    answer = henry.post("/people/of/webhelp", **{**form, "f.status": "noaccess", "f.quota": "9G"})
    assert "Saved." in words(answer) and "9G" not in words(admin.get("/people/of/webhelp"))
    assert (
        henry.post("/people/of/webhelp", **{**show(henry, "/people/of/webhelp"), "f.status": "closed"}).status_code
        == 403
    )
    henry.post("/people/of/webhelp", **{**show(henry, "/people/of/webhelp"), "f.status": "active"})
    answer = henry.post("/people/password/webhelp", password_kind="generate", must_change="yes")
    found = re.search(r"<output>([^<]+)</output>", answer.text)
    assert found is not None
    assert show(admin, "/people/of/webhelp")["f.must_change_password"] == ["yes"]
    assert henry.get("/people/new").status_code == 403
    assert henry.post("/people/delete/webhelp").status_code == 403
    assert henry.get("/people/password/admin").status_code == 403
    answer = henry.post("/people/password/admin", password_kind="typed", password="not-yours-to-set")
    assert answer.status_code == 403 and "administrator" in words(answer)


def test_a_domains_administrator_stays_in_his_domain(visit: Visit, other_domain: str) -> None:
    admin, his = visit("admin"), visit(other_domain)
    page = words(his.get("/people/"))
    assert "lukas@example.org" in page and "jane@example.com" not in page
    for path in ("/people/of/jane", "/people/delete/jane", "/people/password/jane", "/domains/of/example.com", "/aliases/of/info@example.com"):  # fmt: skip
        assert his.get(path).status_code == 404, path
    make(his, "weborg", "example.org")
    assert "f.quota" in show(his, "/people/of/weborg") and "f.send_as" not in show(his, "/people/of/weborg")
    answer = his.post("/people/new", **{"n.login": "webcom", "n.name": "X", "n.addresses": "webcom@example.com"})
    assert answer.status_code == 403 and "you administer no domain" in words(answer)
    form = show(his, "/people/of/weborg")
    answer = his.post("/people/of/weborg", **{**form, "f.addresses": "weborg@example.org\nweborg@example.com"})
    assert answer.status_code == 403, words(answer)
    make(admin, "webelse")
    assert his.post("/people/delete/webelse").status_code == 404
    assert his.post("/people/password/webelse", password_kind="generate").status_code == 404
    assert "is deleted" in words(his.post("/people/delete/weborg"))


def test_people_without_a_role_see_none_of_it(visit: Visit) -> None:
    sophie = visit("sophie")
    for path in ("/people/", "/people/of/jane", "/people/new", "/aliases/", "/shared/", "/domains/", "/pick?q=jane"):
        assert sophie.get(path).status_code == 403, path
        assert visit().get(path).url.split("?")[0].endswith("/login")
    assert sophie.post("/people/delete/jane").status_code == 403
    assert sophie.post("/people/password/jane", password_kind="generate").status_code == 403


@pytest.mark.parametrize(
    "query",
    ["q=%00", "start=99999999999999", "start=-1", "status=nonsense", "domain=..%2F", "q=" + "x" * 5000, "q=%ED%A0%80"],
)
def test_nonsense_in_the_address_is_no_trouble(visit: Visit, query: str) -> None:
    assert visit("admin").get(f"/people/?{query}").status_code == 200


@pytest.mark.parametrize(
    "name", ["nobody", "uid=jane", "uid=nobody,ou=people,o=gatepost", "a@b@c", "%2e%2e", "x" * 3000, "%00"]
)
def test_an_entry_that_is_not_there(visit: Visit, name: str) -> None:
    assert visit("admin").get(f"/people/of/{name}").status_code == 404


def test_pages_of_many(visit: Visit) -> None:
    admin = visit("admin")
    page = admin.get("/people/?start=20")
    assert "Alice Evans" not in words(page) and "黄婷" in words(page)
    assert "jane" in words(admin.get("/people/?q=doe+jane&domain=example.com"))
    assert "Susan Suspended" in words(admin.get("/people/?status=suspended"))
    assert "Jane Doe" not in words(admin.get("/people/?status=suspended"))


def test_names_to_pick(visit: Visit) -> None:
    found = visit("admin").get("/pick?q=jan").text
    assert 'data-key="jane"' in found and "Jane Doe" in found and "<html" not in found
    assert "robot" not in visit("henry").get("/pick?q=zzz").text
