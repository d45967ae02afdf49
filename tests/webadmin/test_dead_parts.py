"""A part of the system is gone or hangs: the page says so, and everything else goes on."""

from __future__ import annotations

import pytest
from parts import Parts, parts

import webadmin.backend
import webadmin.mail.connections

pytestmark = pytest.mark.xdist_group("web")
__all__ = ["parts"]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webadmin.backend, "ANSWER_SECONDS", 10.0)


def test_without_the_agent_nobody_gets_in_and_nobody_is_called_wrong(parts: Parts) -> None:
    parts.kill("control.sock")
    assert parts.browser.get("/login").status_code == 200
    answer = parts.post("/login", login="jane", password="jane-demo-password")
    assert answer.status_code == 503 and "Your password may be right" in answer.text
    assert 'value="jane"' in answer.text and "wrong" not in answer.text
    parts.bring_back("control.sock")
    parts.sign_in("jane")
    parts.kill("control.sock")
    answer = parts.browser.get("/mail/")
    assert answer.status_code == 503 and "The directory service of this host does not answer" in answer.text
    parts.bring_back("control.sock")
    assert parts.browser.get("/mail/").status_code == 200, "the session is as good as before"


def test_an_agent_that_hangs_is_not_waited_for_longer_than_is_set(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.sign_in("jane")
    monkeypatch.setattr(webadmin.backend, "ANSWER_SECONDS", 0.3)
    parts.silence("control.sock")
    assert parts.browser.get("/mail/").status_code == 503


def test_without_the_store_the_account_can_be_looked_after(parts: Parts) -> None:
    parts.sign_in("admin")
    parts.kill("web-imap.sock")
    answer = parts.browser.get("/mail/")
    assert answer.status_code == 503 and "The mail store does not answer" in answer.text
    assert parts.browser.get("/people/").status_code == 200
    parts.bring_back("web-imap.sock")
    assert parts.browser.get("/mail/").status_code == 200


def test_a_store_that_hangs(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    parts.sign_in("admin")
    monkeypatch.setattr(webadmin.mail.connections, "ANSWER_SECONDS", 0.3)
    parts.silence("web-imap.sock")
    assert parts.browser.get("/mail/").status_code == 503


def test_without_the_queue_mail_can_be_read_and_accounts_changed(parts: Parts) -> None:
    parts.sign_in("admin")
    parts.kill("mail.sock")
    answer = parts.browser.get("/moderation/engineering@example.com/")
    assert answer.status_code == 503 and "The mail queue of this host does not answer" in answer.text
    assert parts.browser.get("/mail/").status_code == 200
    assert parts.browser.get("/people/").status_code == 200


def test_signing_out_without_the_agent_forgets_the_cookie_here(parts: Parts) -> None:
    parts.sign_in("jane")
    parts.kill("control.sock")
    assert parts.post("/logout").status_code == 503
    parts.bring_back("control.sock")
    assert parts.browser.get("/mail/").status_code == 302
