"""Trace, doctor, dashboard, configuration and log, by page and by program."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from conftest import RunningDemo, eventually
from visitor import Visitor, words

from gateway.control.client import ControlError, call
from gateway.control.protocol import Claim

pytestmark = pytest.mark.xdist_group("web")
Visit = Callable[..., Visitor]
DOMAIN, KEEPER = "weboperate.example", "opskeeper"
PASSWORD = f"{KEEPER}-demo-password"


@pytest.fixture(scope="module")
def keeper(webbed: RunningDemo) -> Iterator[str]:
    """Who administers a domain of his own; two messages from outside, one of them to him too."""
    control = webbed.folder / "run" / "control.sock"
    call(control, "add-domain", name=DOMAIN)
    call(control, "add-user", login=KEEPER, name="Ops Keeper", addresses=[f"{KEEPER}@{DOMAIN}"], password=PASSWORD)
    change = {"field": "admins", "operation": "set", "values": [KEEPER]}
    call(control, "change", kind="domain", name=DOMAIN, changes=[change])
    mail = webbed.folder / "run" / "mail.sock"
    eventually(lambda: call(mail, "doctor-address", address=f"{KEEPER}@{DOMAIN}")["code"] == 250)
    with smtplib.SMTP("127.0.0.1", webbed.port("mx"), timeout=30) as client:
        for number, recipients in enumerate((["jane@example.com"], ["jane@example.com", f"{KEEPER}@{DOMAIN}"])):
            client.sendmail(
                "zoe@ops-outside.example",
                recipients,
                f"From: zoe@ops-outside.example\r\nMessage-ID: <ops{number}@ops-outside.example>\r\nSubject: Private matter\r\n\r\nx\r\n",
            )
    eventually(lambda: len(call(mail, "mail-trace", text="zoe@ops-outside.example")["stories"]) == 2)
    yield KEEPER


def stories(page: requests.Response) -> int:
    return page.text.count('<details class="story"')


def test_what_became_of_a_message_is_told_without_its_subject(visit: Visit, keeper: str) -> None:
    for login in ("admin", "henry"):
        visitor = visit(login)
        page = visitor.get("/trace/?q=zoe@ops-outside.example")
        assert stories(page) == 2 and "delivered to the mailbox" in words(page)
        assert "Private" not in page.text
    page = visitor.get("/trace/?q=<ops1@ops-outside.example>&days=1")
    assert stories(page) == 1 and f"{KEEPER}@{DOMAIN}" in words(page) and "jane@example.com" in words(page)
    assert "Nothing is known" in words(visitor.get("/trace/?q=nobody@nothing.example&days=x"))
    assert "at least three" in words(visitor.get("/trace/?q=z"))
    assert "at least three" in words(visitor.get("/trace/?q=<<>>"))
    assert stories(visitor.get("/trace/")) == 0


def test_who_administers_a_domain_is_told_its_part(visit: Visit, keeper: str) -> None:
    his = visit(keeper, PASSWORD)
    page = his.get("/trace/?q=ops-outside.example")
    assert stories(page) == 1 and f"{KEEPER}@{DOMAIN}" in words(page)
    assert "jane" not in page.text, "who else got it is not his business"
    assert stories(his.get("/trace/?q=ops0@ops-outside.example")) == 0
    assert stories(his.get("/trace/?q=jane@example.com")) == 0


def test_the_doctor_explains_addresses_and_logins(visit: Visit, keeper: str) -> None:
    admin = visit("admin")
    text = words(admin.get(f"/doctor/?address={KEEPER}@{DOMAIN}"))
    assert "A message would be taken." in text and f"mailbox of {KEEPER}@{DOMAIN}" in text and "250 2.1.5" in text
    text = words(admin.get(f"/doctor/?address=nobody@{DOMAIN}&sender=<>"))
    assert "would be refused" in text and "550" in text
    assert "250" in words(admin.get("/doctor/?address=who@outside.example&as=jane&sender=jane@example.com"))
    assert admin.get("/doctor/?address=who@outside.example&as=nobody").status_code == 422
    assert "Nothing stands against a login" in words(admin.get(f"/doctor/?login={KEEPER}&service=nonsense"))
    text = words(admin.get("/doctor/?login=suspended"))
    assert "Something stands against a login." in text and "suspended" in text
    assert admin.get("/doctor/?address=" + "x" * 3000 + "%00").status_code in (200, 422)
    henry = visit("henry")
    assert "A message would be taken." in words(henry.get("/doctor/?address=jane@example.com"))


def test_the_doctor_speaks_of_ones_own_domains_only(visit: Visit, keeper: str, webbed: RunningDemo) -> None:
    his = visit(keeper, PASSWORD)
    assert "A message would be taken." in words(his.get(f"/doctor/?address={KEEPER}@{DOMAIN}"))
    assert "Nothing stands against" in words(his.get(f"/doctor/?login={KEEPER}"))
    for question in (
        "address=jane@example.com",
        "login=jane",
        "login=nobody-at-all",
        f"address={KEEPER}@{DOMAIN}&as=jane",
    ):
        page = his.get(f"/doctor/?{question}")
        assert page.status_code == 422 and "mailbox of" not in page.text and "uid=jane" not in page.text, question
    control = webbed.folder / "run" / "control.sock"
    claims = [Claim("admin", "admin-demo-password"), Claim("sophie", "sophie-demo-password")]
    for claim, arguments in zip(claims, ({"password": "guess"}, {}), strict=True):
        with pytest.raises(ControlError) as refused:
            call(control, "doctor-login", claim, login="jane", **arguments)
        assert refused.value.code == 5, "passwords of others are tried by the operator only"


def test_the_dashboard_has_figures_without_scripts(visit: Visit) -> None:
    admin = visit("admin")
    eventually(lambda: admin.get("/dashboard/figures").json()["columns"][0])
    text = words(admin.get("/dashboard/"))
    assert "Mail taken per minute" in text and "Volume main" in text and "Taken per minute" in text
    assert "There are no figures yet" not in text
    found = admin.get("/dashboard/figures?span=month").json()
    assert found["names"][0] == "at" and len(found["columns"]) == len(found["names"])
    assert admin.get("/dashboard/?span=nonsense").status_code == 200
    assert visit("henry").get("/dashboard/figures").status_code == 403


def test_the_configuration_names_its_lines(visit: Visit, webbed: RunningDemo) -> None:
    admin = visit("admin")
    page = admin.get("/configuration/?q=state_dir")
    found = re.search(r"state_dir</td>.*?gatepost\.yaml:(\d+)", page.text, re.DOTALL)
    assert found is not None
    with open(webbed.facts["config_file"]) as file:
        assert file.read().splitlines()[int(found[1]) - 1].startswith("state_dir:")
    assert "Nothing matches." in words(admin.get("/configuration/?q=queue.lifetime"))
    assert "5d" in words(admin.get("/configuration/?q=queue.lifetime&all=1"))
    assert "Nothing matches." in words(admin.get("/configuration/?q=nonsense-of-nobody"))


def test_the_log_is_shown_or_why_not(visit: Visit) -> None:
    admin = visit("admin")
    text = words(admin.get("/log/?q=event=login&level=nonsense"))
    assert "event=login" in text or "The log cannot be shown here." in text
    assert admin.get("/log/?level=error&q=" + "x" * 4000).status_code == 200


def test_the_same_by_program(webbed: RunningDemo, keeper: str) -> None:
    def ask(path: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {webbed.facts['web']['api_token']}"}
        return requests.get(f"{webbed.facts['web']['url']}/api/v1{path}", headers=headers, timeout=60)

    found: Any = ask("/trace?text=ops1@ops-outside.example").json()
    assert len(found["stories"]) == 1 and found["whole"] and "subject" not in str(found)
    assert ask("/trace?text=x").status_code == 400
    assert ask(f"/doctor/address/{KEEPER}@{DOMAIN}").json()["code"] == 250
    assert ask(f"/doctor/login/{KEEPER}?service=pop3").json()["findings"]
    assert ask("/overview?span=week").json()["state"]["service"]["running"]
