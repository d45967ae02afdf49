"""Debian packages that tests use without installing them: their files, unpacked below .stamps once.

So a package may be one that cannot stand beside another, or whose daemons a developer does not want on his host.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

CACHE = Path(__file__).resolve().parents[1] / ".stamps"


def unpacked(name: str, *packages: str, seconds: float = 90) -> Path:
    """The folder with the files of packages and of what they need; what is installed is not among them.

    Raises CalledProcessError, TimeoutExpired, OSError when they cannot be had.
    """
    target = CACHE / name
    if not target.exists():
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as made:
            os.makedirs(f"{made}/archives/partial")
            os.mkdir(f"{made}/x")
            fetch = ["apt-get", "install", "--download-only", "--no-install-recommends", "-qq", "-y"]
            fetch += [
                "-o",
                f"Dir::Cache::archives={made}/archives",
                "-o",
                "Debug::NoLocking=1",
                "-o",
                "APT::Sandbox::User=",
            ]
            subprocess.run([*fetch, *packages], timeout=seconds, check=True, capture_output=True)
            for package in Path(made, "archives").glob("*.deb"):
                subprocess.run(["dpkg-deb", "-x", str(package), f"{made}/x"], timeout=60, check=True)
            try:
                os.rename(f"{made}/x", target)
            except OSError:  # another worker was faster
                assert target.exists()
    return target
