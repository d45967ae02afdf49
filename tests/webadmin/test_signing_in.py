"""Signing in and out, and what somebody who is not signed in gets to see."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import RunningDemo
from visitor import Visitor, words

pytestmark = pytest.mark.xdist_group("web")
Visit = Callable[..., Visitor]


def test_a_person_signs_in_and_reads_his_mail(visit: Visit) -> None:
    jane = visit("jane")
    page = jane.get("/")
    assert page.url.endswith("/mail/") and "Jane Doe" in words(page) and "Welcome to Gatepost" in words(page)


def test_what_is_not_for_him_is_refused(visit: Visit) -> None:
    answer = visit("jane").get("/people/")
    assert answer.status_code == 403 and "other rights" in words(answer)


def test_an_administrator_finds_people(visit: Visit) -> None:
    admin = visit("admin")
    assert "jmueller@example.com" in words(admin.get("/people/?q=müller"))
    assert "jmueller@example.com" not in words(admin.get("/people/?q=jane"))


@pytest.mark.parametrize(("login", "password"), [("jane", "wrong"), ("nobody", "wrong"), ("closed", "closed-demo-password"), ("jane", ""), ("*", "*"), ("jane)(uid=*", "x"), ("jane\0", "x")])  # fmt: skip
def test_the_same_words_for_every_login_that_is_refused(visit: Visit, login: str, password: str) -> None:
    somebody = visit()
    answer = somebody.post("/login", login=login, password=password)
    assert answer.status_code == 401 and "Login or password is wrong, or this account may not sign in here." in words(
        answer
    )
    assert somebody.get("/mail/").url.split("?")[0].endswith("/login")


def test_signing_out_ends_the_session_for_every_copy_of_the_cookie(visit: Visit) -> None:
    jane, thief = visit("jane"), visit()
    thief.http.cookies.update(jane.http.cookies)
    assert "Jane Doe" in words(thief.get("/mail/"))
    assert "Signed out" in words(jane.post("/logout"))
    answer = thief.get("/mail/")
    assert answer.url.split("?")[0].endswith("/login") and "session has ended" in words(answer)


def test_signing_in_makes_another_session_whatever_the_browser_had(visit: Visit, webbed: RunningDemo) -> None:
    somebody = visit()
    somebody.get("/login")
    before = somebody.http.cookies.get("gatepost")
    somebody.post("/login", login="jane", password="jane-demo-password")
    assert somebody.http.cookies.get("gatepost") not in (None, before)


@pytest.mark.parametrize(
    "target", ["https://elsewhere.example/", "//elsewhere.example/", "/\\elsewhere.example", "javascript:alert(1)", "http:elsewhere"]
)  # fmt: skip
def test_nobody_is_sent_to_another_site(visit: Visit, target: str) -> None:
    answer = visit().post("/login", allow_redirects=False, login="jane", password="jane-demo-password", to=target)
    assert answer.status_code == 302 and answer.headers["Location"] == "/"


def test_he_gets_to_the_page_that_he_wanted(visit: Visit) -> None:
    somebody = visit()
    asked = somebody.get("/people/?q=jane")
    assert "to=/people/?q%3Djane" in asked.url
    answer = somebody.post("/login", login="admin", password="admin-demo-password", to="/people/?q=jane")
    assert answer.url.endswith("/people/?q=jane") and answer.status_code == 200


def test_a_form_of_another_site_does_nothing(visit: Visit) -> None:
    jane = visit("jane")
    answer = jane.http.post(jane.base + "/logout", data={}, timeout=30)
    assert answer.status_code == 400 and "came from another site" in words(answer)
    assert jane.get("/mail/").url.endswith("/mail/")


def test_every_answer_says_what_the_browser_may_do(visit: Visit) -> None:
    for path in ("/login", "/nothing", "/mail/", "/static/x/gatepost.css"):
        headers = visit().get(path).headers
        assert (
            "default-src 'none'" in headers["Content-Security-Policy"]
            and "'unsafe-eval'" not in headers["Content-Security-Policy"]
        )
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["X-Frame-Options"] == "DENY"
        assert "Server" not in headers or "waitress" not in headers["Server"].lower()


def test_a_page_that_is_not_there_keeps_the_menu(visit: Visit) -> None:
    page = visit("jane").get("/nothing")
    assert page.status_code == 404 and "Set up devices" in words(page) and "Jane Doe" in words(page)
    assert visit().get("/nothing").status_code == 404


def test_the_language_is_the_browsers_or_the_one_that_is_chosen(visit: Visit) -> None:
    somebody = visit()
    somebody.http.headers["Accept-Language"] = "zh-CN,zh;q=0.9"
    assert "登录名或地址" in words(somebody.get("/login"))
    assert "Login or address" in words(somebody.post("/language", language="en", to="/login"))
    assert "登录名或地址" in words(somebody.post("/language", language="zh", to="/login"))
