"""Two hosts, one store: one with the index, one that only delivers and is killed. Nothing is lost or shown twice.

Short here; with GATEPOST_LONG_TESTS set 2,000 messages.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import RunningDemo
from senders import Senders, check, readers

LONG = bool(os.environ.get("GATEPOST_LONG_TESTS"))
MESSAGES = 2_000 if LONG else 200
KILLS = 3


class DeliveryHost:
    """A second instance on the demo's volume and directory, with state of its own."""

    def __init__(self, demo: RunningDemo, folder: Path) -> None:
        folder.mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        settings: dict[str, Any] = yaml.safe_load((demo.folder / "gatepost.yaml").read_text())
        settings |= {
            "role": "deliver",
            "state_dir": str(folder / "state"),
            "run_dir": str(folder / "run"),
            "listen": {"mx": [{"address": "127.0.0.1", "port": self.port, "tls": "none"}]},
        }
        self._config, self._folder = folder / "gatepost.yaml", folder
        self._config.write_text(yaml.safe_dump(settings))
        self.start()

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gateway", "serve", "--config", str(self._config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        pytest.fail((self._folder / "log").read_text())

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)


@pytest.mark.timeout(240 if not LONG else 1_000)
def test_two_hosts_on_one_store(tmp_path: Path) -> None:
    demo = RunningDemo(tmp_path / "demo")
    people = readers(demo)
    senders = Senders([person["addresses"][0] for person in people])
    other = DeliveryHost(demo, tmp_path / "other")
    try:
        senders.hosts = [("127.0.0.1", demo.port("mx")), ("127.0.0.1", other.port)]
        threads = senders.send(range(MESSAGES))
        kills = KILLS
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.005)
            if kills and len(senders.accepted) >= MESSAGES // (KILLS + 1) * (KILLS - kills + 1):
                kills -= 1
                other.kill()
                time.sleep(random.Random(kills).random() / 2)
                other.start()
        assert senders.given_up == []
        assert kills == 0
        maildirs = [Path(person["maildir"]) for person in people]
        waiting = sum(len(os.listdir(maildir / "new")) for maildir in maildirs)
        assert waiting, "the host without an index delivered nothing"
        seen: dict[str, dict[int, bytes]] = {person["login"]: {} for person in people}
        check(("127.0.0.1", demo.port("imap")), people, senders, seen)
        assert sum(len(os.listdir(maildir / "new")) for maildir in maildirs) == 0
        # what the first host indexed stays as it is when the other's is taken in
        check(("127.0.0.1", demo.port("imap")), people, senders, seen)
        print(f"{len(senders.accepted)} accepted, {sum(senders.attempts.values())} attempts, {waiting} without index")
    finally:
        other.stop()
        demo.stop()
