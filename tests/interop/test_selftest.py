"""gatepost selftest on a demo as it comes: every test passes, and nothing is left of it."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from conftest import RunningDemo, eventually
from in_process import run

from gateway.service.selftest.case import CASES, GROUPS

pytestmark = pytest.mark.xdist_group("selftest")


def selftest(demo: RunningDemo, *words: str, given: str = "") -> tuple[int, list[dict[str, Any]]]:
    """Exit code and results."""
    code, text = run(demo, "selftest", *words, "--json", given=given)
    assert text.startswith("{") or "{" in text, text
    told = json.loads(text[text.index("{") :])
    assert told["whole"]
    results = told["tests"]
    assert isinstance(results, list)
    return code, results


def left_behind(demo: RunningDemo) -> list[str]:
    """Everything that bears a self-test's name: entries, stores, queued messages, rows of the index."""
    found = [line for line in run(demo, "domain", "list")[1].splitlines() if "selftest" in line]
    with demo.administrator() as admin:
        admin.search(demo.facts["directory"]["base"], "(|(uid=*selftest*)(cn=*selftest*))", attributes=[])
        assert admin.result["result"] == 0
        found += [entry["dn"] for entry in admin.response]
    found += [m["id"] for m in json.loads(run(demo, "queue", "list", "--json")[1]) if "selftest" in json.dumps(m)]
    for path in (demo.folder / "mail").rglob(".gatepost-account"):
        found += [str(path)] if "selftest" in path.read_text() else []
    for path in (demo.folder / "mail").rglob("cur/*"):
        found += [str(path)] if b"X-Gatepost-Selftest" in path.read_bytes() else []
    state = Path(demo.facts["state_dir"])
    found += [str(path) for path in (*(state / "index").glob("*.db"), *state.glob("*.db")) if _has_rows(path)]
    return found


def _has_rows(path: Path) -> bool:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall():
            # the journal of changes is for ever
            if table != "journal" and any("selftest" in str(row) for row in db.execute(f"SELECT * FROM {table}")):
                return True
    return False


def test_everything_is_ok_and_nothing_is_left(demo: RunningDemo) -> None:
    code, results = selftest(demo)
    assert [(r["name"], r["outcome"]) for r in results] == [
        ("entries", "ok"), *((name, "ok") for name in CASES), ("clean", "ok"),
    ], results  # fmt: skip
    assert code == 0
    eventually(lambda: left_behind(demo) == [], 20)  # the queue's rows of what is gone go a second later
    assert sum(r["seconds"] for r in results) < 60


def test_a_group_and_a_test_run_alone_with_a_line_each(demo: RunningDemo) -> None:
    code, text = run(demo, "selftest", "receive", "tls")
    assert code == 0, text
    lines = text.splitlines()
    names = ["entries", *GROUPS["receive"], "tls", "clean"]
    assert [line.split()[0] for line in lines[:-1]] == [name for name in ["entries", *CASES, "clean"] if name in names]
    for line in lines[:-1]:
        assert re.match(r"\S+ +ok +\d+ ms", line), line
    assert re.fullmatch(rf"{len(names) - 2} ok \([\d.]+ s\)", lines[-1])


def test_tls_alone_touches_no_directory(demo: RunningDemo) -> None:
    before = run(demo, "directory", "journal")[1]
    code, results = selftest(demo, "tls")
    assert (code, [r["name"] for r in results]) == (0, ["tls"])
    assert "7 listeners" in results[0]["note"]
    assert run(demo, "directory", "journal")[1] == before


def test_which_tests_there_are(demo: RunningDemo) -> None:
    code, text = run(demo, "selftest", "--list")
    assert code == 0
    assert [line.split()[0] for line in text.splitlines()] == list(CASES)
    assert all(len(line.split()) > 3 for line in text.splitlines())
    code, text = run(demo, "selftest", "nonsense")
    assert code == 2
    assert "'nonsense': there is deliver, receive, local" in text


@pytest.mark.parametrize("name", ["doublebounce", "list"])
def test_each_test_stands_alone(demo: RunningDemo, name: str) -> None:
    code, results = selftest(demo, name)
    assert (code, [r["outcome"] for r in results]) == (0, ["ok"] * 3), results
