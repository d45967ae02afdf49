"""Requests as nobody at a browser would make them, to the application without the rest of the host."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from webadmin.app import make_app
from webadmin.person import LANGUAGE, LOGIN, TOKEN
from webadmin.settings import WebSettings


class Host:
    """In place of the other processes and of the kept IMAP connections."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.dropped: list[str] = []

    def ask(self, socket: str, verb: str, claim: Any, **arguments: Any) -> int:
        self.asked.append(verb)
        return 1

    def serve(self, socket: str, verb: str, **arguments: Any) -> Any:
        raise RuntimeError("a bug")

    def drop(self, token: str) -> None:
        self.dropped.append(token)


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def app(host: Host) -> Flask:
    made = make_app(WebSettings(), Path("/nowhere"), b"k" * 32, "mail.example.com")
    made.config["WTF_CSRF_ENABLED"] = False
    made.extensions["gatepost_backend"] = made.extensions["gatepost_mailboxes"] = host
    return made


def test_signing_out_ends_the_session_and_its_connections(app: Flask, host: Host) -> None:
    client = app.test_client()
    with client.session_transaction() as session:
        session[TOKEN], session[LOGIN] = "gps_x", "jane"
    client.post("/logout")
    assert host.asked == ["session-close"] and host.dropped == ["gps_x"]
    with client.session_transaction() as session:
        assert TOKEN not in session


def test_a_language_that_is_none_is_not_kept(app: Flask) -> None:
    client = app.test_client()
    for chosen in ("x" * 5000, "zh", "xx"):
        assert client.post("/language", data={"language": chosen, "to": "//elsewhere.example"}).location == "/"
    with client.session_transaction() as session:
        assert session[LANGUAGE] == "zh"


def test_what_is_asked_writes_no_lines_of_its_own_into_the_log(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "gatepost.web"):
        answer = app.test_client().get("/unsubscribe/YQ/YQ/t%0aevent=forged%20" + "x" * 1000)
    assert answer.status_code == 500 and "a bug" not in answer.text
    (record,) = caplog.records
    assert "\n" not in record.getMessage() and len(record.getMessage()) < 400
