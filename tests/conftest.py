"""What several tests share: a running demo, free ports."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

GATEPOST = [sys.executable, "-m", "gateway"]


def free_offset() -> int:
    """A port offset under which all default ports of the demo are free, apart from other workers' ones."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    for attempt in range(50):
        offset = 10_000 + worker * 3_000 + (os.getpid() * 7 + attempt * 61) % 2_500
        try:
            for port in (2525, 2587, 2465, 2424, 2143, 2993, 2110, 2995, 2190, 2626, 8080, 3890):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port + offset))
        except OSError:
            continue
        return offset
    raise RuntimeError("no free ports")


class RunningDemo:
    """A demo that serves; `facts` is its demo.json."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        done = subprocess.run(
            [*GATEPOST, "demo", "--dir", str(folder), "--detach", "--no-web", "--port-offset", str(free_offset())],
            capture_output=True,
            text=True,
            timeout=90,
        )
        if done.returncode != 0:
            log = folder / "demo.log"
            raise RuntimeError(f"{done.stderr}\n{log.read_text() if log.exists() else ''}")
        self.facts: dict[str, Any] = json.loads((folder / "demo.json").read_text())

    def port(self, service: str) -> int:
        return int(self.facts["ports"][service])

    def stop(self) -> None:
        done = subprocess.run([*GATEPOST, "stop", "--dir", str(self.folder)], timeout=60)
        assert done.returncode == 0


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    running = RunningDemo(tmp_path_factory.mktemp("demo"))
    yield running
    running.stop()
