"""storage-test: what was noted is there; what is lost, damaged or of another run is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.store.proving import FOLDER, Mount, mount_of

GATEPOST = [sys.executable, "-m", "gateway", "storage-test"]


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    (tmp_path / "volume").mkdir()
    return tmp_path / "volume"


def run(*arguments: object) -> tuple[int, str, str]:
    done = subprocess.run([*GATEPOST, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("durability", ["fsync", "syncfs"])
def test_a_good_volume_keeps_everything(volume: Path, tmp_path: Path, durability: str) -> None:
    log = tmp_path / "log"
    code, output, errors = run("deliver", volume, "--log", log, "--count", 40, "--durability", durability)
    assert (code, output.splitlines()[1][:11]) == (0, "40 messages"), errors
    assert "on the volume itself" in errors
    assert run("check", volume, "--log", log)[:2] == (0, "40 noted, 0 lost, 0 damaged, 0 not noted\n")
    assert run("clean", volume, "--json")[:2] == (0, f'{{"removed":"{volume / FOLDER}"}}\n')
    assert list(volume.iterdir()) == []


def test_what_is_lost_or_damaged_is_told(volume: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert run("deliver", volume, "--log", log, "--count", 10, "--json")[0] == 0
    first, second, *_ = sorted((volume / FOLDER / "cur").iterdir())
    first.unlink()
    second.write_bytes(second.read_bytes()[:-1])
    code, output, _ = run("check", volume, "--log", log, "--json")
    found = json.loads(output)
    assert code == 1
    assert (found["noted"], found["unnoted"]) == (10, 0)
    assert found["lost"] == [first.name.partition(":")[0]]
    assert found["damaged"] == [second.name.partition(":")[0]]
    assert "lost: " in run("check", volume, "--log", log)[1]


def test_a_process_that_is_killed_loses_nothing_that_it_noted(volume: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = subprocess.Popen(
        [*GATEPOST, "deliver", volume, "--log", log], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 20
    while (not log.exists() or log.stat().st_size < 2_000) and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    with log.open("a") as file:
        file.write("half a li")  # a cut leaves half a line
    code, output, _ = run("check", volume, "--log", log)
    assert code == 0, output
    assert int(output.split()[0]) >= 10


def test_an_interrupted_run_ends_well(volume: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = subprocess.Popen(
        [*GATEPOST, "deliver", volume, "--log", log, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    deadline = time.monotonic() + 20
    while (not log.exists() or log.stat().st_size < 500) and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    output, _ = child.communicate(timeout=30)
    assert child.returncode == 0
    assert json.loads(output)["messages"] == run_noted(volume, log)


def run_noted(volume: Path, log: Path) -> int:
    return int(json.loads(run("check", volume, "--log", log, "--json")[1])["noted"])


def test_trouble_of_the_volume_is_temporary(volume: Path, tmp_path: Path) -> None:
    (volume / FOLDER).write_bytes(b"in the way")
    assert run("deliver", volume, "--log", tmp_path / "log")[0] == 4
    assert run("check", volume, "--log", tmp_path / "log")[0] == 4


def test_logs_that_do_not_fit(volume: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("something else\n")
    code, _, errors = run("deliver", volume, "--log", log)
    assert (code, "another run" in errors) == (4, True)
    assert run("check", volume, "--log", log)[0] == 2
    assert run("deliver", volume, "--log", log, "--count", 0)[0] == 2


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("nfs4", "rw,soft,vers=4.2", "hard"),
        ("nfs4", "rw,hard", ""),
        ("tmpfs", "rw", "memory"),
        ("ext4", "rw,nobarrier", "barriers"),
        ("xfs", "rw", ""),
    ],
)
def test_doubtful_mounts(kind: str, options: str, said: str) -> None:
    doubts = Mount(kind, tuple(options.split(","))).doubts
    assert bool(doubts) == bool(said)
    assert said in "".join(doubts)


def test_the_mount_of_a_folder() -> None:
    assert mount_of(Path("/proc/self")).kind == "proc"
    assert os.path.ismount("/proc")
