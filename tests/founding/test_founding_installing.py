"""S13, S19, S35-S43, S52, S54, S60: from nothing to a service that starts at boot, and what an administrator sees of it."""

from __future__ import annotations

import json
import os
import random
import shutil
import smtplib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml
from conftest import GATEPOST, RunningDemo, eventually
from letters import FOUNDING, configured, facts, is_ready, make_person, offline, post, rcpt, served, verb
from native_entries import PROFILE

from directory.ldif_file import LdifFile
from directory.memory import MemorySource
from directory.port import Freshness
from directory.view import View
from gateway.config.load import load
from gateway.service.overview import read

ROOT = Path(__file__).resolve().parents[2]
MAIL, DIRECTORY = "15100", "15101"  # numbers without an account
ROOT_ONLY = pytest.mark.skipif(
    os.getuid() != 0, reason="setup makes users and units as root: `sudo make test` runs this"
)

pytestmark = FOUNDING


@pytest.fixture
def folder() -> Iterator[Path]:
    # not pytest's own folder: other uids have to reach it
    path = Path(tempfile.mkdtemp(prefix="gatepost-founding-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def installed(folder: Path, founded: RunningDemo, **sections: object) -> Path:
    """What `gatepost init` writes, for the demo's directory and this folder; then as `sections` say."""
    path, demo = folder / "gatepost.yaml", yaml.safe_load(Path(founded.facts["config_file"]).read_text())["directory"]
    shutil.copy(demo["bind"]["password_file"], folder / "password")
    offline("init", "mail.example.com", path, "--directory", demo["servers"][0], "--base", demo["base"],
            "--bind", demo["bind"]["dn"], "--password-file", folder / "password", "--volume", folder / "mail")  # fmt: skip
    settings = yaml.safe_load(path.read_text())
    settings |= {"state_dir": str(folder / "state"), "run_dir": str(folder / "run"), "workers": 1, **sections}
    path.write_text(yaml.safe_dump(settings))
    return path


def own_address() -> str:
    """A loopback address that nobody else uses, so that its port 25 is free."""
    return f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(2, 254)}"


@ROOT_ONLY
def test_s13_root_opens_the_ports_and_nothing_else(founded: RunningDemo, folder: Path) -> None:
    address = own_address()
    listen = {"mx": [{"address": address, "port": 25, "tls": "none"}]}
    config = installed(folder, founded, run_as={"mail": MAIL, "directory": DIRECTORY}, listen=listen)
    offline("setup", "--config", config, "--unit-folder", folder / "units")
    jane = make_person(founded, "jane13")
    with served([*GATEPOST, "serve", "--config", str(config)], config) as process:
        eventually(lambda: is_ready(config), 40)
        users = {row["name"]: row["uid"] for row in json.loads(offline("ps", "--json", "--config", config))}
        assert users == {"master": 0, "agent": int(DIRECTORY), "worker-0": int(MAIL), "queue": int(MAIL)}
        with smtplib.SMTP(address, 25, timeout=20) as client:
            client.sendmail("me@far.example", [jane.address], b"Subject: s13\r\n\r\nx\r\n")
        # what parses mail has no privilege left, and cannot get one
        found = read(folder / "run")
        assert found is not None
        for child in found.children:
            said = Path(f"/proc/{child.pid}/status").read_text()
            assert "\nCapEff:\t0000000000000000\n" in said
            assert "\nNoNewPrivs:\t1\n" in said
        delivered = [path for path in (folder / "mail").rglob("cur/*") if path.is_file()]
        assert [path.stat().st_uid for path in delivered] == [int(MAIL)]
        assert process.poll() is None


def test_s19_systemd_starts_the_service_with_the_first_client(founded: RunningDemo, folder: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    listen = {"mx": [{"address": "127.0.0.1", "port": port, "tls": "none"}]}
    config = installed(folder, founded, run_as={}, listen=listen)
    (folder / "mail").mkdir()
    offline("store", "prepare", "main", "--config", config)
    jane = make_person(founded, "jane19")
    command = ["systemd-socket-activate", "-l", f"127.0.0.1:{port}", "--fdname=mx"]
    command += ["-E", f"PYTHONPATH={os.getcwd()}", *GATEPOST, "serve", "--config", str(config)]
    with served(command, config):
        eventually(lambda: listens(port))
        assert read(folder / "run") is None, "nothing runs before somebody comes"
        with smtplib.SMTP("127.0.0.1", port, timeout=60) as client:
            assert client.noop()[0] == 250
            eventually(lambda: is_ready(config), 40)
            client.sendmail("me@far.example", [jane.address], b"Subject: s19\r\n\r\nx\r\n")
    assert [path.read_bytes().count(b"s19") for path in (folder / "mail").rglob("cur/*")] == [1]


def listens(port: int) -> bool:
    """Whether somebody listens there; not by connecting, which would start the service."""
    wanted = f"0100007F:{port:04X} 00000000:0000 0A"
    return wanted in Path("/proc/net/tcp").read_text()


def test_s35_s36_one_command_installs_it(tmp_path: Path) -> None:
    pytest.importorskip(
        "hatchling",
        reason="the build tool is not installed: `pip install --require-hashes --no-deps -r locks/build.txt`, or `make test`",
    )
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    assert subprocess.run(build, cwd=ROOT, capture_output=True, timeout=100, check=False).returncode == 0
    (wheel,) = tmp_path.glob("*.whl")
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-index",
        "--no-deps",
        "--target",
        str(tmp_path / "site"),
    ]
    done = subprocess.run([*install, str(wheel)], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "PYTHONSAFEPATH": "1"}
    command = [str(tmp_path / "site" / "bin" / "gatepost"), "--version"]
    said = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, env=environment, check=False
    )
    assert (said.returncode, said.stdout.split(",")[0]) == (0, "gatepost"), said.stderr
    # from the sources it is one command too
    plan = subprocess.run(["make", "-n", "install", f"VENV={tmp_path}/venv", f"STAMPS={tmp_path}/stamps"], cwd=ROOT,
                          capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
    assert plan.returncode == 0, plan.stderr
    assert "--require-hashes --no-deps -r locks/runtime.txt" in plan.stdout


IN_OWN_ETC = """
mount --bind {etc} /etc
{gatepost} setup --config {config} --unit-folder {units} > {folder}/first &&
{gatepost} setup --config {config} --unit-folder {units} > {folder}/second &&
{gatepost} check --config {config} > {folder}/check 2>&1 &&
chown root:root {folder}/mail && chmod 0700 {folder}/mail &&
{gatepost} check --config {config} > {folder}/broken 2>&1; test $? = 3
"""


@ROOT_ONLY
def test_s37_s38_setup_makes_users_and_check_looks_at_owners_and_modes(founded: RunningDemo, folder: Path) -> None:
    config = installed(folder, founded, listen={})
    etc = folder / "etc"
    subprocess.run(["cp", "-a", "/etc", str(etc)], check=True, timeout=60)
    script = IN_OWN_ETC.format(
        etc=etc, gatepost=" ".join(GATEPOST), config=config, units=folder / "units", folder=folder
    )
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, (done.stderr, [p.read_text() for p in folder.iterdir() if p.is_file()])
    users = {line.split(":")[0]: line.split(":") for line in (etc / "passwd").read_text().splitlines()}
    for name in ("gp-mail", "gp-dir", "gp-prog"):
        assert f"make the system user {name}\n" in (folder / "first").read_text()
        assert users[name][6] == "/usr/sbin/nologin"
        assert name not in Path("/etc/passwd").read_text(), "the test stays in its own /etc"
    assert (folder / "second").read_text() == "nothing to do\n"
    assert (folder / "check").read_text().endswith("ok\n")
    assert f"{folder}/mail cannot be written to by uid {users['gp-mail'][2]}" in (folder / "broken").read_text()


def test_s39_init_writes_what_config_fast_tells_qmail(tmp_path: Path) -> None:
    path = tmp_path / "gatepost.yaml"
    offline("init", "mail.corp.example", path)
    settings = load(path)
    assert settings.hostname == "mail.corp.example"  # me
    assert settings.route.origin == "corp.example"  # defaultdomain; plusdomain went with the addresses that needed it
    assert settings.directory.base == "dc=corp,dc=example"
    source = MemorySource(PROFILE, LdifFile(tmp_path / "domain.ldif", "t", settings.directory.base).entries())
    source.state = Freshness(True, float("inf"), "")
    domains = View(source, PROFILE)
    for name in ("mail.corp.example", "corp.example"):  # locals, rcpthosts
        assert domains.domain(name) is not None
    assert domains.domain("other.example") is None
    assert "exists" in offline("init", "mail.corp.example", path, code=1)


def test_s40_doctor_fails_where_postmaster_reaches_nobody(founded: RunningDemo) -> None:
    base = founded.facts["directory"]["base"]
    verb(founded, "domain", "add", "d40.example")
    names = ("postmaster", "mailer-daemon", "root", "abuse")
    for name in names:
        assert rcpt(founded, f"{name}@d40.example")[0] == rcpt(founded, f"{name.upper()}@d40.example")[0] == 250
    assert "reaches nobody" not in verb(founded, "doctor", "directory")
    dn = f"cn=postmaster40,ou=mail,{base}"
    with founded.administrator() as admin:
        made = admin.add(dn, ["gatepostEntry", "gatepostAlias"], {
            "cn": "postmaster40", "gatepostAddress": "postmaster@d40.example",
            "gatepostTarget": f"uid=gone40,ou=people,{base}"})  # fmt: skip
        assert made, admin.result
        try:
            eventually(lambda: "postmaster40" in str(facts(founded, "alias", "list")))
            said = verb(founded, "doctor", "directory", code=1)
            assert f"mail for {', '.join(sorted(names))} at d40.example reaches nobody" in said
        finally:
            assert admin.delete(dn)
    eventually(lambda: "postmaster40" not in str(facts(founded, "alias", "list")))
    verb(founded, "doctor", "directory")


@ROOT_ONLY
def test_s41_s52_a_unit_that_systemd_starts_at_boot(founded: RunningDemo, folder: Path) -> None:
    config = installed(folder, founded)
    offline("setup", "--config", config, "--unit-folder", folder / "units", "--dry-run")
    assert not (folder / "units").exists()
    text = units(config, folder / "units")["gatepost.service"]
    assert "WantedBy=multi-user.target\n" in text
    assert f"serve --config {config}\n" in text
    assert "Restart=on-failure\n" in text


def units(config: Path, folder: Path, *more: str) -> dict[str, str]:
    """The unit files that setup writes, each found right by systemd."""
    program = folder.parent / "gatepost"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    settings = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump(settings | {"run_as": {"mail": MAIL, "directory": DIRECTORY}}))
    words = ("setup", "--config", config, "--unit-folder", folder, "--program", program, *more)
    offline(*words)
    files = sorted(str(path) for path in folder.iterdir())
    done = subprocess.run(
        ["systemd-analyze", "verify", *files], capture_output=True, text=True, timeout=60, check=False
    )
    about = [line for line in done.stderr.splitlines() if str(folder) in line or "gatepost" in line]
    assert [line for line in about if "notify-reload" not in line] == []
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_s42_the_status_line_in_log_status_and_metrics(founded: RunningDemo) -> None:
    def metric(where: str) -> str:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
            told = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if line[0] != "#")
        now, most = (told[f'gatepost_queue_deliveries{end}{{where="{where}"}}'] for end in ("", "_max"))
        return f"{where} {float(now):.0f}/{float(most):.0f}"

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = founded.folder / "demo.log"
    with configured(founded, metrics={"listen": f"127.0.0.1:{port}"}), socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        verb(founded, "domain", "add", "s42.example", "kind=relay", f"next_hops=127.0.0.1:{silent.getsockname()[1]}")
        assert f"{metric('local')} {metric('remote')}" == "local 0/10 remote 0/20"
        assert "local 0/10 remote 0/20" in verb(founded, "status")
        begin = log.stat().st_size
        post(founded, "s42", "first@s42.example")
        eventually(lambda: "local 0/10 remote 1/20" in verb(founded, "status"))
        assert f"{metric('local')} {metric('remote')}" == "local 0/10 remote 1/20"
        time.sleep(1.1)  # the log says it once a second at most
        post(founded, "s42", "second@s42.example")
        eventually(lambda: "status: local 0/10 remote 1/20" in log.read_text()[begin:])
    eventually(lambda: "status: local 0/10 remote 0/20" in log.read_text()[begin:])
    waiting = [row["id"] for row in facts(founded, "queue", "list") if "s42.example" in str(row)]
    verb(founded, "queue", "drop", *waiting, "--yes")


def test_s43_ps_shows_the_processes_and_their_users(founded: RunningDemo) -> None:
    rows = facts(founded, "ps")
    assert {"master", "agent", "worker-0", "worker-1", "queue"} <= {row["name"] for row in rows}
    for row in rows:
        said = Path(f"/proc/{row['pid']}/status").read_text()
        assert f"\nUid:\t{row['uid']}\t" in said
        assert f"\nPPid:\t{rows[0]['pid'] if row['name'] != 'master' else said.split('PPid:')[1].split()[0]}\n" in said
    shown = verb(founded, "ps")
    for row in rows:
        assert f"{row['name']}" in shown
        assert str(row["pid"]) in shown


@ROOT_ONLY
def test_s54_a_socket_unit_for_each_service(founded: RunningDemo, folder: Path) -> None:
    listen = {"mx": [{"port": 25, "address": "0.0.0.0"}, {"port": 25, "address": "::"}], "imap": [{"port": 143}]}
    found = units(installed(folder, founded, listen=listen), folder / "units", "--sockets")
    assert set(found) == {"gatepost.service", "gatepost-mx.socket", "gatepost-imap.socket"}
    mx = found["gatepost-mx.socket"]
    for line in ("ListenStream=0.0.0.0:25", "ListenStream=[::]:25", "FileDescriptorName=mx", "Service=gatepost.service",
                 "WantedBy=sockets.target"):  # fmt: skip
        assert f"{line}\n" in mx


def test_s60_a_default_delivery_for_everybody(founded: RunningDemo, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    person, own = make_person(founded, "any60"), make_person(founded, "own60", "extensions+=@ deliver")
    post(founded, "s60 before", person.address)
    assert person.subjects() == ["s60 before"], "./Maildir/ is what everybody has"
    programs = {"sort": {"argv": ["/bin/sh", "-c", f"cat > {tmp_path}/$USER; exit 99"]}}
    with configured(founded, programs=programs, defaults={"delivery": ["sort"]}):
        for each in (person, own):
            post(founded, "s60 sorted", each.address)
        eventually(lambda: (tmp_path / "any60").exists() and b"s60 sorted" in (tmp_path / "any60").read_bytes())
        own.message("s60 sorted")
        assert not (tmp_path / "own60").exists()
        assert person.subjects() == ["s60 before"]
    config = tmp_path / "gatepost.yaml"
    settings = yaml.safe_load(Path(founded.facts["config_file"]).read_text())
    config.write_text(yaml.safe_dump(settings | {"defaults": {"delivery": ["sort"]}}))
    assert "'sort' is none of programs" in offline("check", "--no-host", "--config", config, code=3)
