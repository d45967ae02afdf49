"""Policies and counts outlive the process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from scripted_dns import scripted_dns
from scripted_smtp import scripted_smtp
from sending import parcel, told

from directory.model import Deferred
from gateway.cli.queue import command
from gateway.config.load import load
from gateway.deliver.mta_sts import StsPolicy
from gateway.deliver.tls_store import MAX_WAITING, Sessions, TlsStore, day_of, seen
from gateway.route.next_hop import NextHop
from gateway.service import outbound

DAY = "2026-11-24"
NOON = 1795521600.0


def opened(path: Path, clock: Callable[[], float] = lambda: NOON) -> TlsStore:
    return TlsStore(path, clock, lambda: None)


def test_policies_and_counts_outlive_the_process(tmp_path: Path) -> None:
    now = NOON
    store = opened(tmp_path / "tls.db", lambda: now)
    policy = StsPolicy("a1", "enforce", ("one.far.example",), 86400, now)
    store.keep_policy("far.example", policy)
    for result in ("success", "success", "starttls-not-supported"):
        store.count("far.example", "sts", "enforce a1", "one.far.example", result)
    store.close()
    store = opened(tmp_path / "tls.db", lambda: now)
    assert store.policy("far.example") == policy and store.policy("other.example") is None
    store.count("far.example", "sts", "enforce a1", "one.far.example", "success")
    assert [each.connections for each in seen(tmp_path / "tls.db", DAY)] == [1, 2]
    store.count("far.example", "no-policy-found", "", "one.far.example", "success")
    store.flush()
    assert seen(tmp_path / "tls.db", DAY) == [
        Sessions(DAY, "far.example", "no-policy-found", "", "one.far.example", "success", 1),
        Sessions(DAY, "far.example", "sts", "enforce a1", "one.far.example", "starttls-not-supported", 1),
        Sessions(DAY, "far.example", "sts", "enforce a1", "one.far.example", "success", 3),
    ]
    now += 40 * 86400
    store.count("far.example", "no-policy-found", "", "one.far.example", "success")
    store.flush()
    assert [each.day for each in seen(tmp_path / "tls.db", DAY)] == ["2027-01-03"] and store.policy(
        "far.example"
    ) is None
    store.close()


def test_a_damaged_file_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "tls.db").write_bytes(b"no database" * 1000)
    store = opened(tmp_path / "tls.db")
    store.count("far.example", "sts", "", "h", "success")
    store.flush()
    assert len(seen(tmp_path / "tls.db", DAY)) == 1
    store.close()


def test_a_full_disk_and_a_newer_file_stop_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = opened(tmp_path / "tls.db")
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
        kept = opened(path)
        kept.keep_policy("far.example", policy)
        assert kept.policy("far.example") == policy and "event=tls-store-in-memory" in caplog.text
        kept.close()
        caplog.clear()
    with contextlib.closing(sqlite3.connect(tmp_path / "tls.db")) as again:
        assert again.execute("PRAGMA user_version").fetchone() == (99,)


def test_counts_wait_for_a_flush_and_no_more_than_so_many(tmp_path: Path) -> None:
    asked: list[int] = []
    store = TlsStore(tmp_path / "tls.db", lambda: NOON, lambda: asked.append(1))
    for number in range(MAX_WAITING - 1):
        store.count(f"{number}.example", "no-policy-found", "", "h", "success")
    assert asked == [1] and seen(tmp_path / "tls.db", DAY) == []
    store.count("last.example", "no-policy-found", "", "h", "success")
    assert len(seen(tmp_path / "tls.db", DAY)) == MAX_WAITING
    store.count("last.example", "no-policy-found", "", "h", "success")
    assert asked == [1, 1]
    store.close()


CONFIGURATION = """state_dir: {dir}
run_dir: {dir}
directory: {{servers: ["ldap://127.0.0.1:1"], base: "o=x", bind: {{dn: "cn=x", password_file: {dir}/password}}}}
store: {{volumes: {{main: {{path: {dir}}}}}}}
"""


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "gatepost.yaml"
    path.write_text(CONFIGURATION.format(dir=tmp_path))
    return path


def told_of(configuration: Path, *words: str) -> Result:
    return CliRunner().invoke(command, ["tls", *words, "--config", str(configuration)])


def test_a_connection_is_told_of_a_moment_later(configuration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though no other one follows."""
    monkeypatch.setattr(outbound, "FLUSH_SECONDS", 0.05)
    zone = {"far.example MX": ["10 one.far.example."], "one.far.example A": ["127.0.0.1"]}
    with scripted_smtp() as host, scripted_dns(zone) as dns:
        with configuration.open("a") as file:
            file.write(f"relay: {{allow_private: true}}\ndns: {{servers: ['{dns.server}']}}\n")

        async def story() -> None:
            ways = outbound.Outbound(load(configuration))
            assert told(await ways.courier(NextHop("mx", "far.example", host.port)).deliver(parcel())) == ["taken"]
            deadline = time.monotonic() + 10
            while not (text := told_of(configuration, "--json").stdout).startswith("[{"):
                assert time.monotonic() < deadline, text
                await asyncio.sleep(0.02)
            await ways.close()

        asyncio.run(story())
    (facts,) = json.loads(told_of(configuration, "--json").stdout)
    assert facts.pop("day") in (day_of(time.time()), day_of(time.time() - 60))
    assert facts == {
        "domain": "far.example", "kind": "no-policy-found", "policy": "", "host": "one.far.example",
        "result": "starttls-not-supported", "connections": 1,
    }  # fmt: skip


def test_what_was_counted_as_a_person_reads_it(configuration: Path) -> None:
    now = time.time()
    path = configuration.parent / "tls.db"
    assert "no connections since " in told_of(configuration).output
    for days, domain, kind, policy, result in (
        (9, "old.example", "sts", "enforce a1", "success"),
        (1, "far.example", "sts", "enforce a1", "certificate-expired"),
        (1, "far.example", "sts", "enforce a1", "success"),
        (0, "other.example", "tlsa", f"3 1 1 {'ab' * 32}", "success"),
        (0, "bücher.example", "no-policy-found", "", "success"),
    ):
        store = opened(path, lambda days=days: now - days * 86400)  # type: ignore[misc]
        store.count(domain.encode("idna").decode(), kind, policy, f"mx.{domain}", result)
        store.close()
    lines = told_of(configuration).output.splitlines()
    assert lines[0].split() == ["day", "domain", "policy", "host", "result", "connections"]
    today, before = day_of(now), day_of(now - 86400)
    assert [line.split() for line in lines[1:]] == [
        [before, "far.example", "MTA-STS", "enforce", "a1", "mx.far.example", "certificate-expired", "1"],
        [before, "far.example", "MTA-STS", "enforce", "a1", "mx.far.example", "success", "1"],
        [today, "other.example", "DANE", "mx.other.example", "success", "1"],
        [today, "xn--bcher-kva.example", "none", "mx.bücher.example", "success", "1"],
    ]

    def domains(*words: str) -> list[str]:
        return [each["domain"] for each in json.loads(told_of(configuration, *words, "--json").output)]

    assert domains("--days", "10")[-1] == "old.example"
    assert domains("--failed") == ["far.example"] and domains("Bücher.example") == ["xn--bcher-kva.example"]
    assert domains("--days", "1") == domains("--limit", "2") == ["other.example", "xn--bcher-kva.example"]
    assert told_of(configuration, "--limit", "2").output.endswith("... and older ones (--limit)\n")
    assert "no failed connections to other.example since " in told_of(configuration, "other.example", "--failed").output
    for wrong in (("a b",), ("--days", "0"), ("--days", "31")):
        assert told_of(configuration, *wrong).exit_code == 2
    path.write_bytes(b"no database" * 1000)
    trouble = told_of(configuration).exception
    assert isinstance(trouble, Deferred) and str(path) in trouble.detail
