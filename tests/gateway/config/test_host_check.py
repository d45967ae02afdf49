"""`gatepost check` on this host: certificates, ports, folders, volumes, the directory."""

from __future__ import annotations

import datetime as dt
import os
import socket
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from gateway.config.host_check import filesystem_of, host_problems
from gateway.config.load import ConfigurationError, load_to_serve, load_with_places
from gateway.store.markers import prepare_volume


def good(tmp_path: Path) -> dict[str, Any]:
    authority = trustme.CA()
    authority.issue_cert("mail.example.com").private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    (tmp_path / "both.pem").chmod(0o600)
    (tmp_path / "mail").mkdir(exist_ok=True)
    prepare_volume(tmp_path / "mail")
    (tmp_path / "password").write_text("x")
    (tmp_path / "password").chmod(0o600)
    return {
        "hostname": "mail.example.com",
        "state_dir": str(tmp_path / "state"),
        "run_dir": str(tmp_path / "run"),
        "directory": {
            "servers": ["ldap://127.0.0.1:1"],
            "base": "o=x",
            "bind": {"dn": "cn=x", "password_file": str(tmp_path / "password")},
            "timeout": {"connect": 1},
        },
        "store": {"volumes": {"main": {"path": str(tmp_path / "mail")}}},
        "tls": {"cert": str(tmp_path / "both.pem"), "key": str(tmp_path / "both.pem")},
    }


def found(tmp_path: Path, configuration: dict[str, Any]) -> list[str]:
    path = tmp_path / "gatepost.yaml"
    path.write_text(yaml.safe_dump(configuration))
    return [
        str(problem).removeprefix(f"{path}:").partition(":")[2].strip()
        for problem in host_problems(*load_with_places(path))
    ]


def test_a_good_host_has_one_warning_while_its_directory_is_down(tmp_path: Path) -> None:
    (only,) = found(tmp_path, good(tmp_path))
    assert only.startswith("warning: directory.servers: cannot be reached: ldap://127.0.0.1:1: ")


@pytest.mark.parametrize(
    ("tls", "said"),
    [
        ({"cert": "/nowhere.pem"}, "tls.cert: /nowhere.pem cannot be read: No such file or directory"),
        ({"key": "other.pem"}, "tls.key: {dir}/other.pem is not the key of {dir}/both.pem"),
        ({"cert": "text"}, "tls.cert: {dir}/text is not a PEM certificate"),
        ({"key": "text"}, "tls.key: {dir}/text is not a PEM private key without a passphrase"),
    ],
)
def test_certificates_that_cannot_be_used(tmp_path: Path, tls: dict[str, str], said: str) -> None:
    configuration = good(tmp_path)
    trustme.CA().issue_cert("mail.example.com").private_key_pem.write_to_path(tmp_path / "other.pem")
    (tmp_path / "text").write_text("no certificate\n")
    configuration["tls"] |= {key: str(tmp_path / name) for key, name in tls.items()}
    assert said.format(dir=tmp_path) in found(tmp_path, configuration)
    with pytest.raises(ConfigurationError, match=r"gatepost\.yaml:\d+: tls\."):
        load_to_serve(tmp_path / "gatepost.yaml")


def test_certificates_that_clients_will_not_like(tmp_path: Path) -> None:
    configuration = good(tmp_path)
    past = dt.datetime.now(dt.UTC) - dt.timedelta(days=3)
    expired = trustme.CA().issue_cert("elsewhere.example", not_after=past)
    expired.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    (tmp_path / "both.pem").chmod(0o644)
    said = "\n".join(found(tmp_path, configuration))
    assert f"warning: tls.cert: {tmp_path}/both.pem expired on {past:%Y-%m-%d}" in said
    assert "is for elsewhere.example, hostname is mail.example.com" in said
    assert "warning: tls.key: " in said
    load_to_serve(tmp_path / "gatepost.yaml")


def test_what_else_a_host_can_lack(tmp_path: Path) -> None:
    configuration = good(tmp_path)
    (tmp_path / "bare").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "password").chmod(0o644)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        configuration |= {
            "state_dir": str(tmp_path / "file" / "below"),
            "listen": {
                "mx": [{"port": port, "tls": "none"}],
                "lmtp": [
                    {"port": 24, "address": "192.0.2.1", "tls": "none"},
                    {"path": "/nowhere/lmtp.sock", "tls": "none"},
                ],
            },
        }
        configuration["store"]["volumes"] |= {"bare": {"path": str(tmp_path / "bare")}, "gone": {"path": "/nowhere"}}
        said = "\n".join(found(tmp_path, configuration))
    assert f"listen.mx.0.port: 127.0.0.1:{port}: Address already in use" in said
    assert "listen.lmtp.0.address: 192.0.2.1:24: Cannot assign requested address" in said
    assert "listen.lmtp.1.path: /nowhere is not a folder" in said
    assert f"state_dir: {tmp_path}/file is not a folder" in said
    assert "store.volumes.gone.path: /nowhere is not a folder" in said
    assert f"store.volumes.bare.path: {tmp_path}/bare has no .gatepost-store" in said
    assert "warning: directory.bind.password_file: " in said


def test_the_web_front_end_has_a_port_and_a_user_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = good(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        configuration["web"] = {"listen": f"127.0.0.1:{port}", "tls": "implicit"}
        said = "\n".join(found(tmp_path, configuration))
    assert f"web.listen: 127.0.0.1:{port}: Address already in use" in said and "run_as" not in said
    tmp_path.chmod(0o755)
    monkeypatch.setattr(os, "getuid", lambda: 0)  # who serves is looked up, nothing is done
    configuration["run_as"] = {"mail": "15000", "directory": "15001"}
    said = "\n".join(found(tmp_path, configuration))
    assert "warning: run_as.web: the web front end runs as a user of the service" in said
    configuration["run_as"]["web"] = "15002"
    said = "\n".join(found(tmp_path, configuration))
    assert "run_as.web" not in said and "both.pem cannot be read by uid 15002" in said


def test_the_file_system_of_a_path_is_the_nearest_mount(tmp_path: Path) -> None:
    table = tmp_path / "mounts"
    table.write_text("/dev/a / ext4 rw 0 0\nfiler:/x /srv/mail\\040store nfs4 rw 0 0\n")
    assert filesystem_of(Path("/srv/mail store/a"), str(table)) == "nfs4"
    assert filesystem_of(Path("/srv/mail"), str(table)) == "ext4"


def test_passwords_for_other_hosts_can_be_read(tmp_path: Path) -> None:
    settings = good(tmp_path)
    (tmp_path / "open").write_text("secret")
    (tmp_path / "open").chmod(0o644)
    settings["relay"] = {"credentials": {
        "a": {"hosts": ["a.example"], "login": "x", "password_file": str(tmp_path / "gone")},
        "b": {"hosts": ["b.example"], "login": "x", "password_file": str(tmp_path / "open")},
    }}  # fmt: skip
    told = found(tmp_path, settings)
    assert any("relay.credentials.a.password_file" in each and "cannot be read" in each for each in told), told
    assert any("relay.credentials.b.password_file" in each and "by everybody" in each for each in told), told
