"""The brake on a live system: what stops an account, what stops with it and what goes on, and how it ends."""

from __future__ import annotations

import imaplib
import json
import re
import smtplib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import RunningDemo, eventually
from in_process import run

from gateway.config.load import load
from gateway.queue.brakes import LOOK_SECONDS
from gateway.service.health import sending_state
from gateway.service.metrics import exposition, health

STOPPED = "451 4.7.1 sending is stopped for this account, ask your administrator"
THRESHOLDS = {"learning": 0, "recipients": 20, "limit_hits": 5, "failures": 10, "exempt": ["sophie@example.com"]}


def configure(demo: RunningDemo) -> None:
    path = Path(demo.facts["config_file"])
    settings = yaml.safe_load(path.read_text()) | {"brake": THRESHOLDS}
    path.write_text(yaml.safe_dump(settings))
    code, text = run(demo, "reload")
    assert code == 0, text


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    running = RunningDemo(tmp_path_factory.mktemp("braked"))
    configure(running)
    yield running
    running.stop()


def session(demo: RunningDemo, login: str) -> smtplib.SMTP:
    client = smtplib.SMTP("127.0.0.1", demo.port("submission"), timeout=30)
    client.ehlo("here.example")
    client.login(login, f"{login}-demo-password")
    return client


def submit(client: smtplib.SMTP, login: str, *recipients: str, subject: str = "x", hold: int = 0) -> str:
    """A message's id, or the answer that was not 250."""
    answers = [client.mail(f"{login}@example.com", [f"HOLDFOR={hold}"] if hold else [])]
    answers += [client.rcpt(recipient) for recipient in recipients] if answers[0][0] == 250 else []
    if all(code == 250 for code, _ in answers):
        answers.append(client.data(f"From: {login}@example.com\r\nSubject: {subject}\r\n\r\nhello\r\n"))
    code, text = next((answer for answer in answers if answer[0] != 250), answers[-1])
    if code == 250:
        return text.decode().partition("id=")[2].split()[0]
    client.rset()
    return f"{code} {text.decode()}"


def send(demo: RunningDemo, login: str, *recipients: str, **more: Any) -> str:
    with session(demo, login) as client:
        return submit(client, login, *recipients, **more)


def held(demo: RunningDemo, message: str) -> dict[str, str]:
    """State of each target of a message."""
    code, text = run(demo, "queue", "show", message, "--json")
    return {} if code else {each["address"]: each["state"] for each in json.loads(text)["targets"]}


def notices(demo: RunningDemo, address: str) -> list[str]:
    found = [path.read_text() for path in (demo.folder / "mail").rglob("*,S=*") if path.is_file()]
    return [text for text in found if f"Subject: Sending is stopped for {address}\n" in text]


def in_sink(demo: RunningDemo, subject: str) -> int:
    sink = Path(demo.facts["smarthost"]["sink_dir"])
    return sum(f"Subject: {subject}\r\n".encode() in file.read_bytes() for file in sink.glob("*.eml"))


def brake(demo: RunningDemo, *words: str) -> tuple[int, str]:
    """`gatepost user brake`, seen by every worker on return."""
    done = run(demo, "user", "brake", *words)
    time.sleep(3 * LOOK_SECONDS)
    return done


def is_stopped(demo: RunningDemo, login: str) -> bool:
    return login in [row["login"] for row in json.loads(run(demo, "user", "brake", "list", "--json")[1])]


def flood(demo: RunningDemo, login: str, subject: str) -> int:
    """How many messages to different people outside are taken until one is refused."""
    with session(demo, login) as client:
        for number in range(2000):
            answer = submit(client, login, f"{login}-{number}@elsewhere.example", subject=subject)
            if answer[:1] == "4":
                assert answer == STOPPED
                return number
    raise AssertionError("nobody stopped it")


def test_a_flood_to_outside_is_stopped_and_told(demo: RunningDemo) -> None:
    waits = send(demo, "jane", "later@elsewhere.example", "oliver@example.com", subject="held", hold=3600)
    other = send(demo, "oliver", "later@elsewhere.example", hold=3600)
    eventually(lambda: held(demo, waits) and held(demo, other))
    taken = flood(demo, "jane", "flood")
    print(f"{taken} messages were taken")
    assert taken >= 20

    # every worker knows it within a second
    begin = time.monotonic()
    while {send(demo, "jane", "a@elsewhere.example") for _ in range(4)} != {STOPPED}:
        assert time.monotonic() - begin < 10
    assert {send(demo, "jane", "a@elsewhere.example") for _ in range(8)} == {STOPPED}
    assert send(demo, "jane", "oliver@example.com") == STOPPED
    code, text = run(
        demo, "doctor", "address", "a@elsewhere.example", "--login", "jane", "--sender", "jane@example.com"
    )
    assert code == 4 and STOPPED in text, text
    with subprocess.Popen(
        ["swaks", "--server", f"127.0.0.1:{demo.port('submission')}", "--auth", "PLAIN", "--auth-user", "jane",
         "--auth-password", "jane-demo-password", "--from", "jane@example.com", "--to", "a@elsewhere.example"],
        stdout=subprocess.PIPE, text=True,
    ) as swaks:  # fmt: skip
        assert f"<** {STOPPED}" in swaks.communicate(timeout=60)[0]

    # what waits for other hosts is on hold, nothing else is
    eventually(lambda: held(demo, waits)["later@elsewhere.example"] == "held")
    assert held(demo, waits)["oliver@example.com"] == "waiting"
    assert set(held(demo, other).values()) == {"waiting"}
    assert "sending is stopped" in run(demo, "queue", "show", waits)[1]

    # receiving and reading go on, and so do others
    assert send(demo, "oliver", "jane@example.com", "a@elsewhere.example", subject="still-here")[:1] == "1"
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as client:
        client.login("jane", "jane-demo-password")
        client.select("INBOX")
        eventually(lambda: client.noop() and client.search(None, "SUBJECT", "still-here")[1] != [b""])

    # it is told: once to the postmaster, and to whoever looks
    eventually(lambda: notices(demo, "jane@example.com"))
    (text,) = notices(demo, "jane@example.com")
    assert "different recipients outside today; at most 0 on a day before" in text
    # how much of the flood had not left by then is a matter of milliseconds
    assert (
        re.search(r"on hold: (1 message|\d+ messages) at the moment", text)
        and "gatepost user brake release jane --drop" in text
    )
    code, text = run(demo, "status")
    assert code == 1 and "sending    NOT OK  " in text and "jane@example.com (login jane)" in text, text
    assert "jane" in run(demo, "user", "brake", "list")[1]
    settings = load(Path(demo.facts["config_file"]))
    found = {
        "service": {"ok": True, "serving": True}, "directory": {"complete": True, "ok": True, "age_seconds": 1, "braked": ""},
        "volumes": {"ok": True, "down": {}}, "queue": {"ok": False}, "sending": sending_state(settings),
    }  # fmt: skip
    assert f"gatepost_accounts_stopped {found['sending']['stopped']}.0".encode() in exposition(settings, found)
    assert "sending" in json.loads(health(found)[1])["degraded"] and health(found)[0] == 200
    log = (demo.folder / "demo.log").read_text()
    account = next(
        row["account"] for row in json.loads(run(demo, "user", "brake", "list", "--json")[1]) if row["login"] == "jane"
    )
    assert log.count(f"event=sending-stopped account={account} sign=recipients") == 1
    story = json.loads(run(demo, "trace", "postmaster@example.com", "--json")[1])
    assert any(event["event"] == "sending-stopped" for one in story for event in one["events"])
    for message in (waits, other):
        assert run(demo, "queue", "drop", message, "--yes")[0] == 0


def test_it_outlives_reload_and_restart_and_ends_by_an_operator(demo: RunningDemo) -> None:
    flood(demo, "emma", "flood")
    assert run(demo, "reload")[0] == 0
    assert send(demo, "emma", "a@elsewhere.example") == STOPPED
    demo.stop()
    again = RunningDemo(demo.folder)
    demo.facts = again.facts
    configure(demo)
    assert is_stopped(demo, "emma")
    assert send(demo, "emma", "a@elsewhere.example") == STOPPED
    eventually(lambda: len(notices(demo, "emma@example.com")) == 1)

    code, text = brake(demo, "release", "emma", "--drop")
    assert code == 0 and text.startswith("emma: may send again"), text
    assert send(demo, "emma", "a@elsewhere.example")[:1] == "1"
    assert brake(demo, "release", "emma") == (1, "this account may send: it is not stopped")
    assert brake(demo, "release", "nobody")[0] == 1
    code, text = run(demo, "user", "brake", "list", "--log")
    assert code == 0 and "release  emma@example.com  by uid " in text and "stop     emma@example.com  by brake" in text
    assert len(notices(demo, "emma@example.com")) == 1


def test_what_is_usual_is_no_sign(demo: RunningDemo) -> None:
    flood(demo, "harry", "letter")
    assert brake(demo, "release", "harry", "--usual")[0] == 0
    with session(demo, "harry") as client:
        for number in range(60):
            assert submit(client, "harry", f"harry-{number}@elsewhere.example")[:1] == "1"
    time.sleep(1.5)
    assert not is_stopped(demo, "harry")


def test_an_exempt_account_is_not_looked_at(demo: RunningDemo) -> None:
    with session(demo, "sophie") as client:
        for number in range(60):
            assert submit(client, "sophie", f"s-{number}@elsewhere.example")[:1] == "1"
    time.sleep(1.5)
    assert not is_stopped(demo, "sophie")


def test_meeting_the_limit_again_and_again_is_a_sign(demo: RunningDemo) -> None:
    demo.change("george", {"gatepostSendLimit": ["1/h"]})
    with session(demo, "george") as client:
        assert submit(client, "george", "a@elsewhere.example")[:1] == "1"
        for _ in range(6):
            assert submit(client, "george", "a@elsewhere.example")[:9] == "450 4.7.1"
    eventually(lambda: is_stopped(demo, "george"))
    assert send(demo, "george", "jane@example.com") == STOPPED


def test_many_unknown_recipients_are_a_sign(demo: RunningDemo) -> None:
    with session(demo, "alice") as client:
        for number in range(11):
            assert submit(client, "alice", f"nobody-{number}@example.com")[:9] == "550 5.1.1"
    eventually(lambda: is_stopped(demo, "alice"))
    seen = [
        row["seen"] for row in json.loads(run(demo, "user", "brake", "list", "--json")[1]) if row["login"] == "alice"
    ]
    assert seen[0].endswith(
        "of 11 recipients in 7 days were refused or bounced (brake.failures: 10, brake.failed_share: 0.5)"
    )


def test_an_operator_stops_and_decides_about_what_is_on_hold(demo: RunningDemo) -> None:
    one = send(demo, "henry", "a@elsewhere.example", subject="henry-one", hold=3600)
    two = send(demo, "henry", "b@elsewhere.example", subject="henry-two", hold=3600)
    eventually(lambda: held(demo, one) and held(demo, two))
    assert brake(demo, "stop", "henry") == (0, "henry: stopped, 2 messages put on hold\n")
    assert "was stopped already" in brake(demo, "stop", "henry")[1]
    assert send(demo, "henry", "jane@example.com") == STOPPED
    assert notices(demo, "henry@example.com") == [], "who did it knows it"
    assert run(demo, "queue", "release", two)[0] == 0
    assert held(demo, two) == {"b@elsewhere.example": "waiting"}, "for its moment"
    assert run(demo, "queue", "retry", two)[0] == 0  # it is held again when it is tried
    eventually(lambda: held(demo, two) == {"b@elsewhere.example": "held"})
    assert in_sink(demo, "henry-two") == 0
    code, text = brake(demo, "release", "henry", "--send")
    assert (code, text) == (0, "henry: may send again; 2 messages sent now\n")
    eventually(lambda: in_sink(demo, "henry-one") and in_sink(demo, "henry-two"))

    three = send(demo, "henry", "a@elsewhere.example", "jane@example.com", subject="henry-three", hold=3600)
    eventually(lambda: held(demo, three))
    brake(demo, "stop", "henry")
    assert held(demo, three) == {"a@elsewhere.example": "held", "jane@example.com": "waiting"}
    assert "1 message thrown away" in brake(demo, "release", "henry", "--drop")[1]
    assert held(demo, three) == {"a@elsewhere.example": "done", "jane@example.com": "waiting"}
    assert run(demo, "queue", "retry", three)[0] == 0
    eventually(lambda: held(demo, three) == {})
    assert in_sink(demo, "henry-three") == 0
