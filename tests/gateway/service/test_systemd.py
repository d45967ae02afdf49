"""What systemd is told, and the sockets that it passes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.service import systemd


def test_notify_reaches_the_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        assert systemd.notify("READY=1", "STATUS=serving")
        assert listener.recv(100) == b"READY=1\nSTATUS=serving"
        systemd.reloading()
        assert listener.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")


@pytest.mark.parametrize("path", ["", "relative", "/nowhere/notify"])
def test_nobody_to_notify_is_no_error(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    assert not systemd.notify("READY=1")


def test_watchdog_is_answered_twice_as_often_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    assert systemd.watchdog_seconds() == 0.0
    monkeypatch.setenv("WATCHDOG_USEC", "20000000")
    assert systemd.watchdog_seconds() == 10.0
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert systemd.watchdog_seconds() == 0.0


def test_passed_sockets_are_taken_by_name_once(tmp_path: Path) -> None:
    script = tmp_path / "takes.py"
    script.write_text(
        "import os, sys\n"
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='2', LISTEN_FDNAMES='imap:mx')\n"
        "from gateway.service.systemd import passed_sockets\n"
        "print([(name, sock.getsockname()[1], os.get_inheritable(sock.fileno())) for name, sock in passed_sockets()])\n"
        "print(passed_sockets(), 'LISTEN_FDS' in os.environ)\n"
    )
    with socket.socket() as imap, socket.socket() as plain:
        imap.bind(("127.0.0.1", 0))
        imap.listen()
        port = imap.getsockname()[1]
        fds = (imap.fileno(), plain.fileno())

        def put() -> None:
            copies = [os.dup(each) for each in fds]
            for place, copy in enumerate(copies):
                os.dup2(copy, 3 + place)

        done = subprocess.run(
            [sys.executable, str(script)],
            preexec_fn=put,
            pass_fds=(3, 4),
            capture_output=True,
            text=True,
            timeout=30,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        )
    assert done.stdout.splitlines() == [f"[('imap', {port}, False)]", "[] False"], done.stderr
