"""Values with their lines, secrets hidden."""

from __future__ import annotations

from pathlib import Path

from gateway.config import places
from gateway.config.load import load

TEXT = """\
hostname: mail.example.com
state_dir: /s
run_dir: /r
directory:
  servers: ["ldaps://user:hunter2@ldap.example.com"]
  base: dc=example,dc=com
store: {volumes: {main: {path: /m}}}
queue:
  lifetime: 90m
tls: {cert: /c, key: /k}
"""


def test_each_value_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "gatepost.yaml"
    path.write_text(TEXT)
    settings = load(path)
    found = places.of(settings)
    assert found.file == str(path)
    values = {value.path: value for value in places.values(settings, found.lines)}
    assert (values["queue.lifetime"].text, values["queue.lifetime"].line) == ("90m", 9)
    assert (values["store.volumes.main.path"].text, values["store.volumes.main.path"].line) == ("/m", 7)
    assert values["directory.servers"].line == 5 and "hunter2" not in values["directory.servers"].text
    assert values["workers"].line == 0 and values["workers"].text
    assert not any("hunter2" in value.text for value in values.values())


def test_settings_that_came_from_no_file_have_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "gatepost.yaml"
    for number in range(places.KEPT + 1):
        path.write_text(TEXT.replace("mail.example.com", f"mail{number}.example.com"))
        load(path)
    path.write_text(TEXT)
    first = load(path)
    assert places.of(first).file
    for number in range(places.KEPT):
        path.write_text(TEXT.replace("mail.example.com", f"other{number}.example.com"))
        load(path)
    assert places.of(first) == places.Loaded("", {})


def test_what_is_called_a_secret_is_hidden() -> None:
    for name in ("password", "bind_password", "secret", "api_token", "credentials"):
        assert places.SECRET.search(name)
    for name in ("password_file", "key_days", "tokens_max"):
        assert not places.SECRET.search(name)
