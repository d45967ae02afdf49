"""From nothing to a host that `gatepost check` is content with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from gateway.cli import group
from gateway.config.load import load
from gateway.service.unit import socket_units, unit


def gatepost(*words: object, answers: str | None = None) -> Result:
    return CliRunner().invoke(group, [str(word) for word in words], input=answers)


@pytest.fixture
def folder() -> Iterator[Path]:
    # not pytest's own folder: other uids have to reach it
    path = Path(tempfile.mkdtemp(prefix="gatepost-setup-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def test_init_writes_a_configuration_that_can_be_loaded(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "gatepost.yaml"
    odd = 'cn=a "quoted" #name: {x}\\2c,dc=x'
    options = ("--hostname", "mail.example.com", "--bind", odd, "--cert", "/c.pem", "--key", "/k.pem")
    done = gatepost("init", path, *options, "--smarthost", "relay.example.net:587", "--ca-file", "/ca.pem", "--json")
    assert (done.exit_code, json.loads(done.output)) == (0, {"path": str(path)})
    settings = load(path)
    assert settings.directory.bind.dn == odd
    assert settings.directory.tls.starttls
    assert settings.relay.smarthost == "relay.example.net:587"
    assert {"mx", "submission", "submissions", "imap", "imaps", "pop3", "pop3s"} == set(settings.listen)
    assert (settings.web.listen, settings.web.url) == ("0.0.0.0:443", "https://mail.example.com")
    assert settings.run_as.web == "gp-web"
    web = socket_units(settings)["gatepost-web.socket"]
    assert "ListenStream=0.0.0.0:443\nFileDescriptorName=web\n" in web
    assert path.stat().st_mode & 0o007 == 0


def test_init_keeps_what_is_there_and_refuses_what_cannot_be(tmp_path: Path) -> None:
    path = tmp_path / "gatepost.yaml"
    path.write_text("mine")
    assert gatepost("init", path).exit_code == 1
    assert path.read_text() == "mine"
    done = gatepost("init", path, "--force", "--directory", "http://x")
    assert (done.exit_code, "directory.servers.0: 'http://x' is not ldap://" in done.output) == (3, True)
    assert [each.name for each in tmp_path.iterdir()] == ["gatepost.yaml"]
    assert path.read_text() == "mine"
    assert gatepost("init", path, "--force").exit_code == 0
    assert load(path).directory.servers == ("ldap://127.0.0.1",)


def test_init_asks_a_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.cli.init._is_terminal", lambda: True)
    path = tmp_path / "gatepost.yaml"
    done = gatepost("init", path, "--hostname", "mail.example.com", answers="ldaps://dir.example.com\n\ncn=me\n\n")
    assert done.exit_code == 0, done.output
    settings = load(path)
    assert (settings.directory.servers, settings.directory.base) == (("ldaps://dir.example.com",), "dc=example,dc=com")
    assert settings.directory.bind.dn == "cn=me"


@pytest.mark.skipif(
    os.getuid() != 0,
    reason="setup gives files to the service's users, which only root may: `sudo make test` runs this;"
    " what setup tells everybody else is tested",
)
def test_setup_makes_everything_once(folder: Path) -> None:
    path, password = folder / "gatepost.yaml", folder / "password"
    password.write_text("secret")
    assert gatepost("init", path, "--password-file", password, "--volume", folder / "mail").exit_code == 0
    configuration = yaml.safe_load(path.read_text())
    configuration |= {
        "run_as": {"mail": "15000", "directory": "15001"},
        "state_dir": str(folder / "state"),
        "run_dir": str(folder / "run"),
        "listen": {},
    }
    path.write_text(yaml.safe_dump(configuration))
    setup = ("setup", "--config", path, "--unit-folder", folder / "units", "--program", "/opt/gatepost/bin/gatepost")
    wanted = gatepost(*setup, "--dry-run").output
    assert not (folder / "state").exists()
    done = gatepost(*setup)
    assert done.exit_code == 0, done.output
    assert wanted == "".join(f"would do: {line}\n" for line in done.output.splitlines())
    assert gatepost(*setup).output == "nothing to do\n"
    assert (folder / "mail").stat().st_uid == (folder / "mail" / ".gatepost-store").stat().st_uid == 15000
    assert (password.stat().st_gid, password.stat().st_mode & 0o777) == (15001, 0o640)
    assert (folder / "state").stat().st_mode & 0o7777 == 0o3771
    text = (folder / "units" / "gatepost.service").read_text()
    assert f"ExecStart=/opt/gatepost/bin/gatepost serve --config {path}\n" in text
    found = gatepost("check", "--config", path, "--json")
    problems = [problem for problem in json.loads(found.output)["problems"] if not problem["is_warning"]]
    assert problems == []


def test_setup_is_for_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "gatepost.yaml"
    gatepost("init", path)
    monkeypatch.setattr(os, "getuid", lambda: 1234)
    done = gatepost("setup", "--config", path, "--unit-folder", tmp_path / "units")
    assert (done.exit_code, done.output) == (5, "gatepost setup must be run as root\n")
    assert not (tmp_path / "units").exists()


@pytest.mark.parametrize("version", [252, 255])
def test_the_unit_is_one_that_systemd_understands(tmp_path: Path, version: int) -> None:
    gatepost("init", tmp_path / "gatepost.yaml")
    program = tmp_path / "gatepost"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = unit(load(tmp_path / "gatepost.yaml"), program, tmp_path / "gatepost.yaml", version)
    assert ("Type=notify-reload" in text) == (version >= 253)
    assert ("ExecReload=" in text) == (version < 253)
    assert "RuntimeDirectory=gatepost\n" in text
    assert text.count("ReadWritePaths=/var/lib/gatepost\n") == 1
    path = tmp_path / "gatepost.service"
    path.write_text(text.replace("Type=notify-reload", "Type=notify"))
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, timeout=60)
    about = [line for line in done.stderr.splitlines() if "gatepost.service" in line and "Unknown" in line]
    assert about == []
    assert done.returncode == 0, done.stderr
