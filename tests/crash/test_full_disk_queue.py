"""A disk that is full for a moment, at each step of the queue: nothing is lost, nobody is served twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_a_full_disk(tmp_path: Path) -> None:
    namespace = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*namespace, "true"], capture_output=True).returncode != 0:
        pytest.skip("the full disk is mounted in a namespace that only the test sees, which this host does not allow")
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (here.parents[1], here.parent, here)))}
    command = [*namespace, sys.executable, str(here / "full_disk_queue.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
