"""Started as root: workers and agent give up root, each to its own uid, and mail still flows."""

from __future__ import annotations

import contextlib
import imaplib
import io
import json
import os
import shutil
import signal
import smtplib
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from conftest import GATEPOST, RunningDemo, eventually, free_offset, has_whole_copy
from in_process import answer
from other_user import as_user

from gateway.cli import group, hand_in
from gateway.cli.problems import explain
from gateway.cli.sendmail import main as sendmail
from gateway.service.overview import Processes, read
from gateway.store.markers import prepare_volume

pytestmark = [
    pytest.mark.xdist_group("processes"),
    pytest.mark.skipif(os.getuid() != 0, reason="only root can give up root: `sudo make test` runs this"),
]
MAIL, DIRECTORY = 15000, 15001  # numbers without an account
#: notes each module that a child looks for
SPY = """
import os, sys
START = os.getpid()
class Spy:
    def find_spec(self, name, path=None, target=None):
        if os.getpid() != START:
            with open({log!r}, "a") as file:
                file.write(name + "\\n")
sys.meta_path.insert(0, Spy())
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    # not pytest's own folder: the other uids have to reach it
    path = Path(tempfile.mkdtemp(prefix="gatepost-run-as-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def service(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    demo = RunningDemo(tmp_path_factory.mktemp("demo"))
    offset = free_offset()
    ports = {"mx": 2525 + offset, "imap": 2143 + offset}
    configuration = yaml.safe_load((demo.folder / "gatepost.yaml").read_text())
    password = folder / "password"
    shutil.copy(configuration["directory"]["bind"]["password_file"], password)
    os.chown(password, DIRECTORY, DIRECTORY)
    password.chmod(0o400)
    (folder / "mail").mkdir()
    prepare_volume(folder / "mail")
    for path in (folder / "mail", folder / "mail" / ".gatepost-store"):
        os.chown(path, MAIL, MAIL)
    configuration |= {
        "state_dir": str(folder / "state"),
        "run_dir": str(folder / "run"),
        "run_as": {"mail": str(MAIL), "directory": str(DIRECTORY)},
        "listen": {name: [{"port": port, "tls": "none"}] for name, port in ports.items()},
        "tls": {},
    }
    configuration["directory"]["bind"]["password_file"] = str(password)
    configuration["relay"]["smarthost"] = "127.0.0.1:1"  # mail for outside waits
    configuration["store"]["volumes"]["main"]["path"] = str(folder / "mail")
    (folder / "gatepost.yaml").write_text(yaml.safe_dump(configuration))
    (folder / "imported").touch()
    (folder / "imported").chmod(0o666)
    (folder / "sitecustomize.py").write_text(SPY.format(log=str(folder / "imported")))
    process = subprocess.Popen(
        [*GATEPOST, "serve", "--config", str(folder / "gatepost.yaml")],
        env={**os.environ, "PYTHONPATH": str(folder)},
    )
    try:
        deadline = time.monotonic() + 40
        while (found := read(folder / "run")) is None or not found.ready:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        eventually(lambda: has_whole_copy(folder / "gatepost.yaml"))
        yield {**ports, "master": process.pid}
    finally:
        process.terminate()
        assert process.wait(30) == 0
        demo.stop()


def shown(folder: Path) -> Processes:
    found = read(folder / "run")
    assert found is not None
    return found


def facts(pid: int) -> dict[str, list[str]]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}


def test_each_process_has_its_uid_for_good(service: dict[str, int], folder: Path) -> None:
    assert facts(service["master"])["Uid"] == ["0"] * 4
    for child in shown(folder).children:
        uid = str(DIRECTORY if child.name == "agent" else MAIL)
        said = facts(child.pid)
        assert said["Uid"] == said["Gid"] == [uid] * 4, child.name
        assert set(said["Groups"]) == ({uid, str(MAIL)} if child.name == "agent" else {uid})
        assert int(said["CapEff"][0], 16) == 0
        assert said["NoNewPrivs"] == ["1"]


def test_mail_flows_and_belongs_to_the_mail_uid(service: dict[str, int], folder: Path) -> None:
    with smtplib.SMTP("127.0.0.1", service["mx"], timeout=20) as client:
        client.sendmail("me@elsewhere.example", ["jane@example.com"], b"Subject: hello\r\n\r\nx\r\n")
    client = imaplib.IMAP4("127.0.0.1", service["imap"], timeout=20)
    client.login("jane", "jane-demo-password")
    assert client.select("INBOX")[1] != [b"0"]
    client.logout()
    files = [path for path in (folder / "mail").rglob("*") if path.is_file()]
    assert len(files) > 1
    assert {path.stat().st_uid for path in files} == {MAIL}
    assert not [path for path in files if path.stat().st_mode & 0o077 and path.name != ".gatepost-store"]


def test_nothing_is_imported_behind_the_fork(service: dict[str, int], folder: Path) -> None:
    test_mail_flows_and_belongs_to_the_mail_uid(service, folder)
    assert (folder / "imported").read_text().split() == []


def test_what_belongs_to_the_agent_is_closed_to_the_workers(folder: Path, service: dict[str, int]) -> None:
    assert service
    state = folder / "state"
    assert (state / "replica" / "data.mdb").stat().st_uid == DIRECTORY
    assert (state / "replica" / "data.mdb").stat().st_gid == MAIL
    owned = {path for path in state.rglob("*") if path.is_file() and path.stat().st_uid == DIRECTORY}
    secret = {path for path in owned if path.parent != state / "replica"}
    assert secret
    assert not [path for path in secret if path.stat().st_mode & 0o077]
    done = subprocess.run(
        ["cat", str(folder / "password"), *map(str, secret)],
        user=MAIL,
        group=MAIL,
        extra_groups=[],
        capture_output=True,
    )
    assert done.stdout == b""
    assert done.stderr.count(b"Permission denied") == 1 + len(secret)


def test_a_reload_keeps_the_uids(service: dict[str, int], folder: Path) -> None:
    before = shown(folder)
    os.kill(service["master"], signal.SIGHUP)
    deadline = time.monotonic() + 30
    while shown(folder).reloads == before.reloads:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    workers = [each for each in shown(folder).children if each.name.startswith("worker") and not each.passing]
    assert {each.pid for each in workers}.isdisjoint({each.pid for each in before.children})
    assert all(facts(each.pid)["Uid"] == [str(MAIL)] * 4 for each in workers)


def test_ps_and_status_tell_the_users(service: dict[str, int], folder: Path) -> None:
    assert service
    config = ["--config", str(folder / "gatepost.yaml")]
    done = subprocess.run([*GATEPOST, "ps", *config], capture_output=True, text=True, timeout=30)
    assert str(MAIL) in done.stdout
    assert str(DIRECTORY) in done.stdout
    done = subprocess.run([*GATEPOST, "status", *config], capture_output=True, text=True, timeout=30)
    assert (done.returncode, "run as one user" in done.stdout) == (0, False), done.stdout
    done = subprocess.run([*GATEPOST, "check", *config], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def test_a_user_of_the_host_sees_and_drops_what_he_handed_in(service: dict[str, int], folder: Path) -> None:
    """The configuration is closed to him: he finds the service by its folder, as `sendmail` does."""
    assert service
    configuration = str(folder / "gatepost.yaml")
    runner = CliRunner()

    def gatepost(*words: str) -> tuple[int, str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(hand_in, "RUN_DIR", folder / "run")
            patch.setattr(hand_in, "STATE_DIR", folder / "state")
            result = runner.invoke(group, [*words, "--config", configuration])
        if isinstance(result.exception, Exception):
            text, code = explain(result.exception)
            return code, text
        return result.exit_code, result.output

    def mailq() -> str:
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as said:
            patch.setattr(hand_in, "RUN_DIR", folder / "run")
            assert sendmail(["-C", configuration, "-bp"]) == 0
        return said.getvalue()

    def hand(recipient: str) -> list[str]:
        place = hand_in.Place(folder / "run" / "local.sock", folder / "state" / "spool" / "drop")
        return hand_in.hand_in(place, "cron@example.com", [recipient], b"Subject: x\n\nhello\n").taken

    def ids(text: str) -> list[str]:
        return [facts["id"] for facts in json.loads(text)]

    gatepost("queue", "list", "--json"), mailq()  # what it imports, the other user cannot read
    os.chmod(configuration, 0o600)
    try:
        assert as_user(2001, lambda: hand("one@far.example")) == ["one@far.example"]
        assert as_user(2002, lambda: hand("two@far.example")) == ["two@far.example"]
        eventually(lambda: len(ids(gatepost("queue", "list", "--json")[1])) == 2)
        both = ids(gatepost("queue", "list", "--json")[1])
        eventually(lambda: len(ids(as_user(2001, lambda: gatepost("queue", "list", "--json"))[1])) == 1)
        (first,) = ids(as_user(2001, lambda: gatepost("queue", "list", "--json"))[1])
        (second,) = set(both) - {first}
        assert "one@far.example" in as_user(2001, mailq) and "two@far.example" not in as_user(2001, mailq)
        assert as_user(2003, mailq) == "Mail queue is empty\n"
        assert as_user(2001, lambda: gatepost("queue", "drop", second, "--yes")) == [
            1,
            f"no message {second} of yours waits",
        ]
        assert as_user(2001, lambda: gatepost("queue", "hold", first))[0] == 3  # for the operator: the file is closed
        eventually(lambda: as_user(2001, lambda: gatepost("queue", "drop", first, "--yes"))[0] == 0)
        assert ids(gatepost("queue", "list", "--json")[1]) == [second]
        assert gatepost("queue", "drop", second, "--yes")[0] == 0
    finally:
        os.chmod(configuration, 0o644)


def owners(top: Path) -> dict[str, tuple[int, int, int]]:
    """Whose each file is, and who may use it."""
    found = {}
    for path in (each for each in top.rglob("*") if each.is_file() and not each.is_symlink()):
        if path.suffix != ".lock" and not path.name.endswith(("-wal", "-shm")):
            status = path.stat()
            found[str(path.relative_to(top))] = (status.st_uid, status.st_gid, status.st_mode & 0o777)
    return found


def test_backup_and_restore_leave_to_each_what_was_his(service: dict[str, int], folder: Path) -> None:
    new = folder / "new"
    made = folder / "made"
    config = str(folder / "gatepost.yaml")
    with smtplib.SMTP("127.0.0.1", service["mx"], timeout=20) as client:
        client.sendmail("me@elsewhere.example", ["jane@example.com"], b"Subject: kept\r\n\r\nx\r\n")
    done = answer("backup", "--config", config, str(made), "--stores")
    assert done.returncode == 0, done.stderr
    assert {owner for path, (owner, _, _) in owners(folder / "state").items() if path.endswith(".db")} <= {
        MAIL, DIRECTORY
    }  # fmt: skip
    beside = [path for path in (folder / "state").rglob("*") if path.name.endswith(("-wal", "-shm"))]
    assert 0 not in {path.stat().st_uid for path in beside}
    done = answer("restore", str(made), "--move", f"{folder}={new}")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    before, after = owners(folder / "state"), owners(new / "state")
    for path in after.keys() & before.keys():
        assert after[path] == before[path], path
    assert {path.partition("/")[0] for path in after} >= {"state.db", "auth.key", "index", "queue.db"}
    assert {owner for path, (owner, _, _) in after.items() if path.startswith("index/")} == {MAIL}
    assert {owner for owner, _, _ in owners(new / "mail").values()} == {MAIL}
    assert owners(new)["password"] == (DIRECTORY, DIRECTORY, 0o400)
    assert (os.geteuid(), os.getegid()) == (0, 0)
    shutil.rmtree(new)
    shutil.rmtree(made)
