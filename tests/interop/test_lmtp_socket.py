"""LMTP on a unix socket: mail through it, its mode, both workers behind it; it goes with its listener."""

from __future__ import annotations

import os
import signal
import smtplib
import socket
import stat
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import RunningDemo

from gateway.service.overview import read


def reload(demo: RunningDemo, lmtp: list[dict[str, object]]) -> None:
    path = demo.folder / "gatepost.yaml"
    configuration = yaml.safe_load(path.read_text())
    configuration["listen"]["lmtp"] = lmtp
    path.write_text(yaml.safe_dump(configuration))
    shown = read(demo.folder / "run")
    before = shown.reloads if shown is not None else 0
    os.kill(demo.facts["pids"]["master"], signal.SIGHUP)
    deadline = time.monotonic() + 30
    while (shown := read(demo.folder / "run")) is None or shown.reloads <= before:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    running = RunningDemo(tmp_path_factory.mktemp("lmtp"))
    yield running
    running.stop()


def test_mail_through_a_unix_socket(company: RunningDemo) -> None:
    people = [a for a in company.facts["accounts"] if a["kind"] == "person" and a["status"] == "active"][:2]
    path = company.folder / "run" / "lmtp.sock"
    left = socket.socket(socket.AF_UNIX)  # what a killed process leaves: a file, and nobody behind it
    left.bind(str(path))
    left.close()
    port = company.port("lmtp")
    reload(company, [{"port": port, "tls": "none"}, {"path": str(path), "mode": "0600"}])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    subjects = [uuid.uuid4().hex for _ in range(6)]
    for subject in subjects:
        client = smtplib.LMTP(str(path))
        refused = client.sendmail(
            "me@elsewhere.example",
            [people[0]["addresses"][0], people[1]["addresses"][0], "nobody.at.all@example.com"],
            f"From: me@elsewhere.example\r\nSubject: {subject}\r\n\r\nhello\r\n",
        )
        assert list(refused) == ["nobody.at.all@example.com"]
        client.quit()
    for person in people:
        texts = [file.read_text() for file in Path(person["maildir"]).glob("cur/*")]
        found = [text for text in texts for subject in subjects if subject in text]
        assert len(found) == len(subjects)
        assert all("(local)\n" in text and "with LMTP id" in text for text in found)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        assert sock.recv(100).startswith(b"220 ")
        sock.sendall(b"LHLO x\r\n")
        assert b"STARTTLS" not in sock.recv(4096)
    reload(company, [{"port": port, "tls": "none"}])
    assert not path.exists()
