"""The life of the processes: reload under load, a broken configuration, a process that hangs, a master that is killed."""

from __future__ import annotations

import contextlib
import imaplib
import json
import os
import signal
import smtplib
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from conftest import GATEPOST, RunningDemo, eventually
from in_process import answer
from prometheus_client.parser import text_string_to_metric_families

from gateway.service.overview import Processes, read

pytestmark = pytest.mark.xdist_group("processes")
CHILDREN = 5  # two workers, agent, queue, spawner
RELOADS = 5
CLIENTS = 6


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    running = RunningDemo(tmp_path_factory.mktemp("processes"))
    yield running
    running.stop()


def shown(demo: RunningDemo) -> Processes:
    found = read(demo.folder / "run")
    assert found is not None
    return found


def change(demo: RunningDemo, **sections: object) -> None:
    path = demo.folder / "gatepost.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | sections))


def reload(demo: RunningDemo) -> Processes:
    before = shown(demo).reloads
    os.kill(demo.facts["pids"]["master"], signal.SIGHUP)
    eventually(lambda: shown(demo).reloads > before)
    return shown(demo)


def pid_of(demo: RunningDemo, name: str) -> int:
    return next(each.pid for each in shown(demo).children if each.name == name and each.ready and not each.passing)


def test_a_reload_under_load_resets_no_connection(company: RunningDemo) -> None:
    done, problems, stop = [0, 0], [], threading.Event()

    def smtp() -> None:
        with smtplib.SMTP("127.0.0.1", company.port("mx"), timeout=20) as client:
            client.sendmail("me@elsewhere.example", ["jane@example.com"], b"Subject: load\r\n\r\nx\r\n")
        done[0] += 1

    def imap() -> None:
        client = imaplib.IMAP4("127.0.0.1", company.port("imap"), timeout=20)
        client.login("jane", "jane-demo-password")
        client.select("INBOX", readonly=True)
        client.logout()
        done[1] += 1

    def hammer(one: Callable[[], None]) -> None:
        while not stop.is_set():
            try:
                one()
            except (OSError, smtplib.SMTPException, imaplib.IMAP4.error) as error:
                problems.append(repr(error))

    threads = [threading.Thread(target=hammer, args=(one,)) for one in (smtp, imap) for _ in range(CLIENTS // 2)]
    for thread in threads:
        thread.start()
    first = pid_of(company, "worker-0")
    agent = pid_of(company, "agent")
    for number in range(RELOADS):
        # a changed configuration replaces agent and queue runner too
        change(company, auth={"plaintext": "loopback"}, queue={"concurrency_local": 10 + number})
        assert reload(company).reload_problem == ""
        time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join(30)
    print(f"\n{RELOADS} reloads, {done[0]} messages and {done[1]} IMAP sessions, {len(problems)} lost")
    assert problems == [], (company.folder / "demo.log").read_text()[-6000:]
    assert min(done) > RELOADS
    assert pid_of(company, "worker-0") != first
    assert pid_of(company, "agent") != agent


def test_a_reload_takes_new_values_and_sockets_and_leaves_old_sessions_alone(company: RunningDemo) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    listen = yaml.safe_load((company.folder / "gatepost.yaml").read_text())["listen"]
    old = imaplib.IMAP4("127.0.0.1", company.port("imap"), timeout=20)
    old.login("jane", "jane-demo-password")
    more = {**listen, "mx": [*listen["mx"], {"port": port, "tls": "none"}]}
    change(company, hostname="renamed.example", workers=3, listen=more, processes={"drain_timeout": "2s"})
    assert reload(company).reload_problem == ""
    assert {each.name for each in shown(company).children} >= {"worker-0", "worker-1", "worker-2"}
    for number in (company.port("mx"), port):
        with smtplib.SMTP("127.0.0.1", number, timeout=20) as client:
            assert client.ehlo()[1].startswith(b"renamed.example")
    assert old.noop()[0] == "OK"
    change(company, hostname="localhost", workers=2, listen=listen)
    assert reload(company).reload_problem == ""
    eventually(lambda: len([each for each in shown(company).children if not each.passing]) == CHILDREN)
    for _ in range(20):  # the third worker's sockets are served by the others
        with smtplib.SMTP("127.0.0.1", company.port("mx"), timeout=20) as client:
            assert client.noop()[0] == 250
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)
    with contextlib.suppress(OSError):
        old.shutdown()


def test_sessions_of_the_old_configuration_end_at_the_drain_limit(company: RunningDemo) -> None:
    change(company, processes={"drain_timeout": "1s", "heartbeat": "1s"})
    reload(company)
    client = imaplib.IMAP4("127.0.0.1", company.port("imap"), timeout=20)
    mail = smtplib.SMTP("127.0.0.1", company.port("mx"), timeout=20)
    eventually(lambda: sum(each.sessions for each in shown(company).children if not each.passing) >= 2)
    reload(company)
    assert client.noop()[0] == "OK"
    assert mail.noop()[0] == 250
    took = eventually(lambda: not any(each.passing for each in shown(company).children))
    print(f"\nold processes gone {took:.1f} s after the reload, limit 1 s")
    assert client.readline().startswith(b"* BYE")
    assert mail.getreply()[0] == 421
    client.shutdown()
    mail.close()


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"workers": 0}, "workers: '0' is not a whole number from 1 to 64"),
        ({"state_dir": "/somewhere/else"}, "state_dir changes only with a restart"),
        ({"listen": {"mx": [{"port": 1, "address": "192.0.2.1"}]}}, "mx: 192.0.2.1:1: "),
    ],
)
def test_a_broken_configuration_changes_nothing(company: RunningDemo, broken: dict[str, object], said: str) -> None:
    path = company.folder / "gatepost.yaml"
    good, pid = path.read_text(), pid_of(company, "worker-0")
    try:
        change(company, **broken)
        assert said in reload(company).reload_problem
        assert said in (company.folder / "demo.log").read_text()
    finally:
        path.write_text(good)
    assert pid_of(company, "worker-0") == pid
    with smtplib.SMTP("127.0.0.1", company.port("mx"), timeout=20) as client:
        assert client.noop()[0] == 250


def test_a_worker_that_hangs_is_replaced(company: RunningDemo) -> None:
    change(company, processes={"heartbeat": "200ms"})
    reload(company)
    eventually(lambda: len(shown(company).children) == CHILDREN)
    for name in ("worker-1", "agent", "queue"):
        pid = pid_of(company, name)
        os.kill(pid, signal.SIGSTOP)
        took = eventually(
            lambda pid=pid, name=name: any(  # type: ignore[misc]
                each.name == name and each.ready and each.pid != pid for each in shown(company).children
            )
        )
        print(f"\n{name} replaced {took:.2f} s after it stopped; three heartbeats are 0.60 s")
        eventually(lambda pid=pid: not Path(f"/proc/{pid}").exists())  # type: ignore[misc]
    assert "child-hangs child=worker-1" in (company.folder / "demo.log").read_text()
    change(company, processes={})
    reload(company)
    client = imaplib.IMAP4("127.0.0.1", company.port("imap"), timeout=20)
    client.login("jane", "jane-demo-password")
    client.logout()


def test_the_master_has_no_thread_loop_or_database(company: RunningDemo) -> None:
    process = Path(f"/proc/{shown(company).master}")
    assert len(list((process / "task").iterdir())) == 1
    files = [os.readlink(each) for each in (process / "fd").iterdir() if each.exists() or each.is_symlink()]
    for name in ("eventpoll", ".db", ".mdb", "io_uring"):
        assert not [each for each in files if name in each]
    assert ".mdb" not in (process / "maps").read_text()
    state = str(company.folder / "state")
    assert not [each for each in files if each.startswith(state)]


def test_children_of_a_killed_master_end(tmp_path: Path) -> None:
    demo = RunningDemo(tmp_path)
    pids = [each.pid for each in shown(demo).children]
    os.kill(demo.facts["pids"]["master"], signal.SIGKILL)
    took = eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    print(f"\nall processes gone {took:.2f} s after the master was killed")
    assert read(tmp_path / "run") is None
    for name in ("slapd", "sink"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(demo.facts["pids"][name], signal.SIGTERM)


def test_the_verbs_of_a_running_service(company: RunningDemo) -> None:
    config = ("--config", company.facts["config_file"])
    assert answer("reload", *config).stdout == "reloaded\n"
    rows = json.loads(answer("ps", "--json", *config).stdout)
    assert {"master", "agent", "queue", "worker-0", "worker-1"} <= {row["name"] for row in rows}
    assert all(row["rss_bytes"] > 1_000_000 and row["uid"] == os.getuid() for row in rows)
    assert "worker-1" in answer("ps", *config).stdout
    done = answer("status", *config)
    assert done.returncode == 0, done.stdout
    assert "agent and workers run as one user" in done.stdout
    state = json.loads(answer("status", "--json", *config).stdout)
    assert all(state[section]["ok"] for section in ("service", "directory", "queue"))
    again = subprocess.run([*GATEPOST, "serve", *config], capture_output=True, text=True, timeout=60)
    assert (again.returncode, "another gatepost runs here" in again.stderr) == (3, True)


def test_reload_says_what_is_wrong(company: RunningDemo) -> None:
    path = company.folder / "gatepost.yaml"
    good = path.read_text()
    try:
        change(company, wokers=3)
        done = answer("reload", "--config", str(path))
        assert (done.returncode, "did you mean workers?" in done.stderr) == (3, True)
        path.write_text(good)
        change(company, listen={"mx": [{"port": 1, "address": "192.0.2.1"}]})
        done = answer("reload", "--json", "--config", str(path))
        assert done.returncode == 3
        assert "192.0.2.1:1" in json.loads(done.stdout)["problem"]
        assert "the last reload was refused: mx: 192.0.2.1:1" in answer("status", "--config", str(path)).stdout
    finally:
        path.write_text(good)
    assert answer("reload", "--config", str(path)).returncode == 0


def http(port: int, request: str) -> tuple[int, str]:
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        sock.sendall(request.encode())
        answer = b""
        while data := sock.recv(65536):
            answer += data
    head, _, body = answer.decode().partition("\r\n\r\n")
    return int(head.split()[1]), body


def figures(port: int) -> dict[tuple[str, ...], float]:
    code, text = http(port, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert code == 200
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_and_health(company: RunningDemo) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    change(company, metrics={"listen": f"127.0.0.1:{port}"}, processes={"heartbeat": "1s"})
    assert reload(company).reload_problem == ""
    before = figures(port)
    for _ in range(3):
        with smtplib.SMTP("127.0.0.1", company.port("mx"), timeout=20) as client:
            client.sendmail("me@elsewhere.example", ["jane@example.com"], b"Subject: count\r\n\r\nx\r\n")
            assert client.docmd("MAIL FROM:<me@elsewhere.example>")[0] == 250
            assert client.docmd("RCPT TO:<nobody-here@example.com>")[0] == 550
    reader = imaplib.IMAP4("127.0.0.1", company.port("imap"), timeout=20)
    reader.login("jane", "jane-demo-password")
    wanted = {
        ("gatepost_messages_accepted_total", "mx"): 3,
        ("gatepost_deliveries_total",): 3,
        ("gatepost_recipients_not_taken_total", "refused", "no_such_recipient"): 3,
        ("gatepost_logins_total", "ok", "imap"): 1,
    }
    deadline = time.monotonic() + 30
    while any(figures(port).get(name, 0) < before.get(name, 0) + more for name, more in wanted.items()):
        if time.monotonic() > deadline:
            log = (company.folder / "demo.log").read_text()[-5000:]
            pytest.fail(f"{before}\n{figures(port)}\n{log}")
        time.sleep(0.1)
    now = figures(port)
    assert now["gatepost_directory_complete",] == 1
    assert 0 <= now["gatepost_directory_age_seconds",] < 30
    eventually(lambda: sum(value for name, value in figures(port).items() if name[0] == "gatepost_sessions") >= 1)
    assert now["gatepost_bugs_total",] == 0
    reader.shutdown()
    deaths = now.get(("gatepost_process_deaths_total", "worker-0"), 0)
    for name in ("worker-0", "worker-1"):
        os.kill(pid_of(company, name), signal.SIGKILL)
        eventually(
            lambda: len([each for each in shown(company).children if each.ready and not each.passing]) == CHILDREN
        )
    eventually(lambda: figures(port).get(("gatepost_process_deaths_total", "worker-0"), 0) == deaths + 1)
    assert figures(port)["gatepost_deliveries_total",] >= now["gatepost_deliveries_total",]
    eventually(lambda: json.loads(http(port, "GET /health HTTP/1.0\r\n\r\n")[1])["degraded"] == [])
    code, body = http(port, "GET /health HTTP/1.0\r\n\r\n")
    assert (code, json.loads(body)["ok"]) == (200, True)
    assert http(port, "HEAD /health HTTP/1.1\r\n\r\n") == (200, "")


@pytest.mark.parametrize(
    ("request_text", "code"),
    [
        ("GET / HTTP/1.1\r\n\r\n", 404),
        ("POST /health HTTP/1.1\r\n\r\n", 405),
        ("nonsense\r\n\r\n", 400),
        ("x" * 9000, 400),
        ("EHLO me\r\n\r\n", 400),
    ],
)
def test_bad_requests_for_metrics(company: RunningDemo, request_text: str, code: int) -> None:
    configured = yaml.safe_load((company.folder / "gatepost.yaml").read_text()).get("metrics")
    if configured is None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            configured = {"listen": f"127.0.0.1:{probe.getsockname()[1]}"}
        change(company, metrics=configured)
        assert reload(company).reload_problem == ""
    assert http(int(configured["listen"].rpartition(":")[2]), request_text)[0] == code
