"""Policies and counts outlive the process."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from gateway.deliver.mta_sts import StsPolicy
from gateway.deliver.tls_store import Sessions, TlsStore

DAY = "2026-11-24"
NOON = 1795521600.0


def test_policies_and_counts_outlive_the_process(tmp_path: Path) -> None:
    now = NOON
    store = TlsStore(tmp_path / "tls.db", lambda: now)
    policy = StsPolicy("a1", "enforce", ("one.far.example",), 86400, now)
    store.keep_policy("far.example", policy)
    for result in ("success", "success", "starttls-not-supported"):
        store.count("far.example", "sts", "enforce a1", "one.far.example", result)
    store.close()
    store = TlsStore(tmp_path / "tls.db", lambda: now)
    assert store.policy("far.example") == policy and store.policy("other.example") is None
    store.count("far.example", "sts", "enforce a1", "one.far.example", "success")
    assert [each.number for each in store.sessions(DAY)] == [1, 2]
    now += 61
    store.count("far.example", "no-policy-found", "", "one.far.example", "success")
    assert store.sessions(DAY) == [
        Sessions(DAY, "far.example", "no-policy-found", "", "one.far.example", "success", 1),
        Sessions(DAY, "far.example", "sts", "enforce a1", "one.far.example", "starttls-not-supported", 1),
        Sessions(DAY, "far.example", "sts", "enforce a1", "one.far.example", "success", 3),
    ]
    now += 40 * 86400
    store.count("far.example", "no-policy-found", "", "one.far.example", "success")
    store.flush()
    assert store.sessions(DAY) == [] and store.policy("far.example") is None
    store.close()


def test_a_damaged_file_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "tls.db").write_bytes(b"no database" * 1000)
    store = TlsStore(tmp_path / "tls.db", lambda: NOON)
    store.count("far.example", "sts", "", "h", "success")
    store.flush()
    assert len(store.sessions(DAY)) == 1
    store.close()


def test_a_full_disk_and_a_newer_file_stop_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = TlsStore(tmp_path / "tls.db", lambda: NOON)
    other = sqlite3.connect(tmp_path / "tls.db", isolation_level=None)
    policy = StsPolicy("a1", "enforce", ("one.far.example",), 86400, NOON)
    other.execute("DROP TABLE session")
    other.execute("DROP TABLE policy")
    store.count("far.example", "sts", "", "h", "success")
    store.keep_policy("far.example", policy)
    assert store.policy("far.example") is None
    store.close()
    assert caplog.text.count("event=tls-store-failed") == 3
    other.execute("PRAGMA user_version=99")
    other.close()
    for path in (tmp_path / "tls.db", tmp_path / "gone" / "tls.db"):
        kept = TlsStore(path, lambda: NOON)
        kept.keep_policy("far.example", policy)
        assert kept.policy("far.example") == policy and "event=tls-store-in-memory" in caplog.text
        kept.close()
        caplog.clear()
    with contextlib.closing(sqlite3.connect(tmp_path / "tls.db")) as again:
        assert again.execute("PRAGMA user_version").fetchone() == (99,)
