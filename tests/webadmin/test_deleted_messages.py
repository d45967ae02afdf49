"""What was deleted for good comes back by the page for it, to its owner and to nobody else."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from conftest import RunningDemo
from imapclient import IMAPClient
from visitor import Visitor, words

from gateway.control.client import call

pytestmark = pytest.mark.xdist_group("web")
Visit = Callable[..., Visitor]
PASSWORD = "a first password 1"


def person(demo: RunningDemo, login: str) -> str:
    """Somebody of his own for the test."""
    facts = {"login": login, "name": login.title(), "addresses": [f"{login}@example.com"], "password": PASSWORD}
    call(demo.folder / "run" / "control.sock", "add-user", **facts)
    return login


def delete_two(demo: RunningDemo, login: str) -> None:
    with IMAPClient("127.0.0.1", demo.port("imap"), ssl=False) as client:
        client.login(login, PASSWORD)
        client.create_folder("Old things")
        for subject in ("=?utf-8?b?5oql5ZGK?=", "<b>second</b>"):
            client.append("Old things", f"From: Ann <ann@example.com>\r\nSubject: {subject}\r\n\r\nx\r\n".encode())
        client.select_folder("Old things")
        client.delete_messages([1, 2])
        client.expunge()


def held(demo: RunningDemo, login: str) -> int:
    with IMAPClient("127.0.0.1", demo.port("imap"), ssl=False) as client:
        client.login(login, PASSWORD)
        return int(client.folder_status("Old things", ["MESSAGES"])[b"MESSAGES"])


def ids(page: str) -> list[str]:
    return re.findall(r'name="message" value="([^"]+)"', page)


def test_deleted_and_put_back(visit: Visit, webbed: RunningDemo) -> None:
    login = person(webbed, "undeleter")
    browser = visit(login, PASSWORD)
    assert "There is nothing that could come back." in words(browser.get("/self/deleted"))
    delete_two(webbed, login)
    page = browser.get("/self/deleted")
    assert "报告" in words(page)
    assert "&lt;b&gt;second&lt;/b&gt;" in page.text
    assert "Ann <ann@example.com>" in words(page).replace("&lt;", "<").replace("&gt;", ">")
    assert "Old things" in words(page)
    both = ids(page.text)
    assert len(both) == 2
    assert ids(browser.get("/self/deleted?mailbox=INBOX").text) == []
    assert ids(browser.get("/self/deleted?mailbox=Old+things").text) == both
    assert "Choose the messages" in words(browser.post("/self/deleted"))
    assert "1 message is back." in words(browser.post("/self/deleted", message=both[0]))
    assert held(webbed, login) == 1
    assert "it is not kept any more" in words(browser.post("/self/deleted", message=both[0]))
    assert held(webbed, login) == 1

    other = visit(person(webbed, "notundeleter"), PASSWORD)
    assert "Old things" not in words(other.get("/self/deleted"))
    assert "could not come back" in words(other.post("/self/deleted", message=both[1]))
    assert "1 message is back." in words(browser.post("/self/deleted", message=both[1]))
    assert held(webbed, login) == 2
