"""`gatepost stop` ends a demo, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from gateway.cli import group


def test_a_number_that_is_somebody_elses_by_now_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        (tmp_path / "demo.json").write_text(json.dumps({"pids": {"master": other.pid}}))
        (tmp_path / "gatepost.pid").write_text(f"{other.pid}\n")
        (tmp_path / "run" / "master").mkdir(parents=True)
        (tmp_path / "run" / "master" / "lock").touch()
        done = CliRunner().invoke(group, ["stop", "--dir", str(tmp_path), "--json"])
        assert (done.exit_code, json.loads(done.output)) == (0, {"running": False})
        assert other.poll() is None
        other.communicate(b"\n", timeout=20)
        assert other.returncode == 0


def test_nothing_there_is_nothing_to_stop(tmp_path: Path) -> None:
    assert CliRunner().invoke(group, ["stop", "--dir", str(tmp_path / "nowhere")]).exit_code == 0
