"""store prepare and status: a volume is marked once, and one that is away is told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.store import markers

CONFIGURATION = """state_dir: {dir}/state
run_dir: {dir}/run
directory: {{servers: ["ldap://127.0.0.1:1"], base: "o=x", bind: {{dn: "cn=x", password_file: {dir}/password}}}}
store: {{volumes: {{main: {{path: {dir}/main}}, far: {{path: {dir}/far}}}}}}
"""


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "gatepost.yaml"
    path.write_text(CONFIGURATION.format(dir=tmp_path))
    (tmp_path / "main").mkdir()
    return path


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", "store", *map(str, arguments)], capture_output=True, text=True, timeout=60
    )


def test_a_volume_is_prepared_once(configuration: Path, tmp_path: Path) -> None:
    assert "is prepared\n" in run("prepare", "main", "--config", configuration).stdout
    before = markers.read(str(tmp_path / "main" / markers.STORE))
    assert "prepared already" in run("prepare", "main", "--config", configuration).stdout
    done = run("prepare", "main", "--json", "--config", configuration)
    assert json.loads(done.stdout) == [{"name": "main", "path": str(tmp_path / "main"), "is_new": False}]
    assert markers.read(str(tmp_path / "main" / markers.STORE)) == before
    markers.check_volume(str(tmp_path / "main"))


def test_a_volume_that_is_away_is_told(configuration: Path) -> None:
    done = run("prepare", "--config", configuration)
    assert done.returncode == 4
    assert "far" in done.stderr
    assert run("prepare", "other", "--config", configuration).returncode == 2
    done = run("status", "--json", "--config", configuration)
    assert done.returncode == 1
    found = {facts["name"]: facts for facts in json.loads(done.stdout)}
    assert found["main"]["prepared"]
    assert found["main"]["free_bytes"] > 0
    assert found["far"]["problem"] == "No such file or directory"
    done = run("status", "--config", configuration)
    assert done.stdout.splitlines()[1].endswith("No such file or directory")


def test_a_volume_without_its_mark_is_told(configuration: Path, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    done = run("status", "--config", configuration)
    assert done.returncode == 1
    assert done.stdout.count("not prepared") == 2
    assert run("prepare", "--config", configuration).returncode == 0
    assert run("status", "--config", configuration).returncode == 0
