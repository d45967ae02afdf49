"""S22, S34: one form for people and their mail, and every day's administration, with the browser alone."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Callable

import pytest
from conftest import RunningDemo, eventually
from filled_forms import filled
from visitor import Visitor, letter_link, words

pytestmark = pytest.mark.xdist_group("web")
Visit = Callable[..., Visitor]


def test_s22_one_web_form_for_people_and_their_mail(visit: Visit, webbed: RunningDemo) -> None:
    """Who somebody is, which services he has, how much he may keep and where his mail goes: filled in once."""
    admin = visit("admin")
    made = admin.post(
        "/people/new",
        password_kind="generate",
        **{
            "n.login": "s22", "n.name": "Row Twenty-two", "n.addresses": "s22@example.com\ntwentytwo@example.com",
            "f.department": "sales", "f.services": ["imap", "submission", "webmail", "selfservice"], "has.services": "1",
            "f.quota": "20M", "f.forwards": "jane@example.com",
        },
    )  # fmt: skip
    password = re.search(r"<output>([^<]+)</output>", made.text)
    assert password is not None, words(made)
    with smtplib.SMTP("127.0.0.1", webbed.facts["ports"]["mx"], timeout=30) as client:
        client.sendmail(
            "friend@elsewhere.example",
            ["twentytwo@example.com"],
            "Subject: for row 22\r\nFrom: f@elsewhere.example\r\n\r\nx\r\n",
        )
    his, jane = visit("s22", password[1]), visit("jane")
    eventually(lambda: "for row 22" in words(his.get("/mail/")))
    eventually(lambda: "for row 22" in words(jane.get("/mail/")))
    eventually(lambda: "s22@example.com" in words(admin.get("/quotas/?q=s22")))  # figures are some seconds old


def test_s34_daily_management_needs_only_a_browser(visit: Visit) -> None:
    """What falls to an administrator in a week: each by a form."""
    admin = visit("admin")

    def make(kind: str, **fields: str) -> None:
        answer = admin.post(f"/{kind}/new", **{f"n.{name}": value for name, value in fields.items()})
        assert answer.status_code == 200 and "Made." in words(answer), words(answer)

    def change(path: str, **fields: str) -> None:
        form = filled(admin.get(path), path.rpartition("/")[0])
        answer = admin.post(path, **{**form, **{f"f.{name}": value for name, value in fields.items()}})
        assert "Saved." in words(answer), words(answer)

    make("domains", name="s34.example")
    admin.post(
        "/people/new", password_kind="generate", **{"n.login": "s34", "n.name": "S", "n.addresses": "s34@s34.example"}
    )
    change("/people/of/s34", quota="30M")
    change("/people/of/s34", status="noaccess")
    change("/people/of/s34", status="active")
    assert "once, and kept nowhere" in words(admin.post("/people/password/s34", password_kind="generate"))
    make("aliases", address="info@s34.example", targets="s34")
    make("mailing-lists", address="all@s34.example", members="s34\njane")
    change("/mailing-lists/of/all@s34.example", owners="s34", moderation="nonmembers")
    assert "1 member was added." in words(admin.post("/mailing-lists/members/all@s34.example", add="oliver"))
    make("shared", address="desk@s34.example")
    change("/shared/of/desk@s34.example", full_access="s34")
    change("/domains/of/s34.example", admins="s34", catch_all="s34@s34.example")
    assert "s34.example. IN MX" in words(admin.get("/domains/dns/s34.example"))
    assert "Mailboxes" in words(admin.get("/quotas/?domain=s34.example"))
    assert "1 of 1 rows are good." in words(admin.post("/bulk/", table="login,title\ns34,Tester\n", apply="1"))
    latest = re.search(r"/changes/undo/(\d+)", admin.get("/changes/").text)
    assert latest is not None and "is taken back" in words(admin.post(f"/changes/undo/{latest[1]}"))
    assert filled(admin.get("/people/of/s34"), "/people/of/")["f.title"] == [""]
    assert "uid=s34" in admin.get("/bulk/export/user.ldif?domain=s34.example").text
    for path in ("aliases", "mailing-lists", "shared"):
        for name in re.findall(rf"/{path}/of/([^\"]+@s34\.example)", admin.get(f"/{path}/?domain=s34.example").text):
            assert "is deleted" in words(admin.post(f"/{path}/delete/{name}"))
    change("/domains/of/s34.example", catch_all="", admins="")
    assert "is deleted" in words(admin.post("/people/delete/s34"))
    assert "is deleted" in words(admin.post("/domains/delete/s34.example"))


def test_s27_apply_for_a_mailbox_and_change_its_password_by_browser(visit: Visit, webbed: RunningDemo) -> None:
    stranger, admin = visit(), visit("admin")
    form = {"login": "s27", "name": "Row Twenty-seven", "domain": "example.com", "contact": "s27@elsewhere.example"}
    assert "on its way" in words(stranger.post("/apply/", **form))
    first = letter_link(webbed, "s27@elsewhere.example", "confirm")
    assert "waits for a decision" in words(stranger.post(first))
    assert "The mailbox is there" in words(admin.post("/applications/", id=first.split("/")[2], decision="approve"))
    second = letter_link(webbed, "s27@elsewhere.example", "is there")
    stranger.post(second, password="Founding-27-first", again="Founding-27-first")
    his = visit("s27", "Founding-27-first")
    changed = his.post("/self/password", old="Founding-27-first", new="Founding-27-second", again="Founding-27-second")
    assert changed.status_code == 200, words(changed)
    assert "Row Twenty-seven" in words(visit("s27", "Founding-27-second").get("/mail/"))
