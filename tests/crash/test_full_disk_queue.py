"""A disk that is full for a moment, at each step of the queue: nothing is lost, nobody is served twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mount_namespace import mount_namespace


def test_a_full_disk(tmp_path: Path) -> None:
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (here.parents[1], here.parent, here)))}
    command = [*mount_namespace(), sys.executable, str(here / "full_disk_queue.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
