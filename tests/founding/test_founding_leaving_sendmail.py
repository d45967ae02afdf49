"""S9, S48-S51, S53: Sendmail goes gently, and its names are Gatepost's."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import RunningDemo, eventually
from letters import FOUNDING, facts, make_person, offline, outside, verb

from gateway.cli.migrate_drain import stop
from gateway.cli.migrate_found import daemons

pytestmark = [
    FOUNDING,
    pytest.mark.skipif(
        os.getuid() != 0, reason="programs of the host are taken over as root: `sudo make test` runs this"
    ),
]
#: plays Sendmail: -bd is a daemon with a delivery under way, -qf delivers what it can, a message each run
OLD = """#!{python}
import os, pathlib, signal, sys, time
root = pathlib.Path({root!r})
if "-bd" in sys.argv:
    child = os.fork()
    if child == 0:
        while not (root / "delivered").exists():
            time.sleep(0.02)
        (root / "child-ended").write_text("whole")
        os._exit(0)
    (root / "run").mkdir(exist_ok=True)
    (root / "run/sendmail.pid").write_text(f"{{os.getpid()}}\\n{{' '.join(sys.argv)}}\\n")
    while True:
        signal.pause()
assert sys.argv[1:] in (["-qf"], ["-Ac", "-qf"]), sys.argv
queue = root / "var/spool" / ("mqueue-client" if "-Ac" in sys.argv else "mqueue")
with (root / "calls").open("a") as calls:
    print(*sys.argv[1:], file=calls)
for message in sorted(queue.glob("qf*"))[:1]:
    message.unlink()
"""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Path]:
    """A host with Sendmail: daemon, program, queues."""
    for name in ("usr/sbin", "usr/lib", "usr/bin", "var/spool/mqueue", "var/spool/mqueue-client", "etc/rc2.d",
                 "var/lib/dpkg/info", "var/lib/dpkg/updates"):  # fmt: skip
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").touch()
    program = tmp_path / "usr/sbin/sendmail"
    program.write_text(OLD.format(python=sys.executable, root=str(tmp_path)))
    program.chmod(0o2755)
    (tmp_path / "usr/lib/sendmail").symlink_to("../sbin/sendmail")
    (tmp_path / "usr/bin/mailq").symlink_to("../sbin/sendmail")
    for name in (
        "mqueue/qfA1",
        "mqueue/dfA1",
        "mqueue/qfA2",
        "mqueue/dfA2",
        "mqueue-client/qfB1",
        "mqueue-client/dfB1",
    ):
        (tmp_path / "var/spool" / name).touch()
    (tmp_path / "etc/rc2.d/S01sendmail").touch()
    process = subprocess.Popen([str(program), "-bd", "-q15m"])
    try:
        eventually(lambda: list(daemons(tmp_path)))
        yield tmp_path
    finally:
        (tmp_path / "delivered").touch()
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait(10)


def migrate(host: Path, *words: object, code: int = 0) -> str:
    return offline("migrate", "sendmail", "--root", host, "--program", "/opt/gatepost/bin/gatepost", *words, code=code)


def state(host: Path) -> set[tuple[str, int]]:
    return {(str(path), path.lstat().st_mode) for path in host.rglob("*")}


def test_s48_s49_s50_s51_sendmail_goes_gently_and_its_queue_is_delivered(host: Path) -> None:
    # the plan, in its order; nothing is changed
    before = state(host)
    pid = int((host / "run/sendmail.pid").read_text().split()[0])
    plan = migrate(host, code=1)
    assert f"sendmail runs: {pid} (" in plan and "-bd -q15m)" in plan
    orders = ("kill -STOP", "update-rc.d sendmail disable", "mqueue: 2 messages", "mqueue-client: 1 messages", "chmod ug-s",
              "link ")  # fmt: skip
    places = [plan.index(order) for order in orders]
    assert places == sorted(places), plan
    told = json.loads(migrate(host, "--json", code=1))
    assert (told["waiting"], told["drained"]) == (3, False)
    assert state(host) == before
    # not before the queue is empty
    assert "first gatepost migrate sendmail --drain --run" in migrate(host, "--retire", "--run", code=1)
    assert state(host) == before
    # stopped between two deliveries: what the daemon's child has begun is done first
    draining = subprocess.Popen(
        [sys.executable, "-m", "gateway", "migrate", "sendmail", "--root", str(host), "--drain", "--run", "--wait", "0s"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.getcwd()},
    )  # fmt: skip
    eventually(lambda: "\nState:\tT" in Path(f"/proc/{pid}/status").read_text())
    time.sleep(0.3)
    assert not (host / "child-ended").exists()
    (host / "delivered").touch()
    _, said = draining.communicate(timeout=60)
    assert (host / "child-ended").read_text() == "whole"
    assert draining.returncode == 4, said
    assert [said.index(f"kill -{name} {pid}") for name in ("STOP", "TERM", "CONT")] == sorted(
        said.index(f"kill -{name} {pid}") for name in ("STOP", "TERM", "CONT")
    )
    assert "State:\tZ" in Path(f"/proc/{pid}/status").read_text(), "it ended; the test has not waited for it yet"
    # one run delivered one message of each queue; the next ones the rest
    assert "1 messages wait" in said
    assert (host / "calls").read_text().splitlines() == ["-qf", "-Ac -qf"]
    migrate(host, "--drain", code=1)
    migrate(host, "--drain", "--run", "--every", "0s")
    assert list((host / "var/spool").rglob("qf*")) == []
    # now the program: nobody gets more rights by it, and its names are ours
    migrate(host, "--retire", "--run", code=1)
    kept = host / "usr/sbin/sendmail.before-gatepost"
    assert kept.read_text().startswith("#!")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o755
    assert os.readlink(host / "usr/sbin/sendmail") == "/opt/gatepost/bin/gatepost"
    (host / "etc/rc2.d/S01sendmail").unlink()
    assert "TO DO" not in migrate(host)


def test_s48_a_daemon_that_is_busy_goes_on(host: Path) -> None:
    (daemon,) = daemons(host)
    said: list[str] = []
    assert not stop(daemon, said.append, patience=0.3)
    assert said[-1] == f"kill -CONT {daemon.pid}"
    assert "it goes on" in said[-2]
    eventually(lambda: "State:\tS" in Path(f"/proc/{daemon.pid}/status").read_text())
    # a number that somebody else has by now is left alone
    (host / "run/sendmail.pid").write_text(f"{os.getpid()}\n")
    assert list(daemons(host)) == []


@pytest.fixture
def linked(founded: RunningDemo, host: Path) -> Path:
    """The host with Gatepost's links; its configuration is the demo's."""
    program = host / "gatepost"
    program.write_text(f"#!{sys.executable}\nfrom gateway.cli import main\nmain()\n")
    program.chmod(0o755)
    (host / "usr/bin/newaliases").symlink_to("/opt/gone/bin/gatepost")  # of an installation before this one
    offline("setup", "--config", founded.facts["config_file"], "--unit-folder", host / "units", "--links", "--root", host,
            "--program", program)  # fmt: skip
    return host


def call(founded: RunningDemo, host: Path, name: str, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "GATEPOST_CONFIG": founded.facts["config_file"], "PYTHONPATH": os.getcwd()}
    return subprocess.run([str(host / name), *words], input=given, capture_output=True, text=True, timeout=60,
                          env=environment, check=False)  # fmt: skip


def test_s53_links_and_every_option(founded: RunningDemo, linked: Path) -> None:
    jane = make_person(founded, "jane53")
    for name in ("usr/sbin/sendmail", "usr/lib/sendmail", "usr/bin/mailq", "usr/bin/newaliases"):
        assert (linked / name).resolve() == linked / "gatepost", name
    assert not os.path.lexists(linked / "usr/bin/newaliases.before-gatepost")
    assert "diversion of" not in (told := (linked / "var/lib/dpkg/diversions").read_text())
    assert "/usr/sbin/sendmail\n/usr/sbin/sendmail.before-gatepost\n" in told
    assert "nothing to do" in offline(
        "setup", "--config", founded.facts["config_file"], "--unit-folder", linked / "units", "--links", "--root", linked,
        "--program", linked / "gatepost",
    )  # fmt: skip
    old = "usr/lib/sendmail"
    letter = f"To: {jane.address}\nSubject: s53 {{}}\n\n.\nbody\n"
    assert call(founded, linked, old, "-t", "-i", "-F", "Cron Daemon", given=letter.format("t")).returncode == 0
    message = jane.message("s53 t")
    assert b"From: Cron Daemon <" in message
    assert message.endswith(b"\r\n\r\n.\r\nbody\r\n")
    words = ("-f", "boss@far.example", jane.address)
    assert call(founded, linked, old, *words, given=letter.format("f")).returncode == 0
    assert jane.message("s53 f").startswith(b"Return-Path: <boss@far.example>")
    dialog = f"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<{jane.address}>\r\nDATA\r\nSubject: s53 bs\r\n\r\nx\r\n.\r\nQUIT\r\n"
    done = call(founded, linked, old, "-bs", given=dialog)
    assert [line[:3] for line in done.stdout.splitlines() if line[3] == " "] == [
        "220",
        "250",
        "250",
        "250",
        "354",
        "250",
        "221",
    ]
    jane.message("s53 bs")
    assert f"{jane.address}... deliverable" in call(founded, linked, old, "-bv", jane.address).stdout
    for name, option in (("usr/sbin/sendmail", "-q"), ("usr/sbin/sendmail", "-bp"), ("usr/bin/mailq", "")):
        assert call(founded, linked, name, *([option] if option else [])).returncode == 0, (name, option)


def test_s09_programs_of_the_host_need_no_other_sendmail(founded: RunningDemo, linked: Path) -> None:
    jane = make_person(founded, "jane09")
    sendmail = linked / "usr/sbin/sendmail"
    environment = {**os.environ, "GATEPOST_CONFIG": founded.facts["config_file"], "PYTHONPATH": os.getcwd(),
                   "HOME": str(linked), "TERM": "dumb"}  # fmt: skip
    mutt = [
        "mutt",
        "-n",
        "-F",
        "/dev/null",
        "-e",
        f'set sendmail="{sendmail} -oem -oi"',
        "-e",
        "set record=''",
        "-s",
        "s09 mutt",
    ]
    done = subprocess.run(
        [*mutt, jane.address], input=b"x\n", capture_output=True, timeout=60, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    jane.message("s09 mutt")
    verb(founded, "alias", "add", "dd09@example.com", "dd@21cn.example")
    swaks = ["swaks", "--pipe", f"{sendmail} -bs", "--from", "me@far.example", "--to", "dd09@example.com"]
    done = subprocess.run(
        [*swaks, "--header", "Subject: s09 swaks"], capture_output=True, timeout=60, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    outside(founded, "s09 swaks")
    assert "s09" not in str(facts(founded, "queue", "list"))
