"""gatepost selftest where something is broken: it says what, skips what cannot be done, and takes away what it made."""

from __future__ import annotations

import fcntl
import imaplib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import RunningDemo, eventually, has_whole_copy
from in_process import run
from test_selftest import left_behind, selftest

from gateway.config.load import load
from gateway.control.client import ControlError, call
from gateway.files.drop import DropEnvelope, leave
from gateway.service import overview
from gateway.service.selftest.case import CASES, GROUPS, Result
from gateway.service.selftest.run import Run

pytestmark = pytest.mark.xdist_group("selftest-trouble")
PASSWORD = "jane-demo-password\n"


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """A demo of its own: what is broken here must not disturb others."""
    running = RunningDemo(tmp_path_factory.mktemp("broken"))
    yield running
    running.stop()


def by_name(results: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {result["name"]: result for result in results}


def start(demo: RunningDemo, *words: str) -> subprocess.Popen[str]:
    """A self-test as a process, past the making of its entries."""
    command = [sys.executable, "-m", "gateway", "selftest", *words, "--config", demo.facts["config_file"]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("entries") and " ok " in line, line
    return process


def settled(demo: RunningDemo) -> dict[str, int]:
    """Processes by name, once those of before a reload are gone."""
    found: dict[str, int] = {}

    def look() -> bool:
        shown = overview.read(demo.folder / "run")
        children = shown.children if shown is not None else ()
        found.update((each.name, each.pid) for each in children)
        return bool(children) and all(each.ready and not each.passing for each in children)

    eventually(look)
    return found


def domains(demo: RunningDemo) -> list[str]:
    """Those of self-tests."""
    return [line.split()[0] for line in run(demo, "domain", "list")[1].splitlines() if "selftest" in line]


def test_a_queue_runner_that_stands_still(broken: RunningDemo) -> None:
    with configured(broken, {"processes": {"heartbeat": "60s"}}):  # or the master would mend it under way
        pid = settled(broken)["queue"]
        os.kill(pid, signal.SIGSTOP)
        try:
            while_it_stands_still(broken)
        finally:
            os.kill(pid, signal.SIGCONT)
        eventually(lambda: _answers(broken))
        code, results = selftest(broken, "steps")
        assert code == 0, results
        assert left_behind(broken) == []


def while_it_stands_still(demo: RunningDemo) -> None:
    begin = time.monotonic()
    code, results = selftest(demo, "remote", "remote-later", "user-agent")
    took = time.monotonic() - begin
    found = by_name(results)
    assert code == 1
    assert found["remote"]["outcome"] == "FAILED"
    assert "received, queued, accepted" in found["remote"]["came"]
    assert "the queue runner does not answer" in found["remote"]["advice"]
    assert "gatepost ps" in found["remote"]["advice"]
    assert found["remote-later"]["outcome"] == "FAILED"
    assert found["remote-later"]["seconds"] < found["remote"]["seconds"], "the second one does not wait as long"
    assert found["user-agent"]["outcome"] == "ok", "what needs no queue works"
    assert found["clean"]["outcome"] == "FAILED"
    assert "the next gatepost selftest tries again" in found["clean"]["advice"]
    assert took < 60
    assert json.loads(run(demo, "queue", "list", "--json")[1]) == [], "nothing is sent when it wakes up"
    assert len(domains(demo)) == 1, "the domain tells the next run"


def _answers(demo: RunningDemo) -> bool:
    return run(demo, "queue", "flush")[0] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_takes_everything_away(broken: RunningDemo, number: int) -> None:
    process = start(broken)
    time.sleep(0.4)
    process.send_signal(number)
    output, _ = process.communicate(timeout=40)
    assert process.returncode == 1, output
    assert re.search(r"^clean +ok .*\ninterrupted: ", output, re.MULTILINE), output
    assert len(output.splitlines()) < len(CASES), output
    assert left_behind(broken) == []


def test_what_a_killed_run_left_is_taken_away_by_the_next(broken: RunningDemo) -> None:
    process = start(broken)
    time.sleep(0.5)
    process.kill()
    process.communicate(timeout=20)
    assert domains(broken), "it had no time to take anything away"
    code, results = selftest(broken, "steps")
    assert code == 0, results
    assert left_behind(broken) == []


def test_one_at_a_time(broken: RunningDemo) -> None:
    assert selftest(broken, "tls")[0] == 0
    with (broken.folder / "run" / "selftest.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, text = run(broken, "selftest", "steps")
        assert code == 4
        assert "another self-test runs" in text
    assert selftest(broken, "tls")[0] == 0


def test_a_list_that_somebody_deletes_meanwhile(broken: RunningDemo) -> None:
    results: list[Result] = []

    def tell(result: Result) -> None:
        results.append(result)
        if result.name == "entries":
            (name,) = domains(broken)
            assert run(broken, "list", "delete", f"list@{name}", "--yes")[0] == 0

    path = Path(broken.facts["config_file"])
    Run(load(path), path, [CASES["list"], CASES["steps"]], tell).run()
    found = {result.name: result for result in results}
    assert found["list"].outcome == "FAILED"
    assert found["list"].came.startswith("550 5.1.1")
    assert found["list"].expected.startswith("250 for RCPT TO:<list@")
    assert "gatepost doctor address list@" in found["list"].advice
    assert (found["steps"].outcome, found["clean"].outcome) == ("ok", "ok")
    assert left_behind(broken) == []


@contextmanager
def configured(demo: RunningDemo, changes: dict[str, Any]) -> Iterator[None]:
    """The demo with other values in sections of its configuration."""
    path = Path(demo.facts["config_file"])
    before = path.read_text()
    sections = yaml.safe_load(before)
    for section, values in changes.items():
        sections[section] = {**sections.get(section, {}), **values}
    path.write_text(yaml.safe_dump(sections))
    try:
        code, text = run(demo, "reload")
        assert code == 0, text
        eventually(lambda: has_whole_copy(path))
        yield
    finally:
        path.write_text(before)
        assert run(demo, "reload")[0] == 0
        settled(demo)
        eventually(lambda: has_whole_copy(path))


def test_what_was_left_in_the_drop_folder_is_taken_back(broken: RunningDemo) -> None:
    path = Path(broken.facts["config_file"])
    drop = broken.folder / "state" / "spool" / "drop"
    leave(drop, DropEnvelope("someone@example.com", ("jane@example.com",)), [b"Subject: another's\n\nx\n"])
    subject = f"in the drop folder {time.time_ns()}"

    def tell(result: Result) -> None:
        if result.name == "steps":
            (name,) = domains(broken)
            head = f"X-Gatepost-Selftest: {name.removesuffix('.invalid')}\nSubject: {subject}\n\nx\n".encode()
            leave(drop, DropEnvelope(f"me@{name}", ("jane@example.com",)), [head])

    Run(load(path), path, [CASES["steps"]], tell).run()
    assert not [one for one in drop.iterdir() if subject.encode() in one.read_bytes()]
    assert run(broken, "queue", "flush")[0] == 0
    with client(broken) as imap:
        imap.select("INBOX", readonly=True)
        assert imap.search(None, "SUBJECT", f'"{subject}"')[1] == [b""], "nobody gets it"
    others = [one for one in drop.iterdir() if b"another's" in one.read_bytes()]
    assert others or trace_has(broken, "someone@example.com"), "what others left stays, or was taken by the service"


def trace_has(demo: RunningDemo, query: str) -> bool:
    return run(demo, "trace", query)[0] == 0


def test_no_place_for_lists(broken: RunningDemo) -> None:
    """Where one kind of entry cannot be made, the tests that need none of it are done."""
    with configured(broken, {"directory": {"places": {"lists": "ou=nowhere"}}}):
        code, results = selftest(broken, "list", "steps")
    assert code == 0
    assert [(r["name"], r["outcome"]) for r in results] == [
        ("entries", "skipped"), ("entries", "ok"), ("steps", "ok"), ("list", "skipped"), ("clean", "ok"),
    ]  # fmt: skip
    assert "a mailing list: the directory has no such entry, or no such place for it" in results[0]["reason"]
    assert results[3]["reason"] == "no list could be made"
    assert left_behind(broken) == []


@pytest.mark.parametrize("may_bind", [True, False])
def test_a_directory_that_is_read_only(broken: RunningDemo, may_bind: bool) -> None:
    section = yaml.safe_load(Path(broken.facts["config_file"]).read_text())["directory"]
    with configured(broken, {"directory": {"write_bind": section["bind"] if may_bind else {}}}):
        code, results = selftest(broken, "deliver", "tls")
        assert code == 0, "nothing is wrong"
        assert results[0]["name"] == "entries" and results[0]["outcome"] == "skipped"
        wanted = "does not allow cn=gateway" if may_bind else "write_bind"
        assert wanted in results[0]["reason"] and "--login LOGIN" in results[0]["reason"]
        found = by_name(results)
        assert "clean" not in found, "nothing was made"
        assert {found[name]["outcome"] for name in GROUPS["deliver"]} == {"skipped"}
        assert {found[name]["reason"] for name in GROUPS["deliver"]} == {"no account could be made"}
        assert found["tls"]["outcome"] == "ok"
        code, _ = selftest(broken, "steps")
        assert code == 1, "nothing was tested"
        if may_bind:
            with_a_person(broken)


def with_a_person(demo: RunningDemo) -> None:
    code, results = selftest(demo, "--login", "jane", given=PASSWORD)
    assert code == 0, results
    found = by_name(results)
    assert {name for name, one in found.items() if one["outcome"] == "skipped"} == {
        name for name, case in CASES.items() if case.needs - {"person"}
    }
    assert found["bounce"]["reason"] == "it needs entries of its own, which are not made with --login"
    assert all(found[name]["outcome"] == "ok" for name in ("local", "error", "smtp", "user-agent", "idle", "clean"))
    with client(demo) as imap:
        for mailbox in ("INBOX", "Junk"):
            if imap.select(mailbox, readonly=True)[0] == "OK":
                assert imap.search(None, "HEADER", "X-Gatepost-Selftest", "zz")[1] == [b""]


@contextmanager
def client(demo: RunningDemo) -> Iterator[imaplib.IMAP4]:
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as imap:
        imap.login("jane", PASSWORD.strip())
        yield imap


def test_a_wrong_password_and_nobody(broken: RunningDemo) -> None:
    code, results = selftest(broken, "idle", "--login", "jane", given="wrong\n")
    assert code == 1
    assert "lets jane log in" in by_name(results)["idle"]["expected"]
    code, text = run(broken, "selftest", "idle", "--login", "nobody-here", given="x\n")
    assert code == 1
    assert "0 accounts with an address have the login 'nobody-here'" in text


def test_somebody_with_a_catch_all_cannot_test_nobody(broken: RunningDemo) -> None:
    code, results = selftest(broken, "remote-error", "steps", "--login", "lukas", given="lukas-demo-password\n")
    assert code == 0, results
    assert "has a catch-all" in by_name(results)["remote-error"]["reason"]


def test_a_configuration_that_leaves_no_way_to_the_far_end(broken: RunningDemo) -> None:
    with configured(broken, {"relay": {"routes": {".invalid": "127.0.0.1:9"}}, "trace": {"keep": 0}}):
        code, results = selftest(broken, "remote", "steps", "smtp")
    found = by_name(results)
    assert code == 0, results
    assert "relay.routes sends it to 127.0.0.1:9" in found["remote"]["reason"]
    assert "trace.keep is 0" in found["steps"]["reason"]
    assert found["smtp"]["outcome"] == "ok"


def test_a_certificate_for_another_name(broken: RunningDemo) -> None:
    path = Path(broken.facts["config_file"])
    before = path.read_text()
    path.write_text(yaml.safe_dump(yaml.safe_load(before) | {"hostname": "mail.example.net"}))
    try:
        code, results = selftest(broken, "tls")
    finally:
        path.write_text(before)
    assert code == 1
    (result,) = results
    assert "valid certificate for mail.example.net" in result["expected"]
    assert "ostname mismatch" in result["came"]
    assert "openssl x509" in result["advice"]


def test_a_postmaster_who_is_gone(broken: RunningDemo) -> None:
    for words in (
        ("domain", "add", "lonely.example"),
        ("user", "add", "gone", "--name", "Gone", "--address", "gone@lonely.example"),
        ("alias", "add", "postmaster@lonely.example", "gone"),
        ("user", "delete", "gone", "--yes"),
    ):
        assert run(broken, *words)[0] == 0
    try:
        code, text = run(broken, "selftest", "postmaster")
    finally:
        assert run(broken, "alias", "remove", "postmaster@lonely.example", "--yes")[0] == 0
        assert run(broken, "domain", "delete", "lonely.example", "--yes")[0] == 0
    assert code == 1, text
    lines = text.splitlines()
    assert re.match(r"postmaster +FAILED +\d+ ms$", lines[1])
    assert lines[2] == "    expected  somebody reads postmaster@lonely.example (RFC 5321 4.5.1)"
    assert lines[3].startswith("    came      4")
    assert lines[4].startswith("    next      gatepost alias add postmaster@lonely.example LOGIN")
    assert lines[-1].startswith("1 FAILED (")


def test_only_stores_of_self_tests_are_removed(broken: RunningDemo) -> None:
    for domain, code in (("example.com", 2), ("zz-gatepost-selftest-00000000ffff.invalid", 0)):
        try:
            call(Path(broken.facts["control_socket"]).parent / "mail.sock", "selftest-clean", domain=domain)
        except ControlError as error:
            assert (error.code, "not the domain of a self-test" in str(error)) == (code, True)
        else:
            assert code == 0
    with client(broken) as imap:
        assert imap.select("INBOX", readonly=True)[0] == "OK"


def test_a_service_that_does_not_run(broken: RunningDemo, tmp_path: Path) -> None:
    path = Path(broken.facts["config_file"])
    before = path.read_text()
    path.write_text(yaml.safe_dump(yaml.safe_load(before) | {"run_dir": str(tmp_path)}))
    try:
        code, text = run(broken, "selftest")
    finally:
        path.write_text(before)
    assert code == 4
    assert "is the service running?" in text
