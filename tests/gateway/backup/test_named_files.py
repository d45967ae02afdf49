"""Files that the configuration names are in a backup under the names that it has for them."""

from __future__ import annotations

from pathlib import Path

import yaml

from gateway.backup.making import make
from gateway.backup.manifest import read, verify
from gateway.config.load import load


def test_links_are_followed_and_what_is_elsewhere_is_left_out(tmp_path: Path) -> None:
    for name in ("etc", "archive", "state", "mail", "run"):
        (tmp_path / name).mkdir()
    (tmp_path / "archive/key1.pem").write_text("the key\n")
    (tmp_path / "etc/key.pem").symlink_to("../archive/key1.pem")  # as certbot has it
    (tmp_path / "etc/cert.pem").write_text("the certificate\n")
    (tmp_path / "etc/password").write_text("secret\n")
    (tmp_path / "directory.ldif").write_text("dn: o=test\nobjectClass: organization\no: test\n")
    (tmp_path / "state/srs.keys").write_text("a key\n")
    (tmp_path / "real.yaml").write_text(yaml.safe_dump({
        "state_dir": str(tmp_path / "state"),
        "run_dir": str(tmp_path / "run"),
        "role": "deliver",
        "directory": {
            "servers": [f"file://{tmp_path}/directory.ldif"], "profile": "ldif", "base": "o=test",
            "bind": {"password_file": str(tmp_path / "etc/password")},
        },
        "store": {"volumes": {"main": {"path": str(tmp_path / "mail")}}},
        "tls": {"cert": str(tmp_path / "etc/cert.pem"), "key": str(tmp_path / "etc/key.pem")},
        "srs": {"key_file": str(tmp_path / "state/srs.keys")},
    }))  # fmt: skip
    config = tmp_path / "etc/gatepost.yaml"
    config.symlink_to("../real.yaml")
    made = make(config, load(config), tmp_path / "made")
    named = {
        item.place.removeprefix(f"{tmp_path}/"): item.path for item in made.items if item.path.startswith("files/")
    }
    assert named.keys() == {"etc/gatepost.yaml", "etc/key.pem", "etc/cert.pem", "etc/password", "directory.ldif"}
    assert (tmp_path / "made" / named["etc/key.pem"]).read_text() == "the key\n"
    assert (made.directory, made.stores, made.is_running) == ("none", None, False)
    assert verify(tmp_path / "made", read(tmp_path / "made")) == []
