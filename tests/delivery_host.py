"""A second host that only delivers (`role: deliver`), on the volume and the directory of a demo."""

from __future__ import annotations

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
