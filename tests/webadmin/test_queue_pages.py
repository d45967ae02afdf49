"""The queue by page and by program: what waits and why, and who may do what about it."""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import RunningDemo, eventually
from parts import Parts, parts
from visitor import Visitor, words

from gateway.control.client import call
from gateway.queue.state import STOPPED_REPLY
from webadmin.ops import queue_words

__all__ = ["parts"]
pytestmark = pytest.mark.xdist_group("web")
Visit = Callable[..., Visitor]
DOMAIN, KEEPER = "webqueue.example", "queuekeeper"
PASSWORD = f"{KEEPER}-demo-password"


def submit(demo: RunningDemo, login: str, author: str, *recipients: str) -> str:
    """A message that waits for a day, by its sender's wish; its id."""
    context = ssl.create_default_context(cafile=demo.facts["ca_file"])
    with smtplib.SMTP("localhost", demo.port("submission"), timeout=30) as client:
        client.starttls(context=context)
        client.login(login, f"{login}-demo-password")
        assert client.mail(author, ["HOLDFOR=86400"])[0] == 250
        for recipient in recipients:
            assert client.rcpt(recipient)[0] == 250, recipient
        code, said = client.data(f"From: {author}\r\nSubject: It waits\r\n\r\nVery secret\r\n")
        assert code == 250
    names = [path.name for path in (Path(demo.facts["state_dir"]) / "queue").rglob("*") if path.name in said.decode()]
    assert len(names) == 1, said
    return names[0]


@pytest.fixture(scope="module")
def waiting(webbed: RunningDemo) -> Iterator[dict[str, str]]:
    """Jane's message to somebody outside, the keeper's own, and one of Jane's to him and to somebody outside."""
    control = webbed.folder / "run" / "control.sock"
    call(control, "add-domain", name=DOMAIN)
    call(control, "add-user", login=KEEPER, name="Queue Keeper", addresses=[f"{KEEPER}@{DOMAIN}"], password=PASSWORD)
    change = {"field": "admins", "operation": "set", "values": [KEEPER]}
    call(control, "change", kind="domain", name=DOMAIN, changes=[change])
    eventually(lambda: call(control, "doctor-login", login=KEEPER, service="submission")["entry"])
    made = {
        "foreign": submit(webbed, "jane", "jane@example.com", "opal@queue-elsewhere.example"),
        "own": submit(webbed, KEEPER, f"{KEEPER}@{DOMAIN}", "opal@queue-elsewhere.example"),
        "both": submit(webbed, "jane", "jane@example.com", f"{KEEPER}@{DOMAIN}", "opal@queue-elsewhere.example"),
    }
    yield made
    for message in made.values():
        left = webbed.folder / "run" / "mail.sock"
        if any(row["id"] == message for row in call(left, "queued-list")["messages"]):
            call(left, "queued-change", message=message, what="drop")


def shown(page: requests.Response) -> set[str]:
    """Ids of the messages of a page."""
    return set(re.findall(r'href="/queue/of/([^"]+)"', page.text))


def test_what_waits_is_found_and_explained(visit: Visit, waiting: dict[str, str]) -> None:
    admin = visit("admin")
    assert shown(admin.get("/queue/")) >= set(waiting.values())
    here = "/queue/?domain=queue-elsewhere.example"
    assert shown(admin.get(here)) == set(waiting.values())
    assert shown(admin.get(f"{here}&sender={KEEPER}")) == {waiting["own"]}
    assert shown(admin.get(f"{here}&recipient={DOMAIN}")) == {waiting["both"]}
    assert shown(admin.get(f"{here}&state=later")) == set(waiting.values())
    assert (
        shown(admin.get(f"{here}&state=held")) == set()
        and shown(admin.get("/queue/?state=nonsense&after=zzz")) == set()
    )
    page = admin.get(f"/queue/of/{waiting['both']}")
    text = words(page)
    assert "The sender wishes it to go at" in text and "opal@queue-elsewhere.example" in text and DOMAIN in text
    assert "secret" not in page.text and "It waits" not in page.text, "neither contents nor subject are shown"
    assert "Where it would go now" in text
    for message in ("nothing", "..%2F..", "x%2Fy", "x" * 300, ".hidden"):
        assert admin.get(f"/queue/of/{message}").status_code == 404
    assert admin.get("/queue/?sender=" + "x" * 5000 + "&after=%00").status_code == 200


def test_a_message_is_held_released_and_thrown_away(visit: Visit, webbed: RunningDemo) -> None:
    message = submit(webbed, "jane", "jane@example.com", "opal@queue-acts.example")
    admin = visit("admin")
    page = admin.post(f"/queue/of/{message}", what="hold")
    assert "held until somebody releases it" in words(page) and "Release" in words(page)
    assert shown(admin.get("/queue/?state=held&domain=queue-acts.example")) == {message}
    assert admin.post(f"/queue/of/{message}", what="burn").status_code == 400
    assert admin.post("/queue/of/nothing", what="drop").status_code == 404
    question = admin.get(f"/queue/drop/{message}")
    assert "there is no way back" in words(question) and "opal@queue-acts.example" in words(question)
    assert shown(admin.get("/queue/?domain=queue-acts.example")) == {message}, "asking does nothing yet"
    assert "thrown away" in words(admin.post(f"/queue/of/{message}", what="drop"))
    assert admin.get(f"/queue/of/{message}").status_code == 404


def test_who_administers_a_domain_sees_and_changes_its_mail_only(visit: Visit, waiting: dict[str, str]) -> None:
    keeper = visit(KEEPER, PASSWORD)
    assert shown(keeper.get("/queue/")) == {waiting["own"], waiting["both"]}
    for path in (f"/queue/of/{waiting['foreign']}", f"/queue/drop/{waiting['foreign']}"):
        assert keeper.get(path).status_code == 404
    assert keeper.post(f"/queue/of/{waiting['foreign']}", what="drop").status_code == 404
    page = keeper.get(f"/queue/of/{waiting['both']}")
    text = words(page)
    assert "opal" not in page.text and "1 more recipients are not shown" in text, "who else got it is not his business"
    assert "may look at this message, but not change it" in text
    assert keeper.post(f"/queue/of/{waiting['both']}", what="hold").status_code == 403
    assert shown(keeper.get("/queue/?recipient=opal")) == {waiting["own"]}
    assert "is held" in words(keeper.post(f"/queue/of/{waiting['own']}", what="hold"))
    assert "released" in words(keeper.post(f"/queue/of/{waiting['own']}", what="release"))


def test_the_help_desk_looks_only(visit: Visit, waiting: dict[str, str]) -> None:
    henry = visit("henry")
    assert shown(henry.get("/queue/")) >= set(waiting.values())
    page = henry.get(f"/queue/of/{waiting['foreign']}")
    assert "but not change it" in words(page) and "Throw away" not in words(page)
    for what in ("hold", "release", "retry", "drop"):
        assert henry.post(f"/queue/of/{waiting['foreign']}", what=what).status_code == 403
    assert visit("sophie").get("/queue/").status_code == 403


def test_the_queue_by_program(webbed: RunningDemo, waiting: dict[str, str]) -> None:
    def ask(method: str, path: str, token: str, **more: Any) -> requests.Response:
        url = f"{webbed.facts['web']['url']}/api/v1{path}"
        return requests.request(method, url, headers={"Authorization": f"Bearer {token}"}, timeout=60, **more)

    admin = webbed.facts["web"]["api_token"]
    found = ask("GET", "/queue?domain=queue-elsewhere.example&limit=2", admin).json()
    assert [row["id"] for row in found["messages"]] == sorted(waiting.values())[:2]
    rest = ask("GET", f"/queue?domain=queue-elsewhere.example&after={found['next']}", admin).json()
    assert [row["id"] for row in rest["messages"]] == sorted(waiting.values())[2:] and rest["next"] == ""
    one = f"/queue/{waiting['foreign']}"
    assert ask("PATCH", one, admin, json={"what": "hold"}).json()["targets"] == 1
    assert ask("GET", one, admin).json()["targets"][0]["state"] == "held"
    assert ask("PATCH", one, admin, json={"what": "release"}).status_code == 200
    assert ask("PATCH", one, admin, json={"what": "drop"}).status_code == 400
    assert ask("DELETE", "/queue/nothing", admin).status_code == 404
    made = call(webbed.folder / "run" / "control.sock", "program-token-add", login="admin", name="q", scope="read", seconds=600)  # fmt: skip
    assert ask("GET", one, made["token"]).status_code == 200
    assert ask("DELETE", one, made["token"]).status_code == 403


def test_answers_of_other_servers_in_plain_words(parts: Parts) -> None:
    with parts.app.test_request_context(headers={"Accept-Language": "en"}):
        assert queue_words.reason("451 4.4.1 connection refused") == "the other server does not answer"
        general = "the other server does not want it now, by a rule of its own"
        assert queue_words.reason("450 4.7.77 greylisted") == general
        assert queue_words.reason("no code at all") == "" and queue_words.reason("4.9.1 what") == ""
        held = {"state": "held", "reply": STOPPED_REPLY, "due": 0.0}
        assert "its sender may not send" in queue_words.why(held, {"not_before": 0.0})
