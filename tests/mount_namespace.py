"""A command before another one that gives it mounts of its own, for disks that only the test sees."""

from __future__ import annotations

import os
import subprocess

import pytest


def mount_namespace() -> list[str]:
    """The command; where this host does not allow it the test is skipped."""
    command = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*command, "true"], capture_output=True).returncode != 0:
        pytest.skip(
            "the disk is mounted in a namespace that only the test sees, which this host does not allow: run it as root "
            "(in a container: with CAP_SYS_ADMIN), or set sysctl kernel.unprivileged_userns_clone=1"
        )
    return command
