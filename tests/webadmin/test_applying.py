"""Somebody without an account applies for a mailbox, confirms it by mail, and is let in by who administers the domain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import RunningDemo
from visitor import Visitor, letter_link, words

from gateway.control.client import ControlError, call
from gateway.service.application_mail import MOST

pytestmark = pytest.mark.xdist_group("web")
Visit = Callable[..., Visitor]


def apply(visitor: Visitor, login: str, contact: str, **more: str) -> str:
    return words(
        visitor.post("/apply/", login=login, name=f"New {login}", domain="example.com", contact=contact, **more)
    )


def test_from_the_form_to_the_first_letter(webbed: RunningDemo, visit: Visit) -> None:
    stranger, admin = visit(), visit("admin")
    assert "Apply for a mailbox" in words(stranger.get("/login"))
    assert "on its way to new1@elsewhere.example" in apply(
        stranger, "apply-one", "new1@elsewhere.example", note="I am new here"
    )
    assert "New apply-one" not in words(admin.get("/applications/"))  # who does not read his mail is nobody
    first = letter_link(webbed, "new1@elsewhere.example", "confirm")
    assert "Confirm my application" in words(stranger.get(first))
    assert "New apply-one" not in words(admin.get("/applications/"))  # a link that is looked at is not confirmed
    assert "waits for a decision" in words(stranger.post(first))
    page = admin.get("/applications/")
    assert "New apply-one" in words(page) and "I am new here" in words(page)
    number = first.split("/")[2]
    assert "The mailbox is there" in words(
        admin.post("/applications/", id=number, decision="approve", login="apply-one")
    )
    assert stranger.get(first).status_code == 404  # the approval has a link of its own
    second = letter_link(webbed, "new1@elsewhere.example", "is there")
    assert "the same password twice" in words(stranger.post(second, password="Apply-one-1", again="Apply-one-2"))
    done = stranger.post(second, password="Apply-one-Password-1", again="Apply-one-Password-1")
    assert "Your login is apply-one" in words(done)
    assert stranger.get(second).status_code == 404  # once
    assert "New apply-one" in words(visit("apply-one", "Apply-one-Password-1").get("/mail/"))


def test_rejected_and_taken(webbed: RunningDemo, visit: Visit) -> None:
    stranger, admin = visit(), visit("admin")
    answer = apply(stranger, "jane", "new2@elsewhere.example")
    assert "on its way" in answer  # nothing tells a stranger which addresses there are
    path = letter_link(webbed, "new2@elsewhere.example", "confirm")
    stranger.post(path)
    page = words(admin.get("/applications/"))
    assert "New jane" in page and "taken" in page
    number = path.split("/")[2]
    refused = admin.post("/applications/", id=number, decision="approve")
    assert refused.status_code == 422 and "jane@example.com" in words(refused)
    assert "was rejected" in words(admin.post("/applications/", id=number, decision="reject"))
    assert stranger.get(path).status_code == 404 and "New jane" not in words(admin.get("/applications/"))


def test_only_who_administers_the_domain_decides(webbed: RunningDemo, visit: Visit) -> None:
    stranger = visit()
    apply(stranger, "apply-three", "new3@elsewhere.example")
    path = letter_link(webbed, "new3@elsewhere.example", "confirm")
    stranger.post(path)
    jane = visit("jane")
    for answer in (jane.get("/applications/"), jane.post("/applications/", id=path.split("/")[2], decision="approve")):
        assert answer.status_code == 403
    assert visit().get("/applications/").url.split("?")[0].endswith("/login")
    visit("admin").post("/applications/", id=path.split("/")[2], decision="reject")


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [("login", "a b", "a login has letters"), ("login", "-x", "a login has letters"), ("domain", "example.net", "nobody applies for"),
     ("contact", "nobody", "'nobody'"), ("name", "", "is needed"), ("contact", "a@b.example\r\nBcc: c@d.example", "control")],
)  # fmt: skip
def test_bad_applications(visit: Visit, field: str, value: str, told: str) -> None:
    given = {
        "login": "apply-bad",
        "name": "Bad",
        "domain": "example.com",
        "contact": "bad@elsewhere.example",
        field: value,
    }
    answer = visit().post("/apply/", **given)
    assert answer.status_code == 422 and (told in words(answer) or "'a@b.example" in words(answer)), words(answer)
    assert 'value="apply-bad"' in answer.text or field == "login"


def test_links_that_nobody_was_sent(visit: Visit) -> None:
    somebody = visit()
    for path in ("/apply/x/y", "/apply/" + "a" * 500 + "/b", "/apply/%00/%00"):
        assert somebody.get(path).status_code == 404
        assert somebody.post(path, password="x", again="x").status_code == 404


def test_an_address_gets_few_letters(webbed: RunningDemo, visit: Visit) -> None:
    socket = Path(webbed.folder) / "run" / "mail.sock"
    about = {"contact": "often@elsewhere.example", "address": "x@example.com", "what": "rejected"}
    for _ in range(MOST):
        call(socket, "application-mail", **about)
    with pytest.raises(ControlError, match="often enough"):
        call(socket, "application-mail", **about)
    with pytest.raises(ControlError, match="leads elsewhere"):
        call(
            socket,
            "application-mail",
            **{**about, "contact": "o2@elsewhere.example"},
            url="https://elsewhere.example/apply/x",
        )
