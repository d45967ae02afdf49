"""A worker that is killed is replaced on the same socket."""

from __future__ import annotations

import os
import signal
import smtplib
import time

from conftest import RunningDemo


def test_killed_workers_are_replaced_and_every_port_answers(demo: RunningDemo) -> None:
    for name in ("worker-0", "worker-1"):
        os.kill(demo.facts["pids"][name], signal.SIGKILL)
    deadline = time.monotonic() + 20
    answered = 0
    while answered < 20 and time.monotonic() < deadline:
        try:
            with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=10) as client:
                assert client.noop()[0] == 250 or client.ehlo()[0] == 250
            answered += 1
        except (OSError, smtplib.SMTPException):
            time.sleep(0.05)
    assert answered == 20
