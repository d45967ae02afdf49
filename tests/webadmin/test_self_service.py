"""Self-service in the browser, without scripts: password, data, forwarding, vacation, storage, devices, sessions, mail."""

from __future__ import annotations

import base64
import html
import itertools
import re
from collections.abc import Callable
from typing import Any

import ldap3
import pytest
import requests
from conftest import RunningDemo, eventually
from imapclient import IMAPClient
from pictures import PLACE, SMALL
from visitor import Visitor, words

from directory.photo import MAX_OCTETS, checked
from gateway.control.client import ControlError, call
from gateway.control.protocol import Claim
from webadmin.browser_name import browser_name

pytestmark = pytest.mark.xdist_group("web")
Visit = Callable[..., Visitor]
PASSWORD = "a first password 1"


def fields_of(page: requests.Response) -> dict[str, str]:
    """Hidden fields of the page."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text)
    return {name: html.unescape(value) for name, value in found if name not in ("csrf_token", "to")}


def new_person(demo: RunningDemo, login: str, **fields: str) -> str:
    """Somebody of his own for a test that changes him; his login."""
    changes = [{"field": name, "operation": "set", "values": [value]} for name, value in fields.items()]
    facts = {"login": login, "name": login.title(), "addresses": [f"{login}@example.com"], "password": PASSWORD}
    call(demo.folder / "run" / "control.sock", "add-user", changes=changes, **facts)
    return login


def entry(demo: RunningDemo, login: str) -> dict[str, Any]:
    """What the directory server itself has."""
    with demo.administrator() as admin:
        assert admin.search(demo.facts["directory"]["base"], f"(uid={login})", attributes=["*"])
        return dict(admin.response[0]["raw_attributes"])


def test_a_password_is_changed_by_the_rules_that_are_shown(visit: Visit, webbed: RunningDemo) -> None:
    login = new_person(webbed, "pwchange")
    first, other = visit(login, PASSWORD), visit(login, PASSWORD)
    assert "It has at least 10 characters." in words(first.get("/self/password"))

    def change(old: str, new: str, again: str = "") -> requests.Response:
        return first.post("/self/password", old=old, new=new, again=again or new)

    for answer, text in (
        (change("wrong", "another password 2"), "The password that you have is not right."),
        (change(PASSWORD, "short"), "Not changed: the directory finds the password too weak"),
        (change(PASSWORD, "another password 2", "another password 3"), "typed differently the second time"),
        (change(PASSWORD, PASSWORD), "is the one that you have"),
        (change("", ""), "Type the password that you have"),
    ):
        said = words(answer)
        assert answer.status_code == 409 and (text in said or "too short" in said), said
    assert "The password is changed." in words(change(PASSWORD, "another password 2"))
    assert "/login" in other.get("/self/data").url, "his other sessions are ended"
    assert "/login" not in first.get("/self/data").url
    answer = visit().post("/login", login=login, password=PASSWORD)
    assert answer.status_code == 401
    visit(login, "another password 2")


def test_a_password_that_must_be_changed_leads_to_the_form_and_in(visit: Visit, webbed: RunningDemo) -> None:
    login = new_person(webbed, "mustchange", must_change_password="yes")
    somebody = visit()
    page = somebody.post("/login", login=login, password=PASSWORD, to="/self/storage")
    assert page.status_code == 401 and "Your password must be changed" in words(page)
    assert "It has at least 10 characters." in words(page) and PASSWORD not in page.text
    fields = {"login": login, "to": "/self/storage", "new": "the next password 2", "again": "the next password 2"}
    page = somebody.post("/login/change", old="wrong", **fields)
    assert page.status_code == 409 and "not right" in words(page)
    page = somebody.post("/login/change", old=PASSWORD, **fields)
    assert "The password is changed." in words(page) and page.url.endswith("/self/storage")
    visit(login, "the next password 2")


def test_personal_data(visit: Visit, webbed: RunningDemo) -> None:
    login = new_person(webbed, "selfdata")
    visitor = visit(login, PASSWORD)
    version = fields_of(visitor.get("/self/data"))["version"]
    values = {"given_name": "Zoë", "surname": "数据", "office": "B 12", "phones": "+49 1\n+49 2\n", "mobile_phones": ""}
    assert "Saved." in words(visitor.post("/self/data", version=version, **values, title="Chief", status="closed"))
    there = entry(webbed, login)
    assert there["sn"] == ["数据".encode()] and sorted(there["telephoneNumber"]) == [b"+49 1", b"+49 2"]
    assert "title" not in there and there.get("gatepostStatus", [b"active"]) == [b"active"]
    answer = visitor.post("/self/data", version=version, **(values | {"office": "other"}))
    assert answer.status_code == 409 and "changed meanwhile" in words(answer) and 'value="other"' in answer.text


def test_forwarding_with_a_copy_and_without(visit: Visit, webbed: RunningDemo) -> None:
    login = new_person(webbed, "selfforward")
    visitor = visit(login, PASSWORD)

    def save(**fields: str) -> requests.Response:
        return visitor.post("/self/forward", version=fields_of(visitor.get("/self/forward"))["version"], **fields)

    answer = save(forwards="no address")
    assert (
        answer.status_code == 409 and "no address: there is no @ in it" in words(answer) and "no address" in answer.text
    )
    assert "forwarded from now on" in words(save(forwards="me@elsewhere.example\nyou@例子.example", keep_copy="1"))
    there = entry(webbed, login)
    assert sorted(there["gatepostForward"]) == [b"me@elsewhere.example", b"you@xn--fsqu00a.example"]
    assert "you@例子.example" in words(visitor.get("/self/forward"))
    save(forwards="me@elsewhere.example")
    assert entry(webbed, login)["gatepostKeepCopy"] == [b"FALSE"]
    assert "Mail is not forwarded." in words(save(forwards=""))
    assert "gatepostForward" not in entry(webbed, login)


def test_vacation_with_dates_and_a_look_at_the_reply(visit: Visit, webbed: RunningDemo) -> None:
    login = new_person(webbed, "selfaway")
    visitor = visit(login, PASSWORD)
    version = fields_of(visitor.get("/self/vacation"))["version"]
    fields = {"version": version, "vacation": "1", "start": "2030-07-01T00:00", "end": "2030-07-15T00:00", "offset": "120", "days": "3", "subject": "Away", "text": "Back <soon>\n再见"}  # fmt: skip
    page = visitor.post("/self/vacation", do="preview", **fields)
    assert "What senders get" in words(page) and "Back <soon> 再见" in words(page) and "within 3 days" in words(page)
    assert "gatepostVacationText" not in entry(webbed, login)
    for wrong in ({"end": "2030-06-01T00:00"}, {"days": "0"}, {"days": "x"}, {"start": "tomorrow"}):
        page = visitor.post("/self/vacation", do="save", **(fields | wrong))
        assert page.status_code == 409 and "Back <soon>" in words(page)
    assert "Vacation replies are on." in words(visitor.post("/self/vacation", do="save", **fields))
    there = entry(webbed, login)
    assert there["gatepostVacationStart"] == [b"20300630220000Z"] and there["gatepostVacationText"] == [
        "Back <soon>\n再见".encode()
    ]
    assert 'value="2030-06-30T22:00"' in visitor.get("/self/vacation").text
    version = fields_of(visitor.get("/self/vacation"))["version"]
    assert "Vacation replies are off." in words(visitor.post("/self/vacation", do="save", version=version))


def test_storage_and_the_largest_mailboxes(visit: Visit, webbed: RunningDemo) -> None:
    login = new_person(webbed, "selfstore")
    with IMAPClient("127.0.0.1", port=webbed.port("imap"), ssl=False) as client:
        client.login(login, PASSWORD)
        client.create_folder("Grüße")
        client.append("Grüße", b"Subject: x\r\n\r\n" + b"x" * 300_000)
    page = words(visit(login, PASSWORD).get("/self/storage"))
    assert "Inbox 0" in page and "INBOX" not in page
    assert "of 1 GB are used" in page and re.search(r"Grüße 1 29\d(\.\d)? kB", page), page


def test_app_passwords_are_shown_once_and_revoked(visit: Visit, webbed: RunningDemo) -> None:
    login = new_person(webbed, "selfapps")
    visitor = visit(login, PASSWORD)
    assert visitor.post("/self/apps", name="", services=["imap"]).status_code == 409
    assert "no network" in words(visitor.post("/self/apps", name="x", services=["imap"], networks="nonsense"))
    nothing = visitor.post("/self/apps", name="for nothing")
    assert nothing.status_code == 409 and "Choose what the password is for." in words(nothing)
    assert 'value="for nothing"' in nothing.text and " checked" not in nothing.text
    page = visitor.post("/self/apps", name="Telephone <b>", services=["imap"], days="30")
    secret = re.search(r'id="secret">(gpa_\w+)<', page.text)
    assert secret is not None and "Telephone <b>" in words(page) and "gpa_" not in visitor.get("/self/apps").text
    with IMAPClient("127.0.0.1", port=webbed.port("imap"), ssl=False) as client:
        client.login(login, secret[1])
    number = re.search(r'name="id" value="(\w+)"', visitor.get("/self/apps").text)
    assert number is not None
    assert visit("jane").post("/self/apps/revoke", id=number[1]).status_code == 409
    assert "is revoked" in words(visitor.post("/self/apps/revoke", id=number[1]))
    with (
        IMAPClient("127.0.0.1", port=webbed.port("imap"), ssl=False) as client,
        pytest.raises(Exception, match="AUTHENTICATIONFAILED"),
    ):
        client.login(login, secret[1])


def test_a_password_set_with_directory_tools_ends_sessions_and_marks_app_passwords(
    visit: Visit, webbed: RunningDemo
) -> None:
    login = new_person(webbed, "selfolder")
    visitor, control = visit(login, PASSWORD), webbed.folder / "run" / "control.sock"
    made = call(control, "app-password-add", login=login, name="telephone", services=["imap"])
    assert made["is_older"] is False and "older than" not in words(visitor.get("/self/apps"))
    passwords = (f"set by other tools {number}" for number in itertools.count())
    with webbed.administrator() as admin:
        admin.search(webbed.facts["directory"]["base"], f"(uid={login})")
        dn, now = admin.response[0]["dn"], [PASSWORD]

        def changed() -> bool:
            """Once more each time: slapd notes the second of a change, and the first may be in that of the entry's birth."""
            now.append(next(passwords))
            assert admin.modify(dn, {"userPassword": [(ldap3.MODIFY_REPLACE, [now[-1]])]}), admin.result
            return "/login" in visitor.get("/self/data").url

        eventually(changed, 30)
    with IMAPClient("127.0.0.1", port=webbed.port("imap"), ssl=False) as client:
        client.login(login, made["password"])
    eventually(lambda: visit().post("/login", login=login, password=now[-1]).status_code == 200, 30)
    again = visit(login, now[-1])
    page = words(again.get("/self/apps"))
    assert "telephone older than the password" in page and "Your password was changed since" in page
    assert [one["name"] for one in call(control, "app-password-list", login=login) if one["is_older"]] == ["telephone"]
    assert "1 app password is revoked." in words(again.post("/self/apps/revoke", id="older"))
    assert "Your password was changed since" not in words(again.get("/self/apps"))


def test_sessions_of_ones_own_are_seen_and_ended(visit: Visit, webbed: RunningDemo) -> None:
    login = new_person(webbed, "selfsession")
    here, there, third = (visit(login, PASSWORD) for _ in range(3))
    page = here.get("/self/sessions")
    ids = re.findall(r'name="id" value="(\w+)"', page.text)
    assert len(ids) == 3 and "others" in ids and words(page).count("(this one)") == 1 and "127.0.0.1" in words(page)
    assert visit("jane").post("/self/sessions", id=ids[0]).status_code == 409
    here.post("/self/sessions", id=ids[0])
    ended = [one for one in (there, third) if "/login" in one.get("/self/data").url]
    assert len(ended) == 1
    here.post("/self/sessions", id="others")
    assert (
        all("/login" in one.get("/self/data").url for one in (there, third))
        and "/login" not in here.get("/self/data").url
    )


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge, Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1", "Safari, iPhone"),
        ("python-requests/2\x00", "web python-requests/2"),
        ("", "web"),
    ],
)  # fmt: skip
def test_browsers_are_named_as_people_know_them(agent: str, name: str) -> None:
    assert browser_name(agent) == name


def test_own_mail_that_waits_and_what_became_of_it(visit: Visit, webbed: RunningDemo) -> None:
    login = new_person(webbed, "selfqueue")
    visitor = visit(login, PASSWORD)
    key = re.search(r'name="key" value="(\w+)"', visitor.get("/compose").text)
    assert key is not None
    letter = {"key": key[1], "author": f"{login}@example.com", "to": "lukas@example.org, li.na@例子.example", "bcc": "felix@example.org", "subject": "Waiting", "text": "x", "later": "2026-12-31T00:00", "do": "send"}  # fmt: skip
    assert "The message waits" in words(visitor.post("/compose", **letter))
    page = visitor.get("/self/queue")
    assert "lukas@example.org" in words(page) and "li.na@例子.example" in words(page)
    fields = fields_of(page)
    assert visit("jane").post("/self/queue", **fields).status_code == 409
    assert "taken back" in words(visitor.post("/self/queue", **fields))
    assert "No mail of yours waits." in words(visitor.get("/self/queue"))
    eventually(lambda: "Waiting" in words(visitor.get("/self/trace?q=lukas@example.org")))
    assert "taken back" in words(visitor.get("/self/trace"))
    # who got it too is nobody's business but the author's
    visitor.post("/self/writing", undo_seconds="0")
    assert "is sent" in words(
        visitor.post("/compose", **(letter | {"key": "b" * 24, "later": "", "subject": "Delivered"}))
    )
    eventually(lambda: "Delivered" in words(visit("lukas").get("/self/trace")))
    page = words(visit("lukas").get(f"/self/trace?q={login}"))
    assert f"from {login}@example.com" in page and "felix" not in page and "li.na" not in page
    assert "felix@example.org" in words(visitor.get("/self/trace?q=Delivered"))
    assert "Delivered" not in words(visit("jane").get(f"/self/trace?q={login}"))


def test_a_photo_of_oneself(visit: Visit, webbed: RunningDemo) -> None:
    login = new_person(webbed, "selfphoto")
    visitor = visit(login, PASSWORD)
    files = lambda octets: [("photo", ("me.jpg", octets, "image/jpeg"))]  # noqa: E731
    assert "a photo is a JPEG file" in words(visitor.post("/self/photo", files=files(b"<svg onload=alert(1)>")))
    assert "at most 200 KiB" in words(visitor.post("/self/photo", files=files(SMALL + bytes(MAX_OCTETS))))
    assert "Choose a JPEG file first." in words(visitor.post("/self/photo"))
    page = visitor.post("/self/photo", files=files(SMALL[:2] + PLACE + SMALL[2:]))
    assert "The photo is saved." in words(page)
    (kept,) = entry(webbed, login)["jpegPhoto"]
    assert kept == checked(SMALL) and f"base64,{base64.b64encode(kept).decode()}" in page.text
    control = webbed.folder / "run" / "control.sock"
    with pytest.raises(ControlError, match="no right"):
        call(control, "photo-set", Claim("jane", password="jane-demo-password"), login=login, photo="")
    with pytest.raises(ControlError, match="no user"):
        call(control, "photo-show", Claim("jane", password="jane-demo-password"), login=login)
    assert "is taken away" in words(visitor.post("/self/photo", do="remove", files=files(b"")))
    assert "jpegPhoto" not in entry(webbed, login)
    foreign = b"<html>not a picture of ours</html>"
    webbed.change(login, {"jpegPhoto": [foreign]})
    page = visitor.get("/self/data")
    assert page.status_code == 200 and "image/jpeg;base64" not in page.text
