"""A broken configuration: the message names file, line, key and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.load import ConfigurationError, load

START = """state_dir: /tmp/state
run_dir: /tmp/run
directory: {servers: ["ldap://127.0.0.1"], base: "o=x", profile: native, bind: {dn: "cn=x", password_file: /x}}
store: {volumes: {main: {path: /tmp/mail}}}
"""


@pytest.mark.parametrize(
    ("text", "line", "key", "said"),
    [
        ("listen:\n  imap:\n    - {port: 143, tls: maybe}\n", 7, "listen.imap.0.tls", "none, starttls, implicit"),
        ("listen:\n  imaps:\n    - {port: 993, tls: implicit}\n", 7, "listen.imaps.0.tls", "tls.cert"),
        ("listen:\n  mx:\n    - {port: 70000}\n", 7, "listen.mx.0.port", "1 to 65535"),
        ("listen:\n  mx:\n    - {port: 25}\n  lmtp:\n    - {port: 25}\n", 9, "listen.lmtp.0.port", "port of mx"),
        ("tls:\n  cert: /nowhere/cert.pem\n", 6, "tls.cert", "cannot be read"),
        ("wokers: 3\n", 5, "", "wokers"),
    ],
)
def test_each_error_names_file_line_and_key(tmp_path: Path, text: str, line: int, key: str, said: str) -> None:
    path = tmp_path / "gatepost.yaml"
    path.write_text(START + text)
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    message = str(caught.value)
    assert said in message
    assert key in message
    if key:
        assert message.startswith(f"{path}:{line}: {key}: ")
