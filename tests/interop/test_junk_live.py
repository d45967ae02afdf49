"""Debian's rspamd as a check: GTUBE is refused or goes to Junk, as configured, directly and through the queue."""

from __future__ import annotations

import contextlib
import imaplib
import os
import signal
import smtplib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import RunningDemo
from in_process import answer

pytestmark = pytest.mark.xdist_group("rspamd")
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
CONFIG = """
options {{ pidfile = "{folder}/rspamd.pid"; filters = ""; control_socket = "{folder}/control mode=0600";
  dns {{ nameserver = ["127.0.0.1:9"]; timeout = 0.1s; retransmits = 1; }} }}
logging {{ type = "console"; level = "error"; }}
actions {{ reject = 15; add_header = 6; greylist = 4; }}
worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 1; }}
"""


def rspamd_with(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "rspamd.conf"
    config.write_text(CONFIG.format(folder=folder, port=port))
    words = ["rspamd", "-f", "-c", str(config)] + (["-i"] if os.geteuid() == 0 else [])
    with (folder / "rspamd.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 40
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return process, port
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, (folder / "rspamd.log").read_text()
            time.sleep(0.1)


def end(process: subprocess.Popen[bytes]) -> None:
    """End it with all its children, compilers of expressions too."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def configure(demo: RunningDemo, before: str, port: int, reject_above: int) -> None:
    """Have the demo ask rspamd; it takes the new configuration within moments."""
    rspamd = f"{{url: 'http://127.0.0.1:{port}', services: [mx, submission], reject_above: {reject_above}}}"
    config = Path(demo.facts["config_file"])
    config.write_text(f"{before}filters:\n  rspamd: {rspamd}\n")
    done = answer("reload", "--config", str(config))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningDemo, str]]:
    """A demo of its own that asks an rspamd of its own, and what it answered while it was to refuse."""
    process, port = rspamd_with(tmp_path_factory.mktemp("rspamd"))
    try:
        running = RunningDemo(tmp_path_factory.mktemp("checked"))
        try:
            before = Path(running.facts["config_file"]).read_text()
            deadline = time.monotonic() + 60
            configure(running, before, port, 0)
            while not (answer := refused(running)):
                assert time.monotonic() < deadline, "the new configuration does not hold"
                time.sleep(0.2)
            configure(running, before, port, 100)
            taken = 0
            while taken < 5:  # by every worker
                assert time.monotonic() < deadline, "the new configuration does not hold"
                taken = 0 if refused(running) else taken + 1
                time.sleep(0.1)
            yield running, answer
        finally:
            running.stop()
    finally:
        end(process)


def refused(demo: RunningDemo) -> str:
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=30) as client:
        try:
            client.sendmail("a@elsewhere.example", ["jane@example.com"], f"Subject: probe\n\n{GTUBE}\n")
        except smtplib.SMTPDataError as error:
            return f"{error.smtp_code} {error.smtp_error.decode()}"
    return ""


def fetch(demo: RunningDemo, login: str, mailbox: str, subject: str) -> bytes:
    """The header of the message with that subject, b"" when it does not come."""
    deadline = time.monotonic() + 15
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as client:
        client.login(login, f"{login}-demo-password")
        while time.monotonic() < deadline:
            if client.select(mailbox, readonly=True)[0] == "OK":
                found = client.search(None, "SUBJECT", subject)[1][0].split()
                if found:
                    return bytes(client.fetch(found[0].decode(), "(BODY.PEEK[HEADER])")[1][0][1])
            time.sleep(0.2)
    return b""


def test_what_rspamd_rejects_is_refused(checked: tuple[RunningDemo, str]) -> None:
    assert checked[1].startswith("554 5.7.1")


def test_junk_goes_to_the_mailbox_for_it(checked: tuple[RunningDemo, str]) -> None:
    demo, _ = checked
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=30) as client:
        client.sendmail("a@elsewhere.example", ["jane@example.com"], f"Subject: direct-junk\n\n{GTUBE}\n")
        client.sendmail("a@elsewhere.example", ["jane@example.com"], "Subject: direct-ham\n\nhello\n")
    assert b"\nX-Spam-Flag: YES\r\n" in fetch(demo, "jane", "Junk", "direct-junk")
    ham = fetch(demo, "jane", "INBOX", "direct-ham")
    assert ham and b"X-Spam-Flag" not in ham


def test_junk_through_the_queue(checked: tuple[RunningDemo, str]) -> None:
    demo, _ = checked
    with smtplib.SMTP("127.0.0.1", demo.port("submission"), timeout=30) as client:
        client.starttls()
        client.login("jane", "jane-demo-password")
        text = f"From: jane@example.com\nSubject: queued-junk\n\n{GTUBE}\n"
        client.sendmail("jane@example.com", ["someone@elsewhere.example", "jane@example.com"], text)
    assert b"X-Spam-Flag: YES" in fetch(demo, "jane", "Junk", "queued-junk")


def test_a_forged_result_is_removed(checked: tuple[RunningDemo, str]) -> None:
    demo, _ = checked
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=30) as client:
        host = client.ehlo()[1].split()[0].decode()
        text = (
            f"Authentication-Results: {host};\n spf=pass forged\nAuthentication-Results: other.example; spf=pass kept\n"
            "Subject: forged-results\n\nhello\n"
        )
        client.sendmail("a@elsewhere.example", ["jane@example.com"], text)
    found = fetch(demo, "jane", "INBOX", "forged-results")
    assert b"kept" in found and b"forged\r\n" not in found.replace(b"Subject: forged-results\r\n", b"")
