"""Figures: sums over processes that never go down, and what `/health` makes of a state."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.observe import metrics
from gateway.observe.metrics import ACCEPTED, COUNTERS, DELIVERED
from gateway.service.metrics import health
from gateway.service.metrics_files import Publisher, clear, collect, volumes_down

ROOT = Path(__file__).resolve().parents[3]


def write(folder: Path, name: str, number: int) -> None:
    (folder / "metrics").mkdir(exist_ok=True)
    (folder / "metrics" / f"{name}.json").write_text(json.dumps([[["deliveries"], number]]))


@pytest.fixture(autouse=True)
def nothing_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "counted", {})


def test_what_ended_processes_have_counted_stays(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    write(tmp_path, ended.stdout.strip(), 5)
    write(tmp_path, str(os.getppid()), 7)
    write(tmp_path, str(os.getpid()), 1)  # of a process that had our number before us
    write(tmp_path, "past", 100)
    publisher = Publisher(tmp_path)
    assert collect(tmp_path) == {("deliveries",): 113}
    assert not (tmp_path / "metrics" / f"{ended.stdout.strip()}.json").exists()
    metrics.count(DELIVERED)
    metrics.count(ACCEPTED, "mx", number=2)
    publisher.publish()
    assert collect(tmp_path) == {("deliveries",): 114, ("messages_accepted", "mx"): 2}
    clear(tmp_path)
    assert collect(tmp_path) == {}


def test_damaged_and_missing_files_cost_only_their_own_figures(tmp_path: Path) -> None:
    assert collect(tmp_path / "nowhere") == {}
    write(tmp_path, "1", 3)
    (tmp_path / "metrics" / "2.json").write_text("{")
    assert collect(tmp_path) == {("deliveries",): 3}


def test_a_volume_is_down_for_the_processes_that_found_so(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    for pid, down, up in ((1, 2, 1), (2, 1, 0), (3, 1, 1), (4, 5, 0)):
        rows = [[["volume_downs", "main"], down], [["volume_ups", "main"], up], [["volume_downs", "far"], 0]]
        (tmp_path / "metrics" / f"{pid}.json").write_text(json.dumps(rows))
    assert volumes_down(tmp_path, [1, 2, 3, 99]) == {"main": 2}
    assert volumes_down(tmp_path, [3]) == {}
    assert volumes_down(tmp_path / "nowhere", [1]) == {}


def test_health_is_bad_only_when_the_host_cannot_serve() -> None:
    good = {
        "service": {"ok": True, "serving": True},
        "directory": {"ok": True, "complete": True},
        "queue": {"ok": True},
    }
    assert health(good)[0] == 200
    stale = {**good, "directory": {"ok": False, "complete": True}}
    code, body = health(stale)
    assert (code, json.loads(body)["degraded"]) == (200, ["directory"])
    assert health({**good, "directory": {"ok": False, "complete": False}})[0] == 503
    assert health({**good, "service": {"ok": False, "serving": True}})[0] == 200
    assert health({**good, "service": {"ok": False, "serving": False}})[0] == 503


def test_every_counter_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    for counter in COUNTERS.values():
        assert f"| `gatepost_{counter.name}_total` | {', '.join(counter.labels)}".rstrip() in page, counter.name
