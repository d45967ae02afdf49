"""Leaving a mailing list: by one click from a message (RFC 8058), by the page behind a login; joining one there."""

from __future__ import annotations

import email
import json
import re
import smtplib
import subprocess
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import GATEPOST, RunningDemo, eventually
from visitor import Visitor, words

pytestmark = pytest.mark.xdist_group("web")
Visit = Callable[..., Visitor]
NEWS, CLOSED = "web-news@example.org", "web-closed@example.org"


def gatepost(demo: RunningDemo, *command: str) -> str:
    done = subprocess.run(
        [*GATEPOST, *command, "--config", demo.facts["config_file"]], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def news(webbed: RunningDemo) -> RunningDemo:
    """An open list with members here and outside, a closed one, in a domain whose mail is signed."""
    gatepost(webbed, "domain", "dkim", "example.org", "--selector", "web")
    gatepost(webbed, "domain", "set", "example.org", "dkim_selectors=web")
    for address in (NEWS, CLOSED):
        gatepost(webbed, "list", "add", address, "felix", "out@elsewhere.example", "two@elsewhere.example")
    gatepost(webbed, "list", "set", NEWS, "subscription=open")
    return webbed


def members(demo: RunningDemo, address: str) -> list[str]:
    shown: dict[str, Any] = json.loads(gatepost(demo, "list", "show", address, "--json"))
    return json.dumps(shown).split('"')


def copy_for(demo: RunningDemo, recipient: str, to: str, subject: str) -> Message:
    """The copy that left for a member outside, signed."""
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=30) as client:
        text = f"From: oliver@elsewhere.example\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nNews\r\n"
        client.sendmail("oliver@elsewhere.example", [to], text)

    def found() -> Message | None:
        for path in Path(demo.facts["smarthost"]["sink_dir"]).rglob("*"):
            octets = path.read_bytes() if path.is_file() else b""
            if subject.encode() in octets and recipient.encode() in octets.partition(b"\n\n")[0]:
                return email.message_from_bytes(octets)
        return None

    eventually(found)
    message = found()
    assert message is not None
    return message


def one_click(message: Message) -> str:
    match = re.search(r"<(http[^>]+/unsubscribe/[^>]+)>", " ".join(str(message["List-Unsubscribe"]).split()))
    assert match is not None, message["List-Unsubscribe"]
    return match[1]


def test_one_click_takes_the_member_off_and_nobody_else(news: RunningDemo, visit: Visit) -> None:
    message = copy_for(news, "out@elsewhere.example", NEWS, "one click")
    url = one_click(message)
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click" and "mailto:" in message["List-Unsubscribe"]
    signed = re.sub(r"\s", "", str(message["DKIM-Signature"]))
    assert "d=example.org" in signed and ":list-unsubscribe-post" in signed and ":list-unsubscribe:" in signed
    other = one_click(copy_for(news, "two@elsewhere.example", NEWS, "another click"))
    assert other != url
    nobody = visit()
    page = nobody.http.get(url, timeout=30)
    assert page.status_code == 200 and NEWS in words(page) and "Leave the list" in words(page)
    assert "out@elsewhere.example" in members(news, NEWS)  # to look does nothing
    for _ in range(2):  # mail programs repeat
        done = requests.post(url, data={"List-Unsubscribe": "One-Click"}, timeout=30)
        assert done.status_code == 200 and not done.history
        eventually(lambda: "out@elsewhere.example" not in members(news, NEWS))
    assert "two@elsewhere.example" in members(news, NEWS)


@pytest.mark.parametrize("spoil", [lambda u: u[:-1] + ("a" if u[-1] != "a" else "b"), lambda u: u.rsplit("/", 1)[0] + "/x", lambda u: u.replace("/unsubscribe/", "/unsubscribe/x"), lambda u: u.rsplit("/", 2)[0] + "/***/" + u.rsplit("/", 1)[1]])  # fmt: skip
def test_an_address_that_is_not_ours_leads_nowhere(
    news: RunningDemo, visit: Visit, spoil: Callable[[str], str]
) -> None:
    url = spoil(one_click(copy_for(news, "two@elsewhere.example", NEWS, f"spoilt {spoil.__code__.co_firstlineno}")))
    assert requests.post(url, data={"List-Unsubscribe": "One-Click"}, timeout=30).status_code == 404
    assert "two@elsewhere.example" in members(news, NEWS)


def test_a_closed_list_offers_no_click(news: RunningDemo) -> None:
    message = copy_for(news, "out@elsewhere.example", CLOSED, "closed list")
    assert message["List-Unsubscribe"] is None and message["List-Unsubscribe-Post"] is None


def test_a_member_here_finds_the_page_behind_a_login(news: RunningDemo, visit: Visit) -> None:
    copy_for(news, "two@elsewhere.example", NEWS, "for members here")
    felix = visit("felix")
    eventually(lambda: "for members here" in words(felix.get("/mail/")))
    maildir = Path(next(each["maildir"] for each in news.facts["accounts"] if each["login"] == "felix"))
    own = next(octets for path in maildir.rglob("cur/*") if b"for members here" in (octets := path.read_bytes()))
    message = email.message_from_bytes(own)
    url = re.search(r"<(http[^>]+)>", " ".join(str(message["List-Unsubscribe"]).split()))
    assert url is not None and "felix" not in url[1] and message["List-Unsubscribe-Post"] is None
    page = felix.http.get(url[1], timeout=30)
    assert NEWS in words(page) and CLOSED not in words(page)
    assert "no more mail of this list" in words(felix.post("/lists/", list=NEWS, operation="unsubscribe"))
    assert "You are a member of the list now" in words(felix.post("/lists/", list=NEWS, operation="subscribe"))


def test_nobody_joins_or_leaves_a_closed_list_by_himself(news: RunningDemo, visit: Visit) -> None:
    felix, sophie = visit("felix"), visit("sophie")
    assert "The owners decide" in words(felix.get("/lists/"))
    assert "is closed" in words(felix.post("/lists/", list=CLOSED, operation="unsubscribe"))
    assert CLOSED not in words(sophie.get("/lists/"))
    sophie.post("/lists/", list=CLOSED, operation="subscribe")
    assert "sophie@example.com" not in members(news, CLOSED)
