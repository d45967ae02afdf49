"""Delivery programs and rules on header fields in a running service; `status` and `directory check` tell of them."""

from __future__ import annotations

import imaplib
import json
import smtplib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from conftest import RunningDemo
from in_process import run

CONFIGURATION = """
  keep: {{argv: [/bin/sh, -c, 'cat > {folder}/$EXT.$$; echo "$SENDER" > {folder}/$EXT.sender']}}
  stop: {{argv: [/bin/sh, -c, 'cat > /dev/null; exit 99']}}
  never: {{argv: [/bin/sh, -c, 'echo no such project; exit 100']}}
  later: {{argv: [/bin/sh, -c, 'test -e {folder}/open || exit 111']}}
  judge: {{argv: [/usr/bin/env, grep, -q, marked]}}
"""
RULES = (
    "kept program keep", "kept deliver", "stopped program stop", "stopped deliver", "never program never",
    "wait program later", "wait deliver", "dev if header List-Id DEV folder Drafts", "dev deliver",
    "judged if program judge folder Drafts", "judged deliver", "loop program judge", "lost program nowhere",
    "again if header X-No no discard", "again forward jane+again@example.com",
)  # fmt: skip


@pytest.fixture(scope="module")
def spawning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """A demo of its own, with programs."""
    running = RunningDemo(tmp_path_factory.mktemp("spawning"))
    (running.folder / "out").mkdir()
    path = Path(running.facts["config_file"])
    configured = yaml.safe_load(path.read_text())
    programs = configured["programs"] | yaml.safe_load(CONFIGURATION.format(folder=running.folder / "out"))
    path.write_text(yaml.safe_dump(configured | {"programs": programs, "queue": {"retry_first": 0.3}}))
    code, text = run(running, "reload")
    assert code == 0, text
    code, text = run(running, "user", "set", "jane", *(f"extensions+={rule}" for rule in RULES))
    assert code == 0, text
    yield running
    running.stop()


def send(demo: RunningDemo, extension: str, more: str = "") -> str:
    subject = f"p-{extension}-{time.time_ns()}"
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
        client.sendmail("me@far.example", [f"jane+{extension}@example.com"], f"Subject: {subject}\n{more}\nx\n")
    return subject


def count(demo: RunningDemo, subject: str, mailbox: str = "INBOX") -> int:
    jane = demo.facts["accounts"][0]
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as client:
        client.login(jane["login"], jane["password"])
        client.select(mailbox, readonly=True)
        return len(client.search(None, "SUBJECT", subject)[1][0].split())


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def in_log(demo: RunningDemo, text: str) -> bool:
    return text in (demo.folder / "demo.log").read_text()


def test_program_and_copy(spawning: RunningDemo) -> None:
    subject = send(spawning, "kept")
    until(lambda: count(spawning, subject) == 1)
    out = spawning.folder / "out"
    kept = [path.read_text() for path in out.glob("kept.*") if path.suffix != ".sender"]
    assert len([text for text in kept if f"Subject: {subject}\n" in text]) == 1
    assert (out / "kept.sender").read_text() == "me@far.example\n"


def test_99_ends_the_work(spawning: RunningDemo) -> None:
    subject = send(spawning, "stopped")
    until(lambda: in_log(spawning, "program=stop"))
    time.sleep(0.5)
    assert count(spawning, subject) == 0


def test_100_is_never(spawning: RunningDemo) -> None:
    send(spawning, "never")
    until(lambda: in_log(spawning, "no such project"))


def test_111_is_tried_again_and_nothing_is_done_before(spawning: RunningDemo) -> None:
    subject = send(spawning, "wait")
    until(lambda: in_log(spawning, "program later"))
    assert count(spawning, subject) == 0
    (spawning.folder / "out" / "open").touch()
    until(lambda: count(spawning, subject) == 1)


@pytest.mark.parametrize(
    ("extension", "more", "mailbox"),
    [
        ("dev", "List-Id: <dev.example.com>\n", "Drafts"),
        ("dev", "", "INBOX"),
        ("judged", "X: marked\n", "Drafts"),
        ("judged", "", "INBOX"),
    ],
)
def test_conditions_on_the_message(spawning: RunningDemo, extension: str, more: str, mailbox: str) -> None:
    subject = send(spawning, extension, more)
    until(lambda: count(spawning, subject, mailbox) == 1)
    assert count(spawning, subject, "INBOX" if mailbox == "Drafts" else "Drafts") == 0


def test_a_circle_ends(spawning: RunningDemo) -> None:
    send(spawning, "again")
    until(lambda: in_log(spawning, "has been here before"))


def test_a_program_for_every_message(spawning: RunningDemo) -> None:
    login = spawning.facts["accounts"][1]["login"]
    assert run(spawning, "user", "set", login, "delivery+=keep")[0] == 0
    address = spawning.facts["accounts"][1]["addresses"][0]
    local, _, domain = address.rpartition("@")
    with smtplib.SMTP("127.0.0.1", spawning.port("mx"), timeout=20) as client:
        client.sendmail("you@far.example", [f"{local}+every@{domain}"], "Subject: p-every\n\nx\n")
    until(lambda: (spawning.folder / "out" / "every.sender").exists())
    assert run(spawning, "user", "set", login, "delivery=")[0] == 0


def test_what_status_check_and_doctor_say(spawning: RunningDemo) -> None:
    _, text = run(spawning, "status")
    assert "programs   ok  judge, keep, later, never, selftest, stop" in text
    assert "they run as the user of the service" in text
    assert json.loads(run(spawning, "status", "--json")[1])["programs"]["own_uid"] is False
    code, text = run(spawning, "directory", "check")
    assert code == 1
    assert "there is no programs.nowhere in the configuration" in text
    code, text = run(spawning, "doctor", "address", "jane+judged@example.com")
    assert code == 0
    assert "depends on a program" in text
    assert "by rules of" in text


def test_trace_tells_programs_and_what_they_led_to(spawning: RunningDemo) -> None:
    subject = send(spawning, "kept", "Message-ID: <traced@far.example>\n")
    until(lambda: count(spawning, subject) == 1)
    code, text = run(spawning, "trace", "<traced@far.example>")
    assert code == 0
    for wanted in ("program=keep", "queued", "delivered", "in the store of"):
        assert wanted in text
