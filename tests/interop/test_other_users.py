"""Started as root: programs of other users hand in mail without seeing anything, delivery programs have a uid of their own."""

from __future__ import annotations

import os
import shutil
import smtplib
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import ldap3
import pytest
import yaml
from conftest import GATEPOST, RunningDemo, eventually, free_offset, has_whole_copy

from gateway.service.overview import read
from gateway.store.markers import prepare_volume

pytestmark = [
    pytest.mark.xdist_group("processes"),
    pytest.mark.skipif(os.getuid() != 0, reason="only root can give up root: `sudo make test` runs this"),
]
MAIL, DIRECTORY, PROGRAMS, STRANGER = 15010, 15011, 15012, 15013


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="gatepost-others-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def start(folder: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([*GATEPOST, "serve", "--config", str(folder / "gatepost.yaml")])
    try:
        eventually(
            lambda: process.poll() is not None or ((found := read(folder / "run")) is not None and found.ready), 40
        )
        assert process.poll() is None
        eventually(lambda: has_whole_copy(folder / "gatepost.yaml"))
    except AssertionError:
        process.kill()
        process.wait()
        raise
    return process


@pytest.fixture(scope="module")
def ports(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """The configuration; starting is the test's part."""
    demo = RunningDemo(tmp_path_factory.mktemp("demo"))
    facts = demo.facts["directory"]
    connection = ldap3.Connection(
        ldap3.Server(facts["uri"], get_info=ldap3.NONE), facts["admin_dn"], facts["admin_password"], auto_bind=True
    )
    dn = f"uid=jane,ou=people,{facts['base']}"
    assert connection.modify(dn, {"gatepostExtension": [(ldap3.MODIFY_ADD, ["who program who"])]})
    connection.unbind()
    configuration = yaml.safe_load((demo.folder / "gatepost.yaml").read_text())
    password = folder / "password"
    shutil.copy(configuration["directory"]["bind"]["password_file"], password)
    os.chown(password, DIRECTORY, DIRECTORY)
    (folder / "mail").mkdir(mode=0o700)
    prepare_volume(folder / "mail")
    for path in (folder / "mail", folder / "mail" / ".gatepost-store"):
        os.chown(path, MAIL, MAIL)
    out = folder / "out"
    out.mkdir()
    os.chown(out, PROGRAMS, PROGRAMS)
    ports = {"mx": 2525 + free_offset()}
    look = f"ls {folder}/state {folder}/run {folder}/mail {folder}/state/spool/drop; cat {folder}/password"
    configuration |= {
        "state_dir": str(folder / "state"),
        "run_dir": str(folder / "run"),
        "run_as": {"mail": str(MAIL), "directory": str(DIRECTORY), "programs": str(PROGRAMS)},
        "listen": {name: [{"port": port, "tls": "none"}] for name, port in ports.items()},
        "tls": {},
        "programs": {
            "who": {
                "argv": [
                    "/bin/sh",
                    "-c",
                    f"id -u > {out}/id; id -G >> {out}/id; ({look}) > {out}/seen 2>/dev/null; true",
                ]
            }
        },
    }
    configuration["directory"]["bind"]["password_file"] = str(password)
    configuration["store"]["volumes"]["main"]["path"] = str(folder / "mail")
    (folder / "gatepost.yaml").write_text(yaml.safe_dump(configuration))
    yield ports
    demo.stop()


#: the interpreter itself may be out of a stranger's reach: everything is imported before the uid is given up
SCRIPT = f"""
import os, sys
import gateway.cli.own_queue, gateway.cli.problems, gateway.cli.sendmail, gateway.queue.listing
import gateway.service.identity, gateway.service.mail_control, rich.console, rich.table
from pathlib import Path
gateway.cli.problems.explain(OSError(1, "x"))
gateway.cli.sendmail.place(Path(sys.argv[2]))
os.setgroups([]); os.setgid({STRANGER}); os.setuid({STRANGER})
sys.exit(gateway.cli.sendmail.main(sys.argv[1:]))
"""


def as_stranger(folder: Path, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, "-C", str(folder / "gatepost.yaml"), *words],
        input=given, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def readable_to(uid: int, path: Path) -> bool:
    done = subprocess.run(["ls", str(path)], capture_output=True, user=uid, group=uid, extra_groups=[], check=False)
    return done.returncode == 0


def delivered(folder: Path, subject: str) -> list[bytes]:
    found = [path.read_bytes() for path in (folder / "mail").rglob("*,S=*") if path.is_file()]
    return [content for content in found if f"Subject: {subject}\n".encode() in content]


def test_a_stranger_hands_in_and_sees_nothing(ports: dict[str, int], folder: Path) -> None:
    process = start(folder)
    try:
        done = as_stranger(folder, "jane@example.com", given="Subject: up\n\nx\n")
        assert (done.returncode, done.stderr) == (0, "")
        (message,) = delivered(folder, "up")
        assert f"Received: from uid-{STRANGER} (local)".encode() in message
        for path in (folder / "state", folder / "run", folder / "state" / "spool", folder / "state" / "spool" / "drop"):
            assert not readable_to(STRANGER, path)
        shown = as_stranger(folder, "-bp")
        assert (shown.returncode, shown.stdout) == (0, "Mail queue is empty\n"), shown.stderr
        with smtplib.SMTP("127.0.0.1", ports["mx"], timeout=20) as client:
            client.sendmail("me@far.example", ["jane+who@example.com"], "Subject: who\n\nx\n")
        eventually((folder / "out" / "seen").exists, 40)
        assert (folder / "out" / "id").read_text().split() == [str(PROGRAMS)] * 2
        time.sleep(0.3)
        assert (folder / "out" / "seen").read_text() == ""
        assert stat.S_IMODE((folder / "run" / "programs.sock").stat().st_mode) == 0o600
        assert (folder / "run" / "programs.sock").stat().st_uid == MAIL
        found = read(folder / "run")
        assert found is not None
        (spawner,) = [each for each in found.children if each.name == "programs"]
        status = Path(f"/proc/{spawner.pid}/status").read_text()
        assert f"Uid:\t{PROGRAMS}\t{PROGRAMS}\t{PROGRAMS}\t{PROGRAMS}\n" in status
    finally:
        process.terminate()
        assert process.wait(30) == 0
    done = as_stranger(folder, "jane@example.com", given="Subject: down\n\nx\n")
    assert (done.returncode, done.stderr) == (0, "")
    (left,) = (folder / "state" / "spool" / "drop").iterdir()
    facts = left.stat()
    assert (facts.st_uid, facts.st_gid, stat.S_IMODE(facts.st_mode)) == (STRANGER, MAIL, 0o640)
    process = start(folder)
    try:
        eventually(lambda: bool(delivered(folder, "down")), 40)
        (message,) = delivered(folder, "down")
        assert f"Received: from uid-{STRANGER} (local)".encode() in message
        eventually(lambda: not list((folder / "state" / "spool" / "drop").iterdir()), 40)
    finally:
        process.terminate()
        assert process.wait(30) == 0
