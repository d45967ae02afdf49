"""The switch for an open relay: off without the exact words, and loud with them."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import RunningDemo
from in_process import run

from gateway.smtp.settings import OPEN_RELAY


@pytest.fixture(scope="module")
def relaying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """A demo of its own: it is opened to everybody."""
    running = RunningDemo(tmp_path_factory.mktemp("relaying"))
    yield running
    running.stop()


def rcpt(demo: RunningDemo) -> int:
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
        client.ehlo()
        client.mail("me@far.example")
        return client.rcpt("you@other.example")[0]


def test_only_with_the_exact_words_and_loud(relaying: RunningDemo) -> None:
    path = Path(relaying.facts["config_file"])
    text = path.read_text()
    assert rcpt(relaying) == 550
    assert "relay" not in run(relaying, "status")[1]
    path.write_text(text + "smtp: {open_relay: yes}\n")
    assert run(relaying, "reload")[0] == 3
    assert rcpt(relaying) == 550
    path.write_text(text + f"smtp: {{open_relay: {OPEN_RELAY}}}\n")
    assert run(relaying, "reload")[0] == 0
    assert rcpt(relaying) == 250
    code, said = run(relaying, "status")
    assert code == 1
    assert "OPEN RELAY" in said
    code, said = run(relaying, "doctor", "directory")
    assert code == 1
    assert "open_relay" in said
    assert "OPEN RELAY" in run(relaying, "check")[1]
    assert "event=open-relay" in (relaying.folder / "demo.log").read_text()
