"""The wheel holds everything the service needs: a demo runs from it, far from the sources."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import free_offset

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("hatchling") is None,
    reason="the build tool is not installed: `pip install --require-hashes --no-deps -r locks/build.txt`, or `make test`",
)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("gatepost-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_data_is_inside_and_nothing_foreign_is(unpacked: Path) -> None:
    files = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    for wanted in (
        "directory/_schema/gatepost.schema",
        "directory/_ldif/example.ldif",
        "directory/profiles/native.yaml",
        "directory/profiles/inetorg.yaml",
    ):
        assert wanted in files
    tops = {name.partition("/")[0] for name in files}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"gateway", "directory", "webadmin"}
    assert not [name for name in files if "__pycache__" in name or name.startswith("tests")]


def test_a_demo_runs_from_it(unpacked: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(unpacked), "PYTHONSAFEPATH": "1"}
    folder = tmp_path / "demo"

    def gatepost(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "gateway", *words]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)

    where = subprocess.run(
        [sys.executable, "-c", "import gateway, directory; print(gateway.__file__, directory.__file__)"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert where.stdout.split() == [f"{unpacked}/gateway/__init__.py", f"{unpacked}/directory/__init__.py"]
    started = gatepost("demo", "--dir", str(folder), "--detach", "--no-web", "--port-offset", str(free_offset()))
    try:
        assert started.returncode == 0, started.stderr
        assert gatepost("status", "--config", str(folder / "gatepost.yaml")).returncode == 0
        assert "jane@example.com" in started.stdout
    finally:
        assert gatepost("stop", "--dir", str(folder)).returncode == 0
