"""`sendmail` and `inject` as programs call them: into the running service, and into spool/drop while it is down."""

from __future__ import annotations

import imaplib
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import GATEPOST, RunningDemo, free_offset

SCRIPT = '#!/bin/sh\nexec {python} -m gateway {verb} {option} {config} "$@"\n'


@pytest.fixture(scope="module")
def handed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """A demo of its own: it is stopped and started."""
    running = RunningDemo(tmp_path_factory.mktemp("handed"))
    for verb, option in (("sendmail", "-C"), ("inject", "--config")):
        path = running.folder / verb
        path.write_text(
            SCRIPT.format(python=sys.executable, verb=verb, option=option, config=running.facts["config_file"])
        )
        path.chmod(0o755)
    yield running
    running.stop()


def call(demo: RunningDemo, program: str, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(demo.folder / program), *words], input=given, capture_output=True, text=True, timeout=60, check=False
    )


def inbox(demo: RunningDemo, number: int = 0) -> list[bytes]:
    account = [each for each in demo.facts["accounts"] if each["password"]][number]
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as client:
        client.login(account["login"], account["password"])
        client.select("INBOX")
        count = client.search(None, "ALL")[1][0].split()
        if not count:
            return []
        return [part[1] for part in client.fetch("1:*", "(BODY.PEEK[])")[1] if isinstance(part, tuple)]


def found(demo: RunningDemo, text: str, number: int = 0, seconds: float = 20.0) -> bytes:
    """The message that holds `text`, waited for."""
    deadline = time.monotonic() + seconds
    while True:
        for message in inbox(demo, number):
            if text.encode() in message:
                return message
        assert time.monotonic() < deadline, f"no message with {text!r}"
        time.sleep(0.2)


def test_recipients_from_the_header(handed: RunningDemo) -> None:
    other = handed.facts["accounts"][1]
    done = call(handed, "sendmail", "-t", "-i", "-F", "Cron Daemon",
                given=f"To: jane@example.com\nBcc: {other['addresses'][0]}\nSubject: t01\n\n.\nbody\n")  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    message = found(handed, "Subject: t01")
    for wanted in (b"\r\n\r\n.\r\nbody\r\n", b"From: Cron Daemon <", b"@localhost>\r\n", b"Date: ", b"Message-ID: <"):
        assert wanted in message
    assert f"Received: from uid-{os.getuid()} (local)".encode() in message
    assert b"cc:" not in message.lower()
    assert found(handed, "Subject: t01", 1) == message


def test_return_path_and_end_by_dot(handed: RunningDemo) -> None:
    done = call(handed, "sendmail", "-f", "boss@far.example", "jane@example.com", given="Subject: t2\n\na\n.\nb\n")
    assert done.returncode == 0
    message = found(handed, "Subject: t2")
    assert message.startswith(b"Return-Path: <boss@far.example>\r\n")
    assert message.endswith(b"\r\n\r\na\r\n")
    assert b"From: " in message


def test_mail_for_outside_and_without_domain(handed: RunningDemo) -> None:
    done = call(
        handed, "sendmail", "-oi", "-odb", "-N", "failure,delay", "--", "you@far.example", given="Subject: t3\n\nx\n"
    )
    assert done.returncode == 0
    sink = Path(handed.facts["smarthost"]["sink_dir"])
    deadline = time.monotonic() + 20
    while not any(b"Subject: t3" in path.read_bytes() for path in sink.rglob("*") if path.is_file()):
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nobody@example.com",), 67, "5.1.1 no such recipient here"),
        (("-oeq", "nobody@example.com"), 67, ""),
        (("jane@example.com", "nobody@example.com"), 67, "nobody@example.com... 550"),
        ((), 64, "recipient names must be specified"),
        (("-bd",), 64, "gatepost serve"),
        (("-k", "jane@example.com"), 64, "unknown option -k"),
        (("not an address",), 65, "not an address"),
        (("-bi",), 0, ""),
        (("-C", "/dev/null", "jane@example.com"), 78, "/dev/null:1"),
        (("-C", "/nonexistent", "-bv", "jane@example.com"), 75, "local.sock"),
    ],
)
def test_exit_codes(handed: RunningDemo, words: tuple[str, ...], code: int, said: str) -> None:
    done = call(handed, "sendmail", *words, given="Subject: t4\n\nx\n")
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert said or not done.stderr


def test_a_header_that_is_too_large_is_bad_data(handed: RunningDemo) -> None:
    done = call(handed, "sendmail", "jane@example.com", given="Subject: " + "x" * 300_000 + "\n\nx\n")
    assert (done.returncode, done.stderr) == (65, "sendmail: message header too large\n")


def test_errors_by_mail(handed: RunningDemo) -> None:
    done = call(handed, "sendmail", "-oee", "-f", "jane@example.com", "nobody@example.com", given="Subject: t5\n\nx\n")
    assert done.returncode == 0
    message = found(handed, "> Subject: t5")
    assert b"nobody@example.com... 550" in message
    assert message.startswith(b"Return-Path: <>\r\n")


def test_verify(handed: RunningDemo) -> None:
    done = call(handed, "sendmail", "-bv", "jane@example.com", "nobody@example.com")
    assert done.returncode == 67
    assert "jane@example.com... deliverable" in done.stdout
    assert "nobody@example.com... not deliverable: 550" in done.stdout


def test_smtp_on_standard_input(handed: RunningDemo) -> None:
    dialog = "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<jane@example.com>\r\nDATA\r\nSubject: t6\r\n\r\n..x\r\n.\r\nQUIT\r\n"
    done = call(handed, "sendmail", "-bs", given=dialog)
    assert done.returncode == 0
    codes = [line[:3] for line in done.stdout.splitlines() if line[3:4] == " "]
    assert codes == ["220", "250", "250", "250", "354", "250", "221"]
    assert b"\r\n.x\r\n" in found(handed, "Subject: t6")


def test_inject(handed: RunningDemo) -> None:
    done = call(handed, "inject", given="To: jane@example.com\nSubject: t7\n\nx\n")
    assert done.returncode == 0
    found(handed, "Subject: t7")
    assert call(handed, "inject", given="Subject: none\n\nx\n").returncode == 100
    assert call(handed, "inject", "-a", "nobody@example.com", given="To: jane@example.com\n\nx\n").returncode == 100
    shown = call(handed, "inject", "-n", "-f", "a@b.example", given="To: jane@example.com\nBcc: x@y.example\n\nx\n")
    assert "To: jane@example.com\n" in shown.stdout
    assert "Bcc" not in shown.stdout


def test_programs_that_call_it(handed: RunningDemo) -> None:
    sendmail = handed.folder / "sendmail"
    swaks = ["swaks", "--pipe", f"{sendmail} -bs", "--from", "me@far.example", "--to", "jane@example.com",
             "--header", "Subject: t10"]  # fmt: skip
    assert subprocess.run(swaks, capture_output=True, timeout=60, check=False).returncode == 0
    mutt = ["mutt", "-n", "-F", "/dev/null", "-e", f'set sendmail="{sendmail} -oem -oi"', "-e", "set record=''",
            "-s", "t11", "jane@example.com"]  # fmt: skip
    environment = {**os.environ, "HOME": str(handed.folder), "TERM": "dumb"}
    assert (
        subprocess.run(mutt, input=b"x\n", capture_output=True, timeout=60, env=environment, check=False).returncode
        == 0
    )
    for subject in ("t10", "t11"):
        found(handed, f"Subject: {subject}")


def test_called_by_other_names(handed: RunningDemo) -> None:
    environment = {**os.environ, "GATEPOST_CONFIG": handed.facts["config_file"], "PYTHONPATH": os.getcwd()}
    for name, said in (("mailq", "Mail queue is empty"), ("newaliases", "")):
        program = handed.folder / name  # what pip makes of the entry point, under another name
        program.write_text(f"#!{sys.executable}\nfrom gateway.cli import main\nmain()\n")
        program.chmod(0o755)
        done = subprocess.run([str(program)], capture_output=True, text=True, timeout=60, env=environment, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert said in done.stdout or "-Queue ID-" in done.stdout


def test_while_the_service_is_down(handed: RunningDemo) -> None:
    drop = Path(handed.facts["state_dir"]) / "spool" / "drop"
    assert stat.S_IMODE(drop.stat().st_mode) == 0o3733
    handed.stop()
    done = call(handed, "sendmail", "-t", given="To: jane@example.com\nBcc: nobody@example.com\nSubject: t8\n\nx\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert call(handed, "inject", "jane@example.com", given="Subject: t9\n\nx\n").returncode == 0
    down = call(handed, "sendmail", "-bs", given="QUIT\r\n")
    assert (down.returncode, down.stdout[:3]) == (75, "421")
    assert call(handed, "sendmail", "-bv", "jane@example.com").returncode == 75
    left = list(drop.iterdir())
    assert len(left) == 2
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o640 for path in left)
    poison: dict[str, Callable[[Path], object]] = {
        "0.garbage": lambda path: path.write_bytes(b"Subject: evil\n\n"),
        "0.link": lambda path: path.symlink_to("/etc/passwd"),
        "0.hard": lambda path: path.hardlink_to(left[0]),
        "0.pipe": os.mkfifo,
        "0.long": lambda path: path.write_bytes(b"gatepost-drop 1 99999999999\n{}\n"),
        "0.nobody": lambda path: path.write_bytes(b'gatepost-drop 1 36\n{"return_path":"","recipients":[""]}\nx\n'),
    }
    for name, make in poison.items():
        make(drop / name)
    (drop / "0.hard").unlink()
    done2 = subprocess.run(
        [*GATEPOST, "demo", "--dir", str(handed.folder), "--detach", "--no-web", "--port-offset", str(free_offset())],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done2.returncode == 0, done2.stderr
    handed.facts.update(__import__("json").loads((handed.folder / "demo.json").read_text()))
    for subject in ("t8", "t9"):
        message = found(handed, f"Subject: {subject}")
        assert f"Received: from uid-{os.getuid()} (local)".encode() in message
        assert b"with local id" in message
        assert b"Bcc" not in message
    assert sorted(path.name for path in drop.iterdir()) == sorted(set(poison) - {"0.hard"})
    assert call(handed, "sendmail", "-bp").returncode == 0
    assert call(handed, "sendmail", "-q").returncode == 0
