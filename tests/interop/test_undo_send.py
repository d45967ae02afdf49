"""Undo send: who submitted a message takes it back while it waits; with his password, an app password or a session."""

from __future__ import annotations

import json
import smtplib
import time
from pathlib import Path

import pytest
from conftest import RunningDemo, eventually
from in_process import run

from gateway.control.client import call
from gateway.control.protocol import Claim

HOLD = 4


def submit(demo: RunningDemo, subject: str, *recipients: str, hold: int, login: str = "jane") -> str:
    with smtplib.SMTP("127.0.0.1", demo.port("submission"), timeout=20) as client:
        client.ehlo("here.example")
        client.login(login, f"{login}-demo-password")
        assert client.mail(f"{login}@example.com", [f"HOLDFOR={hold}"])[0] == 250
        for recipient in recipients:
            assert client.rcpt(recipient)[0] == 250
        code, text = client.data(f"From: {login}@example.com\r\nSubject: {subject}\r\n\r\nhello\r\n")
    assert code == 250
    return text.decode().partition("id=")[2].split()[0]


def mine(demo: RunningDemo, login: str, password: str = "") -> list[str]:
    given = f"{password or f'{login}-demo-password'}\n"
    code, text = run(demo, "queue", "list", "--login", login, "--json", given=given)
    assert code == 0, text
    return [facts["id"] for facts in json.loads(text)]


def drop(demo: RunningDemo, message: str, login: str, password: str = "") -> tuple[int, str]:
    given = f"{password or f'{login}-demo-password'}\n"
    return run(demo, "queue", "drop", message, "--yes", "--login", login, given=given)


def in_sink(demo: RunningDemo, subject: str) -> int:
    sink = Path(demo.facts["smarthost"]["sink_dir"])
    return sum(f"Subject: {subject}\r\n".encode() in file.read_bytes() for file in sink.glob("*.eml"))


def test_sent_and_taken_back_within_its_time(demo: RunningDemo) -> None:
    kept = submit(demo, "undo-kept", "a@elsewhere.example", hold=HOLD)
    gone = submit(demo, "undo-gone", "a@elsewhere.example", "oliver@example.com", hold=HOLD)
    eventually(lambda: mine(demo, "jane") == [kept, gone])
    assert mine(demo, "oliver") == []
    code, text = run(demo, "queue", "list", "--login", "jane", given="jane-demo-password\n")
    assert code == 0 and "oliver@example.com" not in text and "a@elsewhere.example +1" in text, text

    assert drop(demo, gone, "oliver") == (1, f"no message {gone} of yours waits")
    assert drop(demo, gone, "jane", "guess") == (5, "jane: authentication failed")
    assert drop(demo, gone, "jane") == (0, f"{gone}: dropped, 2 targets\n")
    assert drop(demo, gone, "jane") == (1, f"no message {gone} of yours waits")
    assert mine(demo, "jane") == [kept]
    eventually(lambda: in_sink(demo, "undo-kept"))
    code, text = drop(demo, kept, "jane")
    assert code == 1, text  # it has gone
    time.sleep(1)
    assert in_sink(demo, "undo-gone") == 0
    events = json.loads(run(demo, "trace", gone, "--json")[1])[0]["events"]
    assert events[-1]["event"] == "drop" and events[-1]["by"] == "jane"


def test_with_an_app_password_and_with_a_session(demo: RunningDemo) -> None:
    message = submit(demo, "undo-app", "a@elsewhere.example", hold=300)
    app = json.loads(run(demo, "user", "app-password", "add", "jane", "phone", "--json")[1])["password"]
    eventually(lambda: mine(demo, "jane", app) == [message])
    claim = Claim("jane", "jane-demo-password")
    session = call(Path(demo.facts["control_socket"]), "session-open", claim)["password"]
    assert mine(demo, "jane", session) == [message]
    assert drop(demo, message, "jane", session)[0] == 0
    assert mine(demo, "jane") == []


def test_it_survives_a_reload(demo: RunningDemo) -> None:
    message = submit(demo, "undo-reload", "a@elsewhere.example", hold=300)
    eventually(lambda: mine(demo, "jane") == [message])
    assert run(demo, "reload")[0] == 0
    assert mine(demo, "jane") == [message]
    assert drop(demo, message, "jane")[0] == 0


@pytest.mark.parametrize("round_", range(3))
def test_it_is_either_taken_back_or_sent(demo: RunningDemo, round_: int) -> None:
    """Drops at the very moment at which a message goes."""
    subject = f"undo-race-{round_}"
    sent = time.time()
    message = submit(demo, subject, "a@elsewhere.example", hold=1)
    time.sleep(max(0.0, sent + 0.98 + round_ * 0.02 - time.time()))
    code, text = drop(demo, message, "jane")
    assert code in (0, 1), text
    eventually(lambda: message not in [facts["id"] for facts in json.loads(run(demo, "queue", "list", "--json")[1])])
    time.sleep(0.5)
    print(f"round {round_}: {text.strip()}")
    assert in_sink(demo, subject) == code
