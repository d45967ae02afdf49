"""state.db damaged under a running host: mail and logins go on, what only it knows is "not now", status is red."""

from __future__ import annotations

import imaplib
import json
import os
import signal
import smtplib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import RunningDemo
from in_process import Said, answer


@pytest.fixture
def damaged(tmp_path: Path) -> Iterator[RunningDemo]:
    running = RunningDemo(tmp_path / "demo")
    yield running
    running.stop()


def login(demo: RunningDemo, name: str, password: str) -> str:
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=30) as client:
        try:
            return str(client.login(name, password)[0])
        except imaplib.IMAP4.error as error:
            return str(error)


def run(demo: RunningDemo, *words: str) -> Said:
    return answer(*words, "--config", demo.facts["config_file"])


def test_a_damaged_state_db(damaged: RunningDemo) -> None:
    demo = damaged
    made = json.loads(run(demo, "user", "app-password", "add", "jane", "telephone", "--json").stdout)
    assert login(demo, "jane", made["password"]) == "OK"
    state = Path(demo.facts["state_dir"]) / "state.db"
    for name in ("state.db", "state.db-wal", "state.db-shm"):
        state.with_name(name).unlink(missing_ok=True)
    state.write_bytes(b"the disk had other plans" * 400)
    os.kill(demo.facts["pids"]["agent"], signal.SIGKILL)
    begin = time.monotonic()
    while login(demo, "emma", "emma-demo-password") != "OK":
        assert time.monotonic() - begin < 30
        time.sleep(0.1)
    assert "UNAVAILABLE" in login(demo, "jane", made["password"])
    assert login(demo, "jane", "jane-demo-password") == "OK"
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
        client.sendmail("me@elsewhere.example", ["jane@example.com"], "Subject: on it goes\n\nhello\n")
    status = run(demo, "status")
    assert status.returncode == 1
    assert "state.db" in status.stdout
    changed = run(demo, "user", "set", "jane", "quota=1G")
    assert changed.returncode == 4, "no change without a journal"
    assert state.read_bytes().startswith(b"the disk had other plans"), "left for whoever repairs it"
