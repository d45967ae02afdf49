"""Submission with a real client (swaks) against the demo: logins, foreign senders and authors, relay to the sink."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from conftest import RunningDemo


def swaks(demo: RunningDemo, *arguments: str) -> str:
    done = subprocess.run(
        ["swaks", "--server", f"127.0.0.1:{demo.port('submission')}", "--timeout", "20", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout


LOGIN = ("--auth", "PLAIN", "--auth-user", "jane", "--auth-password", "jane-demo-password")


def test_mail_to_outside_reaches_the_smarthost(demo: RunningDemo) -> None:
    out = swaks(
        demo, *LOGIN, "--from", "jane@example.com", "--to", "friend@elsewhere.example",
        "--h-From", "Jane Doe <jane@example.com>", "--h-Subject", "out",
    )  # fmt: skip
    assert "<-  250 2.0.0 OK id=" in out, out
    sink = Path(demo.facts["smarthost"]["sink_dir"])
    deadline = time.monotonic() + 20
    while not (found := [t for p in sink.glob("*.eml") if b"Subject: out" in (t := p.read_bytes())]):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert b"X-Envelope-To: <friend@elsewhere.example>" in found[0]
    assert b"with ESMTPA id" in found[0]
    assert b"Return-Path:" not in found[0]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--from", "jane@example.com", "--to", "oliver@example.com"), "530 5.7.0"),
        ((*LOGIN, "--from", "oliver@example.com", "--to", "jane@example.com"), "553 5.7.1"),
        (
            (*LOGIN, "--from", "jane@example.com", "--to", "oliver@example.com", "--h-From", "oliver@example.com"),
            "550 5.7.1",
        ),
        ((*LOGIN[:5], "wrong", "--from", "jane@example.com", "--to", "oliver@example.com"), "535 5.7.8"),
    ],
)
def test_refusals(demo: RunningDemo, arguments: tuple[str, ...], expected: str) -> None:
    assert f"<** {expected}" in swaks(demo, *arguments), swaks(demo, *arguments)


def test_a_list_for_local_senders_refuses_strangers(demo: RunningDemo) -> None:
    done = subprocess.run(
        ["swaks", "--server", f"127.0.0.1:{demo.port('mx')}", "--from", "me@elsewhere.example", "--to",
         "staff@example.com", "--quit-after", "RCPT"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "<** 550 5.7.1" in done.stdout, done.stdout
